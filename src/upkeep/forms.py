"""Form fields for the parameters of tasks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.core.files import File
from django.utils.translation import gettext_lazy as _

from upkeep.exceptions import InvalidFile
from upkeep.tasks.collections.files import (
    CSVFile,
    CSVFormat,
    JSONLinesFile,
    JSONLinesFormat,
    RowsFile,
    XLSXFile,
    XLSXFormat,
)
from upkeep.tasks.collections.files.csv import DialectLike
from upkeep.tasks.collections.files.xlsx import workbook_class
from upkeep.tasks.uploads import LocalFile, too_large

__all__ = ["CSVField", "JSONLinesField", "XLSXField"]


class RowsField(forms.FileField):
    """A file of rows; the cleaned value is one that `collection()` can return."""

    accept: ClassVar[str]
    """What a browser offers to choose."""

    columns: tuple[str, ...]

    default_error_messages = {
        "missing_columns": _("The header lacks: %(missing)s. It names: %(found)s."),
        "not_seekable": _("The file can be read only once. Save it to a disk first."),
    }

    def clean(self, data: Any, initial: Any = None) -> RowsFile | None:
        """
        Return the file as the value that a task sees, or None where none is given.

        Takes an uploaded or any other Django file, a binary file object, or a path.
        Its beginning is read here, so that a file of another kind starts no run.
        """
        file = super().clean(as_file(data), initial)
        if not file:
            return None
        wrapped = file if isinstance(file, RowsFile) else self.wrap(file)
        self._check(wrapped)
        return wrapped

    def wrap(self, file: File[Any]) -> RowsFile:
        """Return a file as the value that a task sees."""
        raise NotImplementedError

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """Have the browser offer files of the kind that is wanted."""
        return {**super().widget_attrs(widget), "accept": self.accept}

    def _check(self, wrapped: RowsFile) -> None:
        file = wrapped.file
        if not file.closed and not file.seekable():
            raise self._invalid("not_seekable")
        if refusal := too_large(wrapped.name, file.size):
            raise ValidationError(refusal, code="too_large")
        try:
            header = wrapped.check()
        except InvalidFile as error:
            raise ValidationError(str(error), code="invalid_file") from error
        if missing := [name for name in self.columns if name not in header]:
            raise self._invalid(
                "missing_columns", missing=", ".join(missing), found=", ".join(header)
            )

    def _invalid(self, code: str, **params: str) -> ValidationError:
        return ValidationError(self.error_messages[code], code=code, params=params)


class CSVField(RowsField):
    """
    A CSV file whose first line names its columns; the cleaned value is a `CSVFile`.

    The options are those of the csv module, and `encoding`, `skip_lines` (a regular
    expression for lines between records to pass over, such as r"^#"), `strip` (take
    the white space off both ends of each value), `columns` (names that the header
    must have) and `names` (of the columns of a file that has no header).
    """

    accept = ".csv,.tsv,.txt,text/csv"

    def __init__(  # noqa: PLR0913 - the options of the csv module
        self,
        *,
        columns: Sequence[str] = (),
        names: Sequence[str] = (),
        encoding: str = "utf-8",
        skip_lines: str | re.Pattern[str] | None = None,
        strip: bool = False,
        dialect: DialectLike = "excel",
        delimiter: str | None = None,
        quotechar: str | None = None,
        escapechar: str | None = None,
        doublequote: bool | None = None,
        skipinitialspace: bool | None = None,
        strict: bool | None = None,
        quoting: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.columns = _names(columns)
        self.format = CSVFormat(
            dialect=dialect,
            delimiter=delimiter,
            quotechar=quotechar,
            escapechar=escapechar,
            doublequote=doublequote,
            skipinitialspace=skipinitialspace,
            strict=strict,
            quoting=quoting,
            encoding=encoding,
            names=_names(names),
            skip_lines=None if skip_lines is None else re.compile(skip_lines),
            strip=strip,
        )

    def wrap(self, file: File[Any]) -> CSVFile:
        return CSVFile(file, self.format)


class JSONLinesField(RowsField):
    """
    A file with a JSON object on each line; the cleaned value is a `JSONLinesFile`.

    `columns` are keys that each object must have.
    """

    accept = ".jsonl,.ndjson,.json,application/jsonl"

    def __init__(self, *, columns: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.columns = _names(columns)
        self.format = JSONLinesFormat(columns=self.columns)

    def wrap(self, file: File[Any]) -> JSONLinesFile:
        return JSONLinesFile(file, self.format)


class XLSXField(RowsField):
    """
    An XLSX file with a sheet whose first row names the columns, as an `XLSXFile`.

    `sheet` is the name of the sheet, by default the first one's; `columns` are names
    that the header must have. Needs the extra `xlsx`.
    """

    accept = ".xlsx,.xlsm"

    def __init__(
        self, *, columns: Sequence[str] = (), sheet: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        workbook_class()  # It says now what is to be installed.
        self.columns = _names(columns)
        self.format = XLSXFormat(sheet=sheet)

    def wrap(self, file: File[Any]) -> XLSXFile:
        return XLSXFile(file, self.format)


def _names(columns: Sequence[str]) -> tuple[str, ...]:
    """Return names of columns, but not the letters of a single one."""
    if isinstance(columns, str):
        raise TypeError(
            f"Names of columns are given in a list: [{columns!r}], not {columns!r}."
        )
    return tuple(columns)


def as_file(data: Any) -> Any:
    """Return a path or a binary file object as a Django file, other data as it is."""
    if isinstance(data, RowsFile):
        return data.file
    if isinstance(data, Path):
        return local_file(data)
    if hasattr(data, "read") and not isinstance(data, File):
        return File(data, name=Path(str(getattr(data, "name", "file"))).name)
    return data


def local_file(path: Path) -> LocalFile:
    """Return the file at a path, which is opened when it is read."""
    try:
        return LocalFile(path)
    except OSError as error:
        raise ValidationError(f"{path}: {error.strerror}.", code="no_file") from error
