"""Reading documents: what each kind becomes, and what bad input is told."""

from __future__ import annotations

import gzip
import pathlib
import random
import shutil

import limits
import pdf
import pytest
import reading
import words
from reading import Unreadable, read

EXAMPLE = pathlib.Path(__file__).resolve().parents[1]
SAMPLES = EXAMPLE / "documents"


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def titles(document: reading.Document) -> list[str]:
    return [heading.title for heading in document.outline]


def keywords(text: str) -> list[str]:
    return [entry.word for entry in words.keyword_index(text, words.count_words(text))]


# ---- kinds


def test_a_text_has_its_underlined_lines_as_headings() -> None:
    document = read("mills.txt", sample("mills.txt"))
    assert (document.kind, document.packed, document.encoding, document.note) == ("text", False, "utf-8", "")
    assert titles(document)[:3] == ["A Mill and Its Water", "The weir", "The headrace"]
    assert [heading.level for heading in document.outline][:2] == [1, 2]


def test_a_gzip_of_a_text_is_that_text() -> None:
    packed = read("mills.txt.gz", sample("mills.txt.gz"))
    plain = read("mills.txt", sample("mills.txt"))
    assert packed.packed
    assert (packed.text, packed.outline, packed.kind) == (plain.text, plain.outline, plain.kind)


def test_markdown_headings_are_not_found_in_code_and_links_keep_their_words_only() -> None:
    document = read("locks.md", sample("locks.md"))
    assert document.kind == "Markdown"
    assert titles(document)[:3] == ["How a canal lock works", "The parts", "Going up"]
    assert not any("keeper's rule" in title for title in titles(document))
    assert "See also the mill, which" in document.text
    line = next(heading.line for heading in document.outline if heading.title == "Going down")
    assert document.text.split("\n")[line - 1] == "Going down"


def test_html_gives_what_a_reader_sees_and_no_script() -> None:
    document = read("waterworks.html", sample("waterworks.html"))
    assert document.kind == "HTML"
    assert titles(document)[:2] == ["The waterworks of a small town", "Wells and pumps"]
    assert "electricity is cheap & the town sleeps" in document.text
    assert "script" not in document.text and "max-width" not in document.text


def test_a_table_has_its_columns_as_outline_with_the_range_of_numbers() -> None:
    document = read("rivers.csv", sample("rivers.csv"))
    assert document.kind == "CSV"
    assert titles(document) == [
        "river",
        "mouth",
        "length in km: 288 to 2850",
        "basin in km2: 12935 to 801463",
        "note",
    ]
    assert "Danube\tBlack Sea\t2850" in document.text


@pytest.mark.parametrize("mark", [";", "\t", "|", ","])
def test_a_tables_delimiter_is_found(mark: str) -> None:
    document = read("a.csv", f"a{mark}b{mark}c\n1{mark}2{mark}3\n".encode())
    assert titles(document) == ["a: 1 to 1", "b: 2 to 2", "c: 3 to 3"]


def test_a_pdf_has_its_pages_as_outline() -> None:
    document = read("headrace.pdf", sample("headrace.pdf"))
    assert document.kind == "PDF"
    assert titles(document) == ["page 1: Why a headrace is long", "page 2: How much it gives"]
    line = document.outline[1].line
    assert document.text.split("\n")[line - 1] == "How much it gives"


def test_the_samples_are_what_their_script_writes(tmp_path: pathlib.Path) -> None:
    for name in ("make_pdfs.py", "mills.txt"):
        shutil.copy(SAMPLES / name, tmp_path)
    import runpy

    runpy.run_path(str(tmp_path / "make_pdfs.py"), run_name="__main__")
    for name in ("headrace.pdf", "broken.pdf"):
        assert (tmp_path / name).read_bytes() == sample(name)
    assert gzip.decompress((tmp_path / "mills.txt.gz").read_bytes()) == sample("mills.txt")


# ---- names that do not fit, encodings, empty files


def test_content_comes_before_the_name_and_the_difference_is_noted() -> None:
    document = read("harmless.txt", sample("headrace.pdf"))
    assert document.kind == "PDF"
    assert document.note == "it is named as text, and its content is PDF"


def test_a_text_named_as_pdf_is_read_as_text() -> None:
    document = read("river.pdf", b"The river was here first.\n")
    assert (document.kind, document.note) == ("text", "it is named as PDF, and its content is text")


def test_html_is_known_without_its_name() -> None:
    assert read("page", b"<!-- saved -->\n<!DOCTYPE html><p>Weir</p>").kind == "HTML"


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "a.csv", "a.pdf", "a", ".", "a.txt.gz"])
def test_an_empty_document_is_a_text_of_no_words(name: str) -> None:
    for data in (b"", gzip.compress(b"")):
        document = read(name, data)
        counts = words.count_words(document.text)
        assert document.text == "" and document.outline == []
        assert words.statistics(document.text, counts) == words.Statistics(0, 0, 0, 0, "", 0.0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_encodings_are_told_apart(encoding: str) -> None:
    text = "Die Mühle klappert\nam rauschenden Bach – für Müller\n"
    document = read("m.txt", text.encode(encoding))
    assert document.text == text
    assert document.encoding == encoding.removesuffix("-sig")


def test_a_page_says_its_own_encoding() -> None:
    page = '<html><head><meta charset="koi8-r"></head><body><p>вода</p></body></html>'
    assert read("w.html", page.encode("koi8-r")).text == "вода"


@pytest.mark.parametrize("codec", ["idna", "unicode_escape", "rot13", "zlib", "no-such", "utf-7", "punycode"])
def test_a_page_cannot_choose_a_codec_that_is_no_page_encoding(codec: str) -> None:
    page = f'<html><meta charset="{codec}"><p>m\xfchle</p>'.encode("latin-1")
    assert read("w.html", page).encoding == "cp1252"


def test_a_wrong_byte_order_mark_is_one_sentence() -> None:
    with pytest.raises(Unreadable, match="it is not utf-16, which it says it is"):
        read("a.txt", b"\xff\xfea\xd8\x00")


# ---- bad input


def test_binary_data_is_refused() -> None:
    junk = random.Random(7).randbytes(20_000)
    with pytest.raises(Unreadable, match="binary data"):
        read("notes.txt", b"x" + junk)
    with pytest.raises(Unreadable, match="binary data"):
        read("nothing.csv", b"\0" * 1000)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04abc", "ZIP"),
        (b"\x89PNG\r\n", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"\x7fELF\x02", "program"),
    ],
)
def test_what_is_sent_by_mistake_is_named(data: bytes, what: str) -> None:
    with pytest.raises(Unreadable, match=what):
        read("report.txt", data)


def test_random_bytes_end_in_a_document_or_one_sentence() -> None:
    dice = random.Random(1)
    starts = [
        b"",
        b"<html>",
        b"\x1f\x8b\x08\x00",
        b"\xff\xfe",
        b"a,b\n",
        b"# ",
        b"<![",
        b"<!-",
        b"\xef\xbb\xbf",
    ]
    for turn in range(2000):
        data = dice.choice(starts) + dice.randbytes(dice.randrange(60))
        name = dice.choice(["a.txt", "a.html", "a.csv", "a.md", "a.gz", "a"])
        try:
            document = read(name, data)
        except Unreadable as error:
            assert "\n" not in str(error) and len(str(error)) < 300, turn
        else:
            words.keyword_index(document.text, words.count_words(document.text))


def test_a_cut_gzip_is_refused() -> None:
    whole = sample("mills.txt.gz")
    for length in (2, 9, 40, len(whole) // 2, len(whole) - 1):
        with pytest.raises(Unreadable, match="the gzip ends too early"):
            read("mills.txt.gz", whole[:length])


def test_a_damaged_gzip_is_refused() -> None:
    whole = bytearray(sample("mills.txt.gz"))
    whole[-6] ^= 1  # its checksum
    with pytest.raises(Unreadable, match="the gzip is damaged"):
        read("mills.txt.gz", bytes(whole))
    with pytest.raises(Unreadable, match="the gzip is damaged"):
        read("mills.txt.gz", sample("mills.txt.gz") + b"more")


def test_a_gzip_inside_a_gzip_is_refused() -> None:
    with pytest.raises(Unreadable, match="a gzip inside the gzip"):
        read("a.gz", gzip.compress(gzip.compress(b"flour")))


def test_several_members_are_one_document_up_to_the_limit() -> None:
    member = gzip.compress(b"meal ")
    assert read("a.gz", member * limits.GZIP_MEMBERS + b"\0" * 512).text == "meal " * limits.GZIP_MEMBERS
    with pytest.raises(Unreadable, match="members"):
        read("a.gz", member * (limits.GZIP_MEMBERS + 1))


def test_a_gzip_bomb_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(b"\0" * (64 << 20))
    assert len(bomb) < limits.UPLOAD_BYTES
    with pytest.raises(Unreadable, match="holds over 16 MiB"):
        read("bomb.txt.gz", bomb)
    monkeypatch.setattr(limits, "INFLATED_BYTES", 1000)
    assert len(read("edge.gz", gzip.compress(b"a" * 1000)).text) == 1000
    with pytest.raises(Unreadable, match="the gzip holds"):
        read("edge.gz", gzip.compress(b"a" * 1001))


def test_a_text_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TEXT_CHARACTERS", 100)
    assert read("a.txt", b"a" * 100).kind == "text"
    with pytest.raises(Unreadable, match="over 100 characters"):
        read("a.txt", b"a" * 101)


def test_one_huge_line_is_read_like_any_other() -> None:
    document = read("line.txt", b"river " * 600_000)
    counts = words.count_words(document.text)
    assert words.statistics(document.text, counts).lines == 1
    assert words.keyword_index(document.text, counts) == [words.Entry("river", 600_000, [1])]


def test_a_word_without_end_is_counted_and_no_keyword() -> None:
    text = "a" * 1_000_000
    counts = words.count_words(text)
    assert words.statistics(text, counts).words == 1
    assert len(words.statistics(text, counts).longest) == limits.WORD_CHARACTERS
    assert words.keyword_index(text, counts) == []


def test_a_table_with_a_huge_cell_or_too_many_rows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unreadable, match="line 2: field larger than field limit"):
        read("a.csv", b"name\n" + b"x" * (limits.CSV_FIELD_CHARACTERS + 1))
    with pytest.raises(Unreadable, match="the table cannot be read: line 2"):
        read("a.csv", b'name\n"never closed')
    monkeypatch.setattr(limits, "CSV_ROWS", 3)
    assert read("a.csv", b"a\n1\n2\n").kind == "CSV"
    with pytest.raises(Unreadable, match="over 3 rows"):
        read("a.csv", b"a\n1\n2\n3\n")


@pytest.mark.parametrize(
    "page",
    [
        b"<!doctype html><![if foo",
        b"<html><!",
        b"<html><!ELEMENT br EMPTY>",
        b"<html><![bad[x]]>",
        b"<html" * 999,
    ],
)
def test_malformed_html_ends_in_a_document_or_one_sentence(page: bytes) -> None:
    try:
        assert read("a.html", page).kind == "HTML"
    except Unreadable as error:
        assert str(error).startswith("the HTML cannot be read")


def test_deeply_nested_html_is_no_deep_recursion() -> None:
    assert read("deep.html", b"<html>" + b"<div>" * 100_000 + b"bottom").text == "bottom"


@pytest.mark.parametrize(
    "unit", [b"<a", b"<a b='", b"<!--", b"<!-- >", b"<![if>", b"<!", b"<?", b"<script>", b"&#"]
)
def test_html_made_to_be_slow_is_read(unit: bytes) -> None:
    for end in (b"", b">"):
        page = b"<html>" + unit * (400_000 // len(unit)) + end
        assert read("slow.html", page).kind == "HTML"


@pytest.mark.parametrize("unit", [b"[", b"](", b"[a](", b"# ", b"```\n", b"=\n", b"'-"])
def test_markdown_made_to_be_slow_is_read(unit: bytes) -> None:
    assert read("slow.md", b"x" + unit * (400_000 // len(unit))).kind == "Markdown"


def test_headings_and_titles_are_bounded() -> None:
    document = read("many.md", b"# " + b"long " * 1000 + b"\n" + b"## next\n" * 5000)
    assert len(document.outline) == limits.HEADINGS
    assert len(document.outline[0].title) <= limits.TITLE_CHARACTERS


# ---- PDFs


def test_a_broken_pdf_is_refused_with_what_pdftotext_says() -> None:
    with pytest.raises(Unreadable, match="pdftotext cannot read it: .*xref"):
        read("broken.pdf", sample("broken.pdf"))


def test_any_cut_of_a_pdf_ends_in_a_document_or_one_sentence() -> None:
    whole = sample("headrace.pdf")
    for length in range(10, len(whole), 97):
        try:
            assert read("cut.pdf", whole[:length]).kind == "PDF"
        except Unreadable as error:
            assert str(error).startswith("pdftotext cannot read it: ") and "\n" not in str(error)


def test_a_pdftotext_that_hangs_or_floods_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    program = tmp_path / "pdftotext"
    monkeypatch.setattr(pdf, "COMMAND", [str(program)])
    monkeypatch.setattr(limits, "PDF_SECONDS", 0.2)
    for hanging in ("exec sleep 600", "exec yes >&2"):
        program.write_text(f"#!/bin/sh\n{hanging}\n")
        program.chmod(0o755)
        with pytest.raises(Unreadable, match="needed over 0.2 s"):
            read("slow.pdf", b"%PDF-1.4")
    monkeypatch.setattr(limits, "PDF_SECONDS", 60)
    program.write_text("#!/bin/sh\nexec yes\n")
    with pytest.raises(Unreadable, match="holds over 16 MiB of text"):
        read("flood.pdf", b"%PDF-1.4")


def test_without_pdftotext_the_job_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "COMMAND", ["/nowhere/pdftotext"])
    with pytest.raises(RuntimeError, match="install poppler-utils"):
        read("a.pdf", b"%PDF-1.4")


# ---- words


def test_keywords_are_the_long_words_that_come_often() -> None:
    text = "Which mill is it? The millstone. Which stone? The millstone of the mill.\nA millstone."
    assert keywords(text)[:2] == ["millstone", "which"]
    assert words.keyword_index(text, words.count_words(text))[0] == words.Entry("millstone", 3, [1, 2])


def test_words_know_apostrophes_hyphens_and_every_alphabet() -> None:
    assert list(words.words_of("The miller's well-kept ΝΕΡΌ, вода 2nd")) == [
        "the",
        "miller's",
        "well-kept",
        "νερό",
        "вода",
        "nd",
    ]
