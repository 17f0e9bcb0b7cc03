"""Files that cannot be read each end in one clear sentence that names the place."""

from __future__ import annotations

import gzip
import io
import tracemalloc
from collections.abc import Callable
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from pytest_django import Settings

from tests.registering import registered
from tests.tasks.collections.files.books import (
    SHEET,
    book,
    changed,
    with_rows,
    with_strings,
)
from upkeep import Task
from upkeep.exceptions import InvalidFile
from upkeep.forms import CSVField, JSONLinesField, XLSXField
from upkeep.runs.status import Status
from upkeep.tasks.collections import collect

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
XLS = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
MB = 1 << 20

Content = bytes | Callable[[], bytes]

TYPES = b"""<?xml version="1.0"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>"""
LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>"""


def packed(name: str, content: bytes) -> bytes:
    result = io.BytesIO()
    with ZipFile(result, "w", ZIP_DEFLATED) as parts:
        parts.writestr(name, content)
    return result.getvalue()


def spoiled(content: bytes) -> bytes:
    """Return a ZIP archive whose packed data is none in the middle of the sheet."""
    place = content.index(SHEET.encode()) + len(SHEET) + 20
    return content[:place] + b"\xff" * 50 + content[place + 50 :]


def many_parts() -> bytes:
    result = io.BytesIO()
    with ZipFile(result, "w") as parts:
        for number in range(20_000):
            parts.writestr(f"{number:060}", b"")
    return result.getvalue()


def of_sheet(content: bytes) -> bytes:
    return changed(book([["a"], [1]]), SHEET, lambda _: content)


def of_strings(content: bytes) -> bytes:
    return with_strings(book([["a"]]), content)


def swollen_sheet() -> bytes:
    return of_sheet(bytes(64 * MB))


def swollen_strings() -> bytes:
    return of_strings(bytes(64 * MB))


# Found before there is a run.
AT_ONCE: list[Any] = [
    # Of another kind
    (CSVField, PNG, "is a PNG image, and not a CSV file"),
    (JSONLinesField, PNG, "is a PNG image, and not a JSON Lines file"),
    (XLSXField, PNG, "is a PNG image, and not an XLSX file"),
    (CSVField, book([["a"]]), "is a ZIP archive, as XLSX files are, and not a CSV"),
    (XLSXField, b"a,b\n1,2\n", "is not an XLSX file. Save it as one"),
    (XLSXField, XLS, r"is an old Office file \(.xls\) or an encrypted one, and not"),
    (XLSXField, packed("a.csv", b"a"), "is a ZIP archive, and not an XLSX file"),
    (CSVField, gzip.compress(b"a\n1\n"), "is compressed by gzip.* Unpack it first"),
    (CSVField, b"<!DOCTYPE html><html>", "is a web page, and not a CSV file"),
    (CSVField, "\ufeffa\n1\n".encode("utf-16-le"), "is text in UTF-16.* as UTF-8"),
    # Empty
    (CSVField, b"", "is empty"),
    (JSONLinesField, b"", "is empty"),
    (XLSXField, b"", "is empty"),
    (CSVField, b"\n\r\n", "f is empty: its first line must name the columns"),
    (JSONLinesField, b"\n\n", "f is empty. Each line must be one JSON object"),
    (XLSXField, book([]), "f, sheet 'Posts' is empty: its first row must name the"),
    # The header
    (CSVField, b"a,,c\n", "f, line 1: column 2 has no name"),
    (XLSXField, book([["a", None, "c"]]), "'Posts', row 1: column 2 has no name"),
    (CSVField, b"a,b,a\n", "f, line 1: more than one column is named 'a'"),
    (XLSXField, book([["a", "a"]]), "row 1: more than one column is named 'a'"),
    (CSVField, b"a" + b",a" * 1000, "f has 1,001 columns, more than the 1,000 .*MAX_C"),
    (XLSXField, book([["a"] * 1001]), "row 1: it has 1,001 columns, more than"),
    (CSVField, b'"a,b\n1,2\n', "line 1: a quoted value begins here and never ends"),
    (CSVField, b"a\xff\n", "f, line 1: byte 0xFF at position 2 is not utf-8"),
    # Longer than any line
    (
        CSVField,
        lambda: b"x" * (100 * MB),
        "f, line 1: no end of the line within 16,777,216",
    ),
    (
        JSONLinesField,
        lambda: b"[" + b"1," * (50 * MB),
        "line 1: no end of the line within",
    ),
    # No JSON
    (JSONLinesField, b"a,b\n", "f, line 1: Expecting value at position 1. Each line"),
    (JSONLinesField, b'[{"a": 1}]\n', "line 1: a value of type list. Each line must"),
    (JSONLinesField, b'{"a": NaN}\n', "f, line 1: NaN is no JSON"),
    (JSONLinesField, b'{"a": ' + b"[" * 100_000, "line 1: it is nested too deeply"),
    (JSONLinesField, b'{"a": ' + b"9" * 5000 + b"}", "line 1: Exceeds the limit"),
    # Broken, or made to harm
    (XLSXField, book([["a"]])[:2000], "f is broken or cut off: BadZipFile"),
    (XLSXField, packed("[Content_Types].xml", TYPES), "OSError .*no valid workbook"),
    (XLSXField, spoiled(book([["a"], ["x" * 99]])), "f.* cannot be read as an XLSX"),
    (XLSXField, of_sheet(b"<x>"), "row 1 cannot be read as an XLSX file: ParseError"),
    (XLSXField, swollen_sheet, "f swells from .* to 67,108,864 bytes"),
    (XLSXField, many_parts, "f has a list of parts of .* any XLSX file needs"),
    (XLSXField, of_strings(LAUGHS + b"<sst>&c;</sst>"), "f cannot .* EntitiesForb"),
    (XLSXField, of_sheet(LAUGHS + b"<x>&c;</x>"), "row 1 cannot .* EntitiesForb"),
]

# Found where the run comes to it, behind the row {"a": …}.
IN_THE_MIDDLE: list[Any] = [
    (CSVField, b"a\n1\n\xe9\n", "f, line 3: byte 0xE9 at position 1 is not utf-8"),
    (CSVField, b"a\n1\n2\0\n", "f, line 3: a NUL byte. Is this a CSV file"),
    (CSVField, b'a\n1\n"2\n3\n', "f, line 3: a quoted value begins here and never"),
    (CSVField, b"a\n1\n2,3\n", "f, line 3: a row of length 2, where the header has"),
    (
        CSVField,
        lambda: b"a\n1\n" + b"x" * (20 * MB),
        "f, line 3: no end of the line within",
    ),
    (
        JSONLinesField,
        b'{"a": 1}\n{"a": "\xe9"}\n',
        "f, line 2: byte 0xE9 at position 8",
    ),
    (JSONLinesField, b'{"a": 1}\n{"a":\0}\n', "f, line 2: a NUL byte"),
    (JSONLinesField, b'{"a": 1}\n{"a": "\n', "line 2: Invalid control .* position 8"),
    (JSONLinesField, b'{"a": 1}\nnull\n', "f, line 2: a value of type NoneType"),
    (
        JSONLinesField,
        b'{"a": 1}\n{' + b",".join(b'"%d": 1' % n for n in range(1001)) + b"}\n",
        "f, line 2: it has 1,001 columns, more than the 1,000",
    ),
    (XLSXField, book([["a"], [1], [2, 3]]), "row 3: a value in column 2, where the"),
    (
        XLSXField,
        with_rows(b'<row r="2"><c><v>1</v></c></row><row><c r="????1"/></row>'),
        "f, row 3 cannot be read as an XLSX file: ValueError",
    ),
]


def given(field: Any, content: Content) -> Any:
    return field().clean(ContentFile(made(content), name="f"))


def made(content: Content) -> bytes:
    return content() if callable(content) else content


def cases(table: list[Any]) -> pytest.MarkDecorator:
    """Parametrize a test; what is large is made when it is needed."""
    ids = [f"{field.__name__}: {sentence}" for field, _, sentence in table]
    return pytest.mark.parametrize(("field", "content", "sentence"), table, ids=ids)


@cases(AT_ONCE)
def test_starts_no_run(field: Any, content: Content, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence) as raised:
        given(field, content)
    (message,) = raised.value.messages
    assert message[-1] in ".?"
    assert "\n" not in message


@cases(IN_THE_MIDDLE)
def test_stops_the_walk_behind_the_row_before(
    field: Any, content: Content, sentence: str
) -> None:
    collection = collect(given(field, content), alias="default")
    page = collection.page(None, 10)
    assert ([str(row["a"]) for row in page.items], page.last) == (["1"], False)
    with pytest.raises(InvalidFile, match=sentence) as raised:
        collection.page(page.cursor_after(0), 10)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("field", "content"),
    [(CSVField, b"a\n"), (CSVField, b"a"), (XLSXField, book([["a"]]))],
    ids=["CSV", "CSV without an end of the line", "XLSX"],
)
def test_a_header_alone_has_no_rows(field: Any, content: bytes) -> None:
    collection = collect(given(field, content), alias="default")
    assert list(collection.page(None, 10).items) == []
    assert collection.count() in {0, None}


@pytest.mark.parametrize("field", [CSVField, JSONLinesField, XLSXField])
def test_what_is_too_large_is_told_the_limit(field: Any, settings: Settings) -> None:
    settings.UPKEEP = {"MAX_UPLOAD": 5}
    with pytest.raises(ValidationError, match=r"f has 1,000 bytes .*MAX_UPLOAD.* 5\."):
        given(field, bytes(1000))


class TestBombs:
    """A file that swells without end takes no memory."""

    @pytest.mark.parametrize(
        "content",
        [
            swollen_sheet,
            swollen_strings,
            many_parts,
            of_strings(LAUGHS + b"<sst>&c;</sst>"),
        ],
        ids=["sheet", "strings", "list of parts", "entities"],
    )
    def test_are_refused_without_being_unpacked(self, content: Content) -> None:
        file = ContentFile(made(content), name="f")
        tracemalloc.start()
        try:
            with pytest.raises(ValidationError):
                XLSXField().clean(file)
            assert tracemalloc.get_traced_memory()[1] < 8 * MB
        finally:
            tracemalloc.stop()

    def test_of_one_row_are_refused_where_it_is_too_long(self) -> None:
        numbers = b"".join(b"<c><v>%d</v></c>" % number for number in range(300_000))
        content = with_rows(b"<row>" + numbers + b"</row>")
        collection = collect(given(XLSXField, content), alias="default")
        with pytest.raises(InvalidFile, match=r"row 2: no end of the row within 4,194"):
            collection.page(None, 10)

    def test_are_measured_by_the_setting(self, settings: Settings) -> None:
        strings = b"".join(b"<si><t>%d</t></si>" % number for number in range(4000))
        content = of_strings(b"<sst>" + strings + b"</sst>")
        settings.UPKEEP = {"MAX_UPLOAD": 50_000}
        with pytest.raises(
            ValidationError, match=r"when it is unpacked, more than the"
        ):
            given(XLSXField, content)
        settings.UPKEEP = {"MAX_UPLOAD": 300_000}
        with pytest.raises(ValidationError, match=r"sharedStrings.* than an eighth of"):
            given(XLSXField, content)
        settings.UPKEEP = {"MAX_UPLOAD": None}
        assert given(XLSXField, content)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("field", "content", "where"),
    [
        (CSVField, b"a\n1\n2\n3,4\n5\n", "f, line 4"),
        (JSONLinesField, b'{"a": 1}\n{"a": 2}\n{"a"}\n', "f, line 3"),
        (XLSXField, book([["a"], [1], [2], [3, 4]]), "row 4"),
    ],
    ids=["CSV", "JSON Lines", "XLSX"],
)
def test_ends_the_run_as_errored_with_its_place_kept(
    field: Callable[..., Any],
    content: bytes,
    where: str,
    settings: Settings,
    tmp_path: Any,
) -> None:
    settings.BASE_DIR = tmp_path
    module = "tests.testapp.maintenance"
    methods = {"collection": lambda self: self.file, "process": lambda self, row: None}
    with registered():
        read: Any = type(
            "Read", (Task,), {"__module__": module, "file": field(), **methods}
        )
        run = read.run_now(file=ContentFile(content, name="f"))
    assert (run.status, run.done, run.error_class) == (
        Status.ERRORED,
        2,
        "upkeep.exceptions.InvalidFile",
    )
    assert where in run.error_message
    assert run.cursor is not None
