"""What all files of rows have in common, whatever their format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, ClassVar

from django.core.files import File

from upkeep.conf import conf
from upkeep.exceptions import CursorMismatch, InvalidFile
from upkeep.tasks.collections.base import Collection, Cursor, Page
from upkeep.tasks.collections.sizes import in_batches
from upkeep.tasks.uploads import StoredFile

Row = dict[str, Any]

# What lies before a row: bytes, or in a sheet rows; and lines, as people count them.
Place = tuple[int, int]


class RowsFile(ABC):
    """
    A file that a task was given: iterable, each row a dict by the names of columns.

    Return it from `collection()` to have `process` called with each row, or
    `in_batches(50)` to have it called with lists of 50 rows.
    """

    kind: ClassVar[str]
    """How cursors name the format."""

    what: ClassVar[str]
    """How sentences name the format."""

    def __init__(self, file: File[Any]) -> None:
        self.file = file

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name}>"

    def __iter__(self) -> Iterator[Row]:
        with opened(self.file):
            yield from self.reader().rows

    @property
    def name(self) -> str:
        """The name of the file, as it was given."""
        return self.file.name or "The file"

    @property
    def header(self) -> list[str]:
        """The names of the columns."""
        with opened(self.file):
            return self.reader().header

    def check(self) -> list[str]:
        """Return the names of the columns, of a file that can be begun with."""
        return self.header

    def in_batches(self, size: int) -> FileBatches:
        """Return the rows in lists of `size`, the last one shorter."""
        return FileBatches(self, size)

    @abstractmethod
    def reader(self) -> Reader:
        """Return what reads the rows, which stands before the first of them."""


class FileBatches:
    """The rows of a file in lists of `size`, the last one shorter."""

    def __init__(self, file: RowsFile, size: int) -> None:
        if size < 1:
            raise ValueError(f"A batch has at least 1 row, not {size}.")
        self.file = file
        self.size = size

    def __iter__(self) -> Iterator[list[Row]]:
        yield from batches(iter(self.file), self.size)


class Reader(ABC):
    """The rows of a file from any place in it, and the place where they stand."""

    header: list[str]
    start: Place  # Before the first row.
    offset: int
    line: int
    rows: Iterator[Row]

    unit: ClassVar[str] = "line"

    def __init__(self, file: RowsFile) -> None:
        self._name, self._file, self._what = file.name, file.file, file.what

    @property
    def is_at_end(self) -> bool:
        """Whether it is known that no row is left; if not, one has to look."""
        return False

    @abstractmethod
    def go_to(self, place: Place) -> None:
        """Go on from another place between two rows; CursorMismatch without it."""

    @abstractmethod
    def begin_page(self) -> None:
        """Know that a page of rows begins, to whose rows one may soon go back."""

    @abstractmethod
    def count(self) -> int | None:
        """Return how many rows there are, None where that is not to be known."""

    def _checked(self, header: Sequence[str]) -> list[str]:
        """Return the names of columns, if they are ones that rows can go by."""
        widest = conf.MAX_COLUMNS
        if widest is not None and len(header) > widest:
            raise InvalidFile(f"{self._name} {too_wide(len(header))}")
        for position, name in enumerate(header, start=1):
            if not name:
                raise self._error(
                    f"column {position} has no name. Give it one.", self.line
                )
        if twice := [name for name, times in Counter(header).items() if times > 1]:
            names = ", ".join(map(repr, twice))
            raise self._error(f"more than one column is named {names}.", self.line)
        return list(header)

    def _error(self, what: str, line: int) -> InvalidFile:
        return InvalidFile(f"{self._name}, {self.unit} {line:,}: {what}")


class FileCollection(Collection[Any]):
    """
    The rows of a file, or lists of `batch` rows; the cursor is a place in it.

    The file stays open and is read on from where it stands; any other cursor is
    a seek. A row that cannot be read ends its page, so that the rows before it are
    not lost with it; the next page, which begins with it, raises InvalidFile.
    """

    def __init__(self, file: RowsFile, *, batch: int | None = None) -> None:
        self.kind = file.kind  # type: ignore[misc]  # that of the format
        self.unit = "item" if batch is None else "batch"
        self._rows_file = file
        self._batch = batch
        self._was_open = not file.file.closed
        self._reader: Reader | None = None

    def page(self, cursor: Cursor | None, size: int) -> Page[Any]:
        """Return the next rows, or as many batches as `size` rows fill."""
        reader = self._reader_at(cursor)
        items: list[Any] = []
        places: list[Place] = []
        wanted = size if self._batch is None else max(1, size // self._batch)
        try:
            for item in islice(self._items_of(reader), wanted):
                items.append(item)
                places.append((reader.offset, reader.line))
        except InvalidFile:
            if not items:
                raise
        else:
            self._reader = reader
        last = self._reader is not None and (len(items) < wanted or reader.is_at_end)
        return Page(items, last, lambda index: self._cursor(places[index]))

    def count(self) -> int | None:
        """
        Count by reading the file, or estimate from the start of a large one.

        None where the file cannot be read: that error belongs to the row.
        """
        try:
            with opened(self._rows_file.file):
                rows = self._rows_file.reader().count()
        except InvalidFile:
            return None
        return in_batches(rows, self._batch or 1)

    def close(self) -> None:
        """Close the file, unless it was open before."""
        self._reader = None
        if not self._was_open:
            self._rows_file.file.close()

    def _reader_at(self, cursor: Cursor | None) -> Reader:
        if cursor is not None:
            self.check_kind(cursor)
        # Taken away until its page is whole: a reader that failed cannot go on.
        reader, self._reader = self._reader or self._rows_file.reader(), None
        place = reader.start if cursor is None else (cursor["offset"], cursor["line"])
        if place != (reader.offset, reader.line):
            reader.go_to(place)
        reader.begin_page()
        return reader

    def _items_of(self, reader: Reader) -> Iterator[Any]:
        return reader.rows if self._batch is None else batches(reader.rows, self._batch)

    def _cursor(self, place: Place) -> Cursor:
        offset, line = place
        return {"kind": self.kind, "offset": offset, "line": line}


def too_wide(columns: int) -> str:
    """Say that there are more columns than the settings allow."""
    return (
        f"has {columns:,} columns, more than the {conf.MAX_COLUMNS:,} that "
        'UPKEEP["MAX_COLUMNS"] allows.'
    )


def no_such_place(place: Place, name: str, unit: str, size: int) -> CursorMismatch:
    """Return the error for a cursor behind the end of a file."""
    return CursorMismatch(
        f"The run stopped at {unit} {place[0]} of a file, but {name} has only {size} "
        f"{unit}s. Cancel the run and start a new one."
    )


def batches(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    """Yield the rows in lists of `size`, the last one shorter."""
    while batch := list(islice(rows, size)):
        yield batch


@contextmanager
def opened(file: File[Any]) -> Iterator[None]:
    """Leave a file as it was found: closed, or open at its beginning."""
    was_open = not file.closed
    try:
        yield
    finally:
        if was_open or (isinstance(file, StoredFile) and file.is_far):
            file.seek(0)  # One from afar stays until its owner closes it.
        else:
            file.close()
