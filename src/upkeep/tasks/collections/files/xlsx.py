"""XLSX files: the rows of a sheet as dicts, read by openpyxl."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.files import File
from django.utils.module_loading import import_string

from upkeep.conf import conf
from upkeep.exceptions import InvalidFile
from upkeep.tasks.collections.files.base import (
    Place,
    Reader,
    Row,
    RowsFile,
    no_such_place,
    too_wide,
)

if TYPE_CHECKING:
    from upkeep.tasks.collections.files.workbooks import Cells, Workbook

# A row that was read: the place behind it, and its values.
SeenRow = tuple[Place, list[Any]]

# Imported when it is needed: it is large, and it needs packages that are optional.
WORKBOOK = "upkeep.tasks.collections.files.workbooks.Workbook"

DIMENSION = re.compile(rb'<(?:\w+:)?dimension\s[^>]*ref="[A-Z]+\d+:[A-Z]+(\d+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class XLSXFormat:
    """Which part of an XLSX file is read."""

    sheet: str | None = None  # None: the first.


class XLSXFile(RowsFile):
    """
    A sheet of an XLSX file that a task was given: iterable, each row a dict.

    Return it from `collection()` to have `process` called with each row, or
    `in_batches(50)` to have it called with lists of 50 rows.
    """

    kind = "xlsx"
    what = "an XLSX file"

    def __init__(self, file: File[Any], format: XLSXFormat | None = None) -> None:  # noqa: A002 - the word for it
        super().__init__(file)
        self.format = format or XLSXFormat()

    def reader(self) -> Reader:
        return XLSXReader(self)


class XLSXReader(Reader):
    """
    The rows of a sheet, and the number of them that were read.

    A sheet can only be read from its beginning: to go on from a row is to skim those
    before it. Most chunks end amid a page, so the rows of the page are remembered: to
    skim for each chunk would take a time that grows by the square of the rows.
    A formula is the value that it had when the file was saved.
    """

    unit = "row"

    def __init__(self, file: XLSXFile) -> None:
        super().__init__(file)
        self._book = workbook_class()(file)
        self.sheet, self._part = self._book.find_sheet(file.format.sheet)
        self._name = f"{self._name}, sheet {self.sheet!r}"
        self._page: list[SeenRow] | None = None
        self._skim_to((0, 0))
        self.header = self._read_header()
        self.start = (self.offset, self.line)

    def go_to(self, place: Place) -> None:
        page = self._page
        if page is not None and self._page_start <= place[0] <= self.offset:
            self._go_on_from(place)
            self._ahead.extendleft(seen for seen in reversed(page) if seen[0] > place)
        else:
            self._skim_to(place)

    def begin_page(self) -> None:
        self._page, self._page_start = [], self.offset

    def _skim_to(self, place: Place) -> None:
        self._ahead: deque[SeenRow] = deque()  # What comes once more, before the rest.
        self._rest = enumerate(self._book.rows(self._part), start=1)
        passed = sum(1 for _ in islice(self._rest, place[0]))
        if passed < place[0]:
            raise no_such_place(place, self._name, "row", passed)
        self._go_on_from(place)

    def _go_on_from(self, place: Place) -> None:
        self.offset, self.line = place
        self._page = None
        self._rows_of_values = self._read_values()
        self.rows = self._read_rows()

    def count(self) -> int | None:
        """Return what the sheet says of its size, None where it says nothing."""
        found = DIMENSION.search(self._book.head(self._part))
        return max(0, int(found[1]) - self.line) if found else None

    def _read_header(self) -> list[str]:
        for values in self._rows_of_values:
            if values:
                return self._checked(
                    ["" if value is None else str(value).strip() for value in values]
                )
        raise InvalidFile(
            f"{self._name} is empty: its first row must name the columns."
        )

    def _read_rows(self) -> Iterator[Row]:
        header, width = self.header, len(self.header)
        for values in self._rows_of_values:
            if len(values) > width:
                raise self._error(
                    f"a value in column {len(values)}, where the header has length "
                    f"{width}.",
                    self.line,
                )
            if values:
                missing = [None] * (width - len(values))
                yield dict(zip(header, values + missing, strict=True))

    def _read_values(self) -> Iterator[list[Any]]:
        """Yield the values of each row, up to the last one; an empty row has none."""
        while seen := self._ahead.popleft() if self._ahead else self._read_row():
            (self.offset, self.line), values = seen
            if self._page is not None:
                self._page.append(seen)
            yield values

    def _read_row(self) -> SeenRow | None:
        for offset, (number, cells) in self._rest:
            return (offset, number), self._values(cells, number)
        return None

    def _values(self, cells: Cells, number: int) -> list[Any]:
        """Return the values of cells, which may have gaps between them."""
        filled = [cell for cell in cells if cell["value"] is not None]
        width = max((cell["column"] for cell in filled), default=0)
        if conf.MAX_COLUMNS is not None and width > conf.MAX_COLUMNS:
            raise self._error(f"it {too_wide(width)}", number)
        values: list[Any] = [None] * width
        for cell in filled:
            values[cell["column"] - 1] = cell["value"]
        return values


def workbook_class() -> type[Workbook]:
    """Return what opens XLSX files, or say what is to be installed."""
    try:
        found: type[Workbook] = import_string(WORKBOOK)
    except ImportError as error:
        raise ImproperlyConfigured(
            'An XLSXField needs openpyxl and defusedxml: install "django-upkeep[xlsx]".'
        ) from error
    return found
