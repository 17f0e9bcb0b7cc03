"""JSON Lines files: an object on each line, streamed from any place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from django.core.files import File

from upkeep.conf import conf
from upkeep.exceptions import InvalidFile
from upkeep.tasks.collections.files.base import Reader, Row, RowsFile, too_wide
from upkeep.tasks.collections.files.lines import LineReader

ADVICE = 'Each line must be one JSON object, such as {"title": "One"}.'


@dataclass(frozen=True, slots=True, kw_only=True)
class JSONLinesFormat:
    """What a JSON Lines file must hold; how it is written leaves nothing to choose."""

    columns: tuple[str, ...] = ()  # Keys that each object must have.


class JSONLinesFile(RowsFile):
    """
    A JSON Lines file that a task was given: iterable, each row a dict.

    Return it from `collection()` to have `process` called with each row, or
    `in_batches(50)` to have it called with lists of 50 rows.
    """

    kind = "jsonlines"
    what = "a JSON Lines file"

    def __init__(self, file: File[Any], format: JSONLinesFormat | None = None) -> None:  # noqa: A002 - the word for it
        super().__init__(file)
        self.format = format or JSONLinesFormat()

    def reader(self) -> Reader:
        return JSONLinesReader(self)


class JSONLinesReader(LineReader):
    """The rows of a JSON Lines file."""

    passes_over = staticmethod(str.isspace)

    def __init__(self, file: JSONLinesFile) -> None:
        self._columns = file.format.columns
        self._decode = json.JSONDecoder(parse_constant=refuse_constant).decode
        super().__init__(file, "utf-8")

    @property
    def header(self) -> list[str]:  # type: ignore[override]  # found by looking
        """The keys of the first object."""
        place = self.offset, self.line
        self.go_to(self.start)
        for row in self.rows:
            self.go_to(place)
            return list(row)
        raise InvalidFile(f"{self._name} is empty. {ADVICE}")

    def begin(self) -> None:
        self.rows = self._read_rows()

    def skim(self) -> Iterator[None]:
        for _ in self.lines():
            self._first_line = 0
            yield

    def _read_rows(self) -> Iterator[Row]:
        columns, widest = self._columns, conf.MAX_COLUMNS
        for text in self.lines():
            row = self._parsed(text)
            if widest is not None and len(row) > widest:
                raise self._error(f"it {too_wide(len(row))}", self.line)
            if missing := [name for name in columns if name not in row]:
                raise self._error(f"it lacks {', '.join(missing)}.", self.line)
            self._first_line = 0
            yield row

    def _parsed(self, text: str) -> Row:
        try:
            row = self._decode(text)
        except json.JSONDecodeError as error:
            raise self._error(
                f"{error.msg} at position {error.colno}. {ADVICE}", self.line
            ) from error
        except RecursionError as error:
            raise self._error("it is nested too deeply.", self.line) from error
        except ValueError as error:  # NaN, or a number of thousands of digits.
            raise self._error(f"{error}.", self.line) from error
        if not isinstance(row, dict):
            raise self._error(
                f"a value of type {type(row).__name__}. {ADVICE}", self.line
            )
        return row


def refuse_constant(name: str) -> NoReturn:
    """Refuse what Python's json writes by default, and JSON does not have."""
    raise ValueError(f"{name} is no JSON")
