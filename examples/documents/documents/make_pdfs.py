#!/usr/bin/env python3
"""Writes the sample PDFs and the sample gzip beside this script: the same bytes each time.

headrace.pdf has two pages, written object by object; broken.pdf is its beginning, as a cut transfer leaves
it; mills.txt.gz is mills.txt.
"""

import gzip
import pathlib

HERE = pathlib.Path(__file__).resolve().parent

PAGES = [
    """Why a headrace is long
A wheel needs a fall, and rivers in the plain have little of it.
A mill cannot wait for a waterfall to be found. It makes one.

The weir takes the water out where the river is still high. The
headrace carries it along the hillside with hardly any slope. Two
hundred metres further the river has dropped by three metres and the
headrace by twenty centimetres. What is between them is the fall, and
all of it is at one place: at the wheel.

So the length of a headrace is not a detour. It is where the height
comes from.""",
    """How much it gives
The power of a fall is the water times the height times the weight of
water. A flow of 400 litres in a second that falls 2.8 metres gives
eleven kilowatts before losses. An overshot wheel delivers seven tenths
of it to the shaft.

Seven kilowatts grind two hundred kilograms of wheat in an hour. They
also saw one oak trunk, full four cloths, or drive a hammer of ninety
kilograms, one blow for each cam that passes. The wheel does not know
which of these it is doing. The miller chooses by a clutch.""",
]


def page_stream(text: str) -> bytes:
    title, _, body = text.partition("\n")
    commands = ["BT", "/F1 20 Tf", "72 760 Td", f"({title}) Tj", "/F1 12 Tf", "0 -20 Td"]
    for line in body.splitlines():
        commands += ["0 -16 Td", f"({line}) Tj"]
    return "\n".join([*commands, "ET"]).encode("ascii")


def pdf(pages: list[str]) -> bytes:
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(pages):
        stream = page_stream(text)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >>"
            b" /Contents %d 0 R >>" % (5 + 2 * number)
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
    return with_table(objects)


def with_table(objects: list[bytes]) -> bytes:
    """The objects, the table of where each begins, and the trailer that points to the table."""
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for place in places:
        out += b"%010d 00000 n \n" % place
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)


def main() -> None:
    whole = pdf(PAGES)
    (HERE / "headrace.pdf").write_bytes(whole)
    (HERE / "broken.pdf").write_bytes(whole[: len(whole) // 8])
    (HERE / "mills.txt.gz").write_bytes(gzip.compress((HERE / "mills.txt").read_bytes(), mtime=0))


if __name__ == "__main__":
    main()
