"""Which kind of file it is, by its first bytes: for files of the wrong kind."""

from __future__ import annotations

import re

UNPACK = "Unpack it first."
XLSX = b"PK\x03\x04"

# From the first bytes of a file what it is, and what one can do with it.
KINDS: list[tuple[bytes, str, str]] = [
    (rb"\x89PNG\r\n", "a PNG image", ""),
    (rb"\xff\xd8\xff", "a JPEG image", ""),
    (rb"GIF8[79]a", "a GIF image", ""),
    (rb"%PDF-\d", "a PDF document", ""),
    (rb"SQLite format 3\x00", "an SQLite database", ""),
    (rb"(?i)\s*(<!doctype html|<html)", "a web page", ""),
    (rb"\x1f\x8b", "compressed by gzip", UNPACK),
    (rb"BZh[1-9]1AY&SY", "compressed by bzip2", UNPACK),
    (rb"\xfd7zXZ\x00", "compressed by xz", UNPACK),
    (rb"\x28\xb5\x2f\xfd", "compressed by zstd", UNPACK),
    (rb"(7z\xbc\xaf\x27\x1c|Rar!\x1a\x07)", "a packed archive", UNPACK),
    (
        rb"PK(\x03\x04|\x05\x06)",
        "a ZIP archive, as XLSX files are",
        "Save the sheet in the other format, or take the file by an XLSXField.",
    ),
    (
        rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old Office file (.xls) or an encrypted one",
        "Save it anew, without a password.",
    ),
    (rb"(\xff\xfe|\xfe\xff)", "text in UTF-16", "Save it as UTF-8."),
]


def refusal(head: bytes, wanted: str) -> str | None:
    """Say that a file which begins so is another than what is wanted, if it is."""
    for pattern, found, advice in KINDS:
        if re.match(pattern, head):
            return f"is {found}, and not {wanted}. {advice}".strip()
    return None
