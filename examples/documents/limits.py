"""Every limit of the example, in one place. Beyond one of them is an ordinary answer, not an accident."""

UPLOAD_BYTES = 8 << 20  # one document as it is sent
FORM_FILES = 20  # documents in one form
FORM_BYTES = UPLOAD_BYTES + (64 << 10)  # a form with all its documents and its own lines
NAME_CHARACTERS = 100

INFLATED_BYTES = 16 << 20  # what a gzip may hold
GZIP_MEMBERS = 100
HTML_BYTES = 2 << 20
TEXT_CHARACTERS = 4 << 20  # extracted text of one document
CSV_FIELD_CHARACTERS = 128 << 10
CSV_ROWS = 100_000
CONTROL_SHARE = 0.005  # control characters among the text's: more is binary data
PDF_SECONDS = 20
PDF_MEMORY_BYTES = 1 << 30

HEADINGS = 100  # of an outline
TITLE_CHARACTERS = 120
KEYWORDS = 12  # of a result
INDEX_WORDS = 2_000
INDEX_LINES = 20  # of one word
WORD_CHARACTERS = 64  # longer ones are counted, but are no keywords

LIST_DOCUMENTS = 50  # the newest, on the first page
SHOWN_LINES = 400  # of a document's text, on its page
SHOWN_CHARACTERS = 400  # of one of those lines
