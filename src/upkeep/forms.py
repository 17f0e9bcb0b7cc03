"""Form fields for the parameters of tasks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files import File
from django.utils.translation import gettext_lazy as _

from upkeep.exceptions import InvalidFile
from upkeep.tasks.collections.files import CSVFile, CSVFormat
from upkeep.tasks.uploads import LocalFile

__all__ = ["CSVField"]


class CSVField(forms.FileField):
    """
    A CSV file whose first line names its columns; the cleaned value is a `CSVFile`.

    The options are those of the csv module, and `encoding`, `skip_lines` (a regular
    expression for lines between records to pass over, such as r"^#"), `strip` (take
    the white space off both ends of each value) and `columns` (names that the
    header must have).
    """

    default_error_messages = {
        "missing_columns": _("The header lacks: %(missing)s. It names: %(found)s."),
        "not_seekable": _("The file can be read only once. Save it to a disk first."),
    }

    def __init__(  # noqa: PLR0913 - the options of the csv module
        self,
        *,
        delimiter: str = ",",
        quotechar: str | None = '"',
        escapechar: str | None = None,
        doublequote: bool = True,
        skipinitialspace: bool = False,
        strict: bool = False,
        encoding: str = "utf-8",
        skip_lines: str | re.Pattern[str] | None = None,
        strip: bool = False,
        columns: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.columns = tuple(columns)
        self.format = CSVFormat(
            delimiter=delimiter,
            quotechar=quotechar,
            escapechar=escapechar,
            doublequote=doublequote,
            skipinitialspace=skipinitialspace,
            strict=strict,
            encoding=encoding,
            skip_lines=None if skip_lines is None else re.compile(skip_lines),
            strip=strip,
        )

    def clean(self, data: Any, initial: Any = None) -> CSVFile | None:
        """
        Return the file as a `CSVFile`, or None where none is required or given.

        Takes an uploaded or any other Django file, a binary file object, or a path.
        The header is read here, so that a file without one starts no run.
        """
        file = super().clean(as_file(data), initial)
        if not file:
            return None
        csv_file = file if isinstance(file, CSVFile) else self.wrap(file)
        self._check_header(csv_file)
        return csv_file

    def wrap(self, file: File[Any]) -> CSVFile:
        """Return a file as the value that a task sees."""
        return CSVFile(file, self.format)

    def _check_header(self, csv_file: CSVFile) -> None:
        if not csv_file.file.closed and not csv_file.file.seekable():
            raise self._invalid("not_seekable")
        try:
            header = csv_file.header
        except InvalidFile as error:
            raise ValidationError(str(error), code="invalid_file") from error
        if missing := [name for name in self.columns if name not in header]:
            raise self._invalid(
                "missing_columns", missing=", ".join(missing), found=", ".join(header)
            )

    def _invalid(self, code: str, **params: str) -> ValidationError:
        return ValidationError(self.error_messages[code], code=code, params=params)


def as_file(data: Any) -> Any:
    """Return a path or a binary file object as a Django file, other data as it is."""
    if isinstance(data, CSVFile):
        return data.file
    if isinstance(data, Path):
        return local_file(data)
    if hasattr(data, "read") and not isinstance(data, File):
        return File(data, name=Path(str(getattr(data, "name", "data.csv"))).name)
    return data


def local_file(path: Path) -> LocalFile:
    """Return the file at a path, which is opened when it is read."""
    try:
        return LocalFile(path)
    except OSError as error:
        raise ValidationError(f"{path}: {error.strerror}.", code="no_file") from error
