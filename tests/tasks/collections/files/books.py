"""XLSX files to read, honest ones and others."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import openpyxl

STRINGS = "xl/sharedStrings.xml"
SHEET = "xl/worksheets/sheet1.xml"


def book(
    rows: Iterable[Sequence[Any]], *, sheet: str = "Posts", write_only: bool = False
) -> bytes:
    """Return an XLSX file with these rows, the header among them."""
    made = openpyxl.Workbook(write_only=write_only)
    page = made.create_sheet(sheet, 0)
    for row in rows:
        page.append(row)
    content = io.BytesIO()
    made.save(content)
    return content.getvalue()


def changed(content: bytes, part: str, change: Any) -> bytes:
    """Return an XLSX file in which one part is another."""
    result = io.BytesIO()
    with ZipFile(io.BytesIO(content)) as old, ZipFile(result, "w", ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, change(data) if name == part else data)
    return result.getvalue()


def with_rows(rows: bytes) -> bytes:
    """Return an XLSX file whose sheet has the header `a` and these rows, as XML."""
    return changed(
        book([["a"]]),
        SHEET,
        lambda data: re.sub(b"</sheetData>", lambda _: rows + b"</sheetData>", data),
    )


def with_strings(content: bytes, strings: bytes) -> bytes:
    """Return an XLSX file with such a table of texts, which openpyxl does not write."""
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings"
    override = f'<Override PartName="/{STRINGS}" ContentType="{kind}+xml"/></Types>'
    result = io.BytesIO(
        changed(
            content,
            "[Content_Types].xml",
            lambda data: data.replace(b"</Types>", override.encode()),
        )
    )
    with ZipFile(result, "a", ZIP_DEFLATED) as parts:
        parts.writestr(STRINGS, strings)
    return result.getvalue()
