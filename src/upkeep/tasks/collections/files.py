"""CSV files: rows as dicts, one at a time or in batches, streamed from any place."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from django.core.files import File

from upkeep.exceptions import CursorMismatch, InvalidFile
from upkeep.tasks.collections.base import Collection, Cursor, Page

Row = dict[str, str]

Place = tuple[int, int]  # The bytes and the lines before a record.

BLOCK = 1 << 16  # Bytes read at once.
LONGEST_LINE = 1 << 24  # Bytes; beyond, it is no CSV file, and would fill the memory.
COUNTED = 64 << 20  # Bytes up to which rows are counted exactly.
SAMPLE = 1 << 20  # Bytes from which the rows of larger files are estimated.


@dataclass(frozen=True, slots=True, kw_only=True)
class CSVFormat:
    """How a CSV file is written; the options are those of the csv module and ours."""

    delimiter: str = ","
    quotechar: str | None = '"'  # None: quotation marks mean nothing.
    escapechar: str | None = None
    doublequote: bool = True
    skipinitialspace: bool = False
    strict: bool = False
    encoding: str = "utf-8"  # A byte order mark is passed over.
    skip_lines: re.Pattern[str] | None = None  # Lines between records to pass over.
    strip: bool = False  # Take the white space off both ends of each value.

    def __post_init__(self) -> None:
        self.parse(iter(()))  # The csv module says what it cannot do.
        check_encoding(self.encoding)

    def parse(self, lines: Iterator[str]) -> Iterator[list[str]]:
        """Return the records of lines of text, each a list of strings."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quotechar,
            quoting=csv.QUOTE_NONE if self.quotechar is None else csv.QUOTE_MINIMAL,
            escapechar=self.escapechar,
            doublequote=self.doublequote,
            skipinitialspace=self.skipinitialspace,
            strict=self.strict,
        )

    @property
    def codec(self) -> str:
        """The Python codec that reads the text after the byte order mark."""
        name = codecs.lookup(self.encoding).name
        return "utf-8" if name == "utf-8-sig" else name


def check_encoding(encoding: str) -> None:
    """Refuse an encoding that is unknown or whose lines do not end in one byte."""
    try:
        newline = "\n".encode(encoding).removeprefix(codecs.BOM_UTF8)
    except LookupError as error:
        raise ValueError(
            f"{encoding!r} is no text encoding that Python knows."
        ) from error
    if newline != b"\n":
        raise ValueError(
            f"A CSV file in {encoding} cannot be read from its middle, since its "
            "lines do not end in the byte 0x0A. Save such files as UTF-8."
        )


class CSVFile:
    """
    A CSV file that a task was given: iterable, each row a dict by the header's names.

    Return it from `collection()` to have `process` called with each row, or
    `in_batches(50)` to have it called with lists of 50 rows.
    """

    def __init__(self, file: File[Any], format: CSVFormat | None = None) -> None:  # noqa: A002 - the word for it
        self.file = file
        self.format = format or CSVFormat()

    def __repr__(self) -> str:
        return f"<CSVFile: {self.name}>"

    def __iter__(self) -> Iterator[Row]:
        with opened(self.file):
            yield from Reader(self).rows

    @property
    def name(self) -> str:
        """The name of the file, as it was given."""
        return self.file.name or "The file"

    @property
    def header(self) -> list[str]:
        """The names of the columns."""
        with opened(self.file):
            return Reader(self).header

    def in_batches(self, size: int) -> CSVBatches:
        """Return the rows in lists of `size`, the last one shorter."""
        return CSVBatches(self, size)


class CSVBatches:
    """The rows of a CSV file in lists of `size`, the last one shorter."""

    def __init__(self, csv_file: CSVFile, size: int) -> None:
        if size < 1:
            raise ValueError(f"A batch has at least 1 row, not {size}.")
        self.csv_file = csv_file
        self.size = size

    def __iter__(self) -> Iterator[list[Row]]:
        yield from batches(iter(self.csv_file), self.size)


class CSVCollection(Collection[Any]):
    """
    The rows of a CSV file, or lists of `batch` rows; the cursor is a place in it.

    The file stays open and is read on from where it stands; any other cursor is
    a seek. A row that cannot be read ends its page, so that the rows before it are
    not lost with it; the next page, which begins with it, raises InvalidFile.
    """

    kind = "csv"

    def __init__(self, csv_file: CSVFile, *, batch: int | None = None) -> None:
        self._csv_file = csv_file
        self._batch = batch
        self.unit = "item" if batch is None else "batch"
        self._was_open = not csv_file.file.closed
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
        last = self._reader is not None and (
            len(items) < wanted or reader.offset >= self._csv_file.file.size
        )
        return Page(items, last, lambda index: self._cursor(places[index]))

    def count(self) -> int | None:
        """
        Count by reading the file, or estimate from the start of a large one.

        None where the file cannot be read: that error belongs to the row.
        """
        try:
            with opened(self._csv_file.file):
                rows = count_rows(self._csv_file)
        except InvalidFile:
            return None
        return rows if self._batch is None else -(-rows // self._batch)

    def close(self) -> None:
        """Close the file, unless it was open before."""
        self._reader = None
        if not self._was_open:
            self._csv_file.file.close()

    def _reader_at(self, cursor: Cursor | None) -> Reader:
        # Taken away until its page is whole: a reader that failed cannot go on.
        reader, self._reader = self._reader or Reader(self._csv_file), None
        place = reader.start if cursor is None else self._place(cursor)
        if place != (reader.offset, reader.line):
            reader.go_to(place)
        return reader

    def _items_of(self, reader: Reader) -> Iterator[Any]:
        return reader.rows if self._batch is None else batches(reader.rows, self._batch)

    def _place(self, cursor: Cursor) -> Place:
        self.check_kind(cursor)
        if cursor["offset"] > self._csv_file.file.size:
            raise CursorMismatch(
                f"The run stopped at byte {cursor['offset']} of a file, but "
                f"{self._csv_file.name} has only {self._csv_file.file.size} bytes. "
                "Cancel the run and start a new one."
            )
        return cursor["offset"], cursor["line"]

    def _cursor(self, place: Place) -> Cursor:
        offset, line = place
        return {"kind": self.kind, "offset": offset, "line": line}


class Reader:
    """
    The rows of a CSV file from any place in it, and the place where they stand.

    The csv module takes no line before it needs it, so counting the bytes of the
    lines that it took gives the place of the next record exactly.
    """

    def __init__(self, csv_file: CSVFile) -> None:
        self._name, self._file = csv_file.name, csv_file.file
        self._format, self._codec = csv_file.format, csv_file.format.codec
        self.go_to((self._length_of_mark(), 0))
        self.header = self._read_header()
        self.start: Place = (self.offset, self.line)

    def go_to(self, place: Place) -> None:
        """Go on from another place between two records."""
        self.offset, self.line = place
        self._first_line = 0  # Of the record in hand; 0 between two records.
        self._records = self._format.parse(self._read_lines())
        self.rows = self._read_rows()

    def _read_header(self) -> list[str]:
        with self._csv_errors():
            for fields in self._records:
                self._first_line = 0
                if fields:
                    return self._checked(self._values(fields))
        raise InvalidFile(
            f"{self._name} is empty: its first line must name the columns."
        )

    def _checked(self, header: list[str]) -> list[str]:
        if twice := [name for name, times in Counter(header).items() if times > 1]:
            names = ", ".join(map(repr, twice))
            raise self._error(f"more than one column is named {names}.", self.line)
        return header

    def _read_rows(self) -> Iterator[Row]:
        header, width, strip = self.header, len(self.header), self._format.strip
        with self._csv_errors():
            for fields in self._records:
                if len(fields) == width:
                    values = self._values(fields) if strip else fields
                    # The keyword alone would cost a sixth of the time.
                    yield dict(zip(header, values))  # noqa: B905
                elif fields:  # A blank line is no record.
                    raise self._wrong_length(fields)
                self._first_line = 0

    def skim(self) -> Iterator[None]:
        """Pass over the rows without a look at what is in them."""
        with self._csv_errors():
            for fields in self._records:
                self._first_line = 0
                if fields:
                    yield

    def _values(self, fields: list[str]) -> list[str]:
        return [field.strip() for field in fields] if self._format.strip else fields

    @contextmanager
    def _csv_errors(self) -> Iterator[None]:
        try:
            yield
        except csv.Error as error:
            raise self._error(
                f"{error}. Often a quotation mark is opened here and never closed."
            ) from error

    def _read_lines(self) -> Iterator[str]:
        codec, skip_lines = self._codec, self._format.skip_lines
        for line in chain.from_iterable(self._read_blocks()):
            self.line += 1
            self.offset += len(line)
            try:
                text = line.decode(codec)
            except UnicodeDecodeError as error:
                raise self._undecodable(error) from error
            if "\0" in text:
                raise self._error("a NUL byte. Is this a CSV file?", self.line)
            if not self._first_line:
                if skip_lines and skip_lines.search(text.rstrip("\r\n")):
                    continue
                self._first_line = self.line
            yield text
        if self._first_line:
            raise self._error("a quoted value begins here and never ends.")

    def _read_blocks(self) -> Iterator[list[bytes]]:
        position, rest = self.offset, b""
        while block := self._read_block(position):
            position += len(block)
            lines = (rest + block).splitlines(keepends=True)
            rest = lines.pop()  # It may go on in the next block.
            if len(rest) > LONGEST_LINE:
                raise self._error("no end of the line. Is this a CSV file?")
            yield lines
        if rest:
            yield [rest]

    def _read_block(self, position: int, size: int = BLOCK) -> bytes:
        if self._file.closed:
            self._file.open("rb")
        # Somebody else may read the same file meanwhile.
        self._file.seek(position)
        block = self._file.read(size)
        if not isinstance(block, bytes):
            raise InvalidFile(f"{self._name} is open as text: open it with mode 'rb'.")
        return block

    def _length_of_mark(self) -> int:
        mark = codecs.BOM_UTF8
        marked = self._codec == "utf-8" and self._read_block(0, len(mark)) == mark
        return len(mark) if marked else 0

    def _wrong_length(self, fields: list[str]) -> InvalidFile:
        return self._error(
            f"a row of length {len(fields)}, where the header has length "
            f"{len(self.header)}. A "
            f"value that holds {self._format.delimiter!r} must be quoted."
        )

    def _undecodable(self, error: UnicodeDecodeError) -> InvalidFile:
        return self._error(
            f"byte 0x{error.object[error.start]:02X} at position {error.start + 1} is "
            f"not {self._format.encoding}. Save the file as "
            f"{self._format.encoding}, or give the field its encoding, as in "
            'CSVField(encoding="cp1252").',
            self.line,
        )

    def _error(self, what: str, line: int | None = None) -> InvalidFile:
        line = line or self._first_line or self.line + 1
        return InvalidFile(f"{self._name}, line {line}: {what}")


def count_rows(csv_file: CSVFile) -> int:
    """Count the rows of a file, or estimate them from the start of a large one."""
    reader, size, rows = Reader(csv_file), csv_file.file.size, 0
    for _ in reader.skim():
        rows += 1
        if size > COUNTED and reader.offset > SAMPLE:
            start, _ = reader.start
            return round(rows * (size - start) / (reader.offset - start))
    return rows


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
        if was_open:
            file.seek(0)
        else:
            file.close()
