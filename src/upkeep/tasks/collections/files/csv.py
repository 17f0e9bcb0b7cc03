"""CSV files: rows as dicts, one at a time or in batches, streamed from any place."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.core.files import File

from upkeep.exceptions import InvalidFile
from upkeep.tasks.collections.files.base import Reader, Row, RowsFile, opened
from upkeep.tasks.collections.files.lines import LineReader, check_encoding

DialectLike = str | csv.Dialect | type[csv.Dialect]

# Options of the csv module that mean something to who reads.
OPTIONS = (
    "delimiter",
    "quotechar",
    "escapechar",
    "doublequote",
    "skipinitialspace",
    "strict",
    "quoting",
)

# With any other `quoting` the csv module makes something else than text of values.
TEXT_ONLY = frozenset({csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE})


@dataclass(frozen=True, slots=True, kw_only=True)
class CSVFormat:
    """How a CSV file is written; the options are those of the csv module and ours."""

    dialect: DialectLike = "excel"
    delimiter: str | None = None  # None, here and below: as the dialect has it.
    quotechar: str | None = None
    escapechar: str | None = None
    doublequote: bool | None = None
    skipinitialspace: bool | None = None
    strict: bool | None = None
    quoting: int | None = None
    encoding: str = "utf-8"  # A byte order mark is passed over.
    names: tuple[str, ...] = ()  # Of the columns, where no header has them.
    skip_lines: re.Pattern[str] | None = None  # Lines between records to pass over.
    strip: bool = False  # Take the white space off both ends of each value.

    def __post_init__(self) -> None:
        try:
            self.parse(iter(()))  # The csv module says what it cannot do.
        except csv.Error as error:
            raise ValueError(
                f"{error}: {self.dialect!r}. The csv module knows "
                f"{', '.join(csv.list_dialects())}."
            ) from error
        check_encoding(self.encoding)
        if not all(self.names) or len(set(self.names)) < len(self.names):
            raise ValueError(f"Each column needs a name of its own, not {self.names}.")

    def parse(self, lines: Iterator[str], **instead: Any) -> Any:
        """Return a csv.reader of lines of text; it gives records as lists."""
        given = {name: getattr(self, name) for name in OPTIONS}
        options = {name: value for name, value in given.items() if value is not None}
        return csv.reader(lines, self.dialect, **{**options, **instead})


class CSVFile(RowsFile):
    """
    A CSV file that a task was given: iterable, each row a dict by the header's names.

    Return it from `collection()` to have `process` called with each row, or
    `in_batches(50)` to have it called with lists of 50 rows.
    """

    kind = "csv"
    what = "a CSV file"

    def __init__(self, file: File[Any], format: CSVFormat | None = None) -> None:  # noqa: A002 - the word for it
        super().__init__(file)
        self.format = format or CSVFormat()

    def check(self) -> list[str]:
        with opened(self.file):
            reader = self.reader()
            if self.format.names:  # The first row speaks for the header.
                next(reader.rows, None)
            return reader.header

    def reader(self) -> Reader:
        return CSVReader(self)


class CSVReader(LineReader):
    """The rows of a CSV file; the csv module makes records of lines."""

    def __init__(self, file: CSVFile) -> None:
        self._format = file.format
        if skip_lines := file.format.skip_lines:
            self.passes_over = lambda text: skip_lines.search(text.rstrip("\r\n"))
        super().__init__(file, file.format.encoding)
        self._dialect = self._records.dialect
        self.header = self._read_header()
        self.start = (self.offset, self.line)

    def begin(self) -> None:
        self._records = self._format.parse(self.lines())
        self.rows = self._read_rows()

    def skim(self) -> Iterator[None]:
        with self._csv_errors():
            for fields in self._records:
                self._first_line = 0
                if fields:
                    yield

    def _read_header(self) -> list[str]:
        if self._format.names:
            return self._checked(self._format.names)
        if self._dialect.quoting in TEXT_ONLY:
            return self._checked(self._first_record(self._records))
        # Names are text, also where values without quotation marks are numbers.
        records = self._format.parse(self.lines(), quoting=csv.QUOTE_MINIMAL)
        header = self._checked(self._first_record(records))
        self.go_to((self.offset, self.line))
        return header

    def _first_record(self, records: Iterator[list[str]]) -> list[str]:
        with self._csv_errors():
            for fields in records:
                self._first_line = 0
                if fields:
                    return self._stripped(fields) if self._format.strip else fields
        raise InvalidFile(
            f"{self._name} is empty: its first line must name the columns."
        )

    def _read_rows(self) -> Iterator[Row]:
        header, width, strip = self.header, len(self.header), self._format.strip
        with self._csv_errors():
            for fields in self._records:
                if len(fields) == width:
                    values = self._stripped(fields) if strip else fields
                    # The keyword alone would cost a sixth of the time.
                    yield dict(zip(header, values))  # noqa: B905
                elif fields:  # A blank line is no record.
                    raise self._wrong_length(fields)
                self._first_line = 0

    def _stripped(self, fields: list[Any]) -> list[Any]:
        return [each.strip() if isinstance(each, str) else each for each in fields]

    @contextmanager
    def _csv_errors(self) -> Iterator[None]:
        try:
            yield
        except csv.Error as error:
            raise self._error(
                f"{error}. Often a quotation mark is opened here and never closed.",
                self._here,
            ) from error
        except ValueError as error:
            raise self._error(
                f"{error}. A value that is no number must be quoted, as quoting = "
                f"{self._dialect.quoting} is set.",
                self._here,
            ) from error

    def _wrong_length(self, fields: list[str]) -> InvalidFile:
        named = "names have" if self._format.names else "header has"
        return self._error(
            f"a row of length {len(fields)}, where the {named} length "
            f"{len(self.header)}. A value that holds {self._dialect.delimiter!r} must "
            "be quoted.",
            self._here,
        )

    @property
    def _here(self) -> int:
        return self._first_line or self.line + 1

    @property
    def advice_on_encoding(self) -> str:
        return (
            f"Save the file as {self._encoding}, or give the field its encoding, as in "
            'CSVField(encoding="cp1252").'
        )
