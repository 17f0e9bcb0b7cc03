"""XLSX files as openpyxl opens them, if they are honest; the one who knows it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, cast
from zipfile import BadZipFile, ZipFile, ZipInfo

import openpyxl
from django.core.files import File
from openpyxl.reader.excel import ExcelReader
from openpyxl.styles.stylesheet import apply_stylesheet
from openpyxl.worksheet._reader import WorkSheetParser

from upkeep.conf import conf
from upkeep.exceptions import InvalidFile, UpkeepError
from upkeep.tasks.collections.files import kinds

if not openpyxl.DEFUSEDXML:
    raise ImportError("openpyxl lacks defusedxml, without which a file can harm us.")

if TYPE_CHECKING:
    from upkeep.tasks.collections.files.xlsx import XLSXFile

HEAD = 1 << 13  # Bytes of a sheet in which its dimension stands, if anywhere.
LONGEST = 1 << 22  # Bytes of a row.
MOST_ROWS = 1 << 20  # As Excel has it.
LARGEST_DIRECTORY = 1 << 20  # Bytes of the list of parts, some ten thousand.
LOADED_SHARE = 8  # What is loaded whole may be so much smaller than all there may be.
SWOLLEN = 200  # Times; honest parts swell to 5 or 30 times their size.
SMALL = 1 << 13  # Bytes of a part that may swell so much whatever it is.

Cells = list[dict[str, Any]]


class Workbook:
    """
    An XLSX file that openpyxl has opened, if it is honest.

    A small file may swell to any size when it is unpacked, so the sizes of its parts
    are looked at first, and no row may be longer than any honest one. Sheets are not
    loaded: only what is common to them is.
    """

    def __init__(self, file: XLSXFile) -> None:
        self._name, self._file, self._what = file.name, file.file, file.what
        self._check_head()
        self._parts = self._open_parts()
        self._parts.check(self._name)
        with self._errors(), without_warnings():
            self._reader = self._load()
            self._sheets = self._find_sheets()

    def find_sheet(self, name: str | None) -> tuple[str, str]:
        """Return the name of a sheet, the first by default, and its part's."""
        for title, part in self._sheets.items():
            if name in (None, title):
                return title, part
        if name is None:
            raise InvalidFile(f"{self._name} has no sheet with rows.")
        raise InvalidFile(
            f"{self._name} has no sheet {name!r}. It has: {', '.join(self._sheets)}."
        )

    def head(self, part: str) -> bytes:
        """Return the beginning of a part."""
        with self._errors(), self._parts.sheet(part) as stream:
            return stream.read(HEAD)

    def rows(self, part: str) -> Iterator[tuple[int, Cells]]:
        """Yield the rows of a sheet, each with its number and its cells."""
        book: Any = self._reader.wb  # Its formats are not in the type stubs.
        with self._parts.sheet(part) as stream:
            measured = Measured(stream, self._name)
            parser = WorkSheetParser(
                measured,
                self._reader.shared_strings,
                data_only=True,
                epoch=book.epoch,
                date_formats=book._date_formats,  # noqa: SLF001 - as openpyxl does
                timedelta_formats=book._timedelta_formats,  # noqa: SLF001 - likewise
            )
            with self._errors(measured):
                for row in parser.parse():
                    measured.finish_row()
                    yield row

    def _load(self) -> ExcelReader:
        """Do as `load_workbook(read_only=True, data_only=True)`, without the sheets."""
        reader = ExcelReader(
            self._file, read_only=True, data_only=True, keep_links=False
        )
        reader.archive = self._parts
        reader.read_manifest()
        reader.read_strings()
        reader.read_workbook()
        apply_stylesheet(reader.archive, reader.wb)
        return reader

    def _find_sheets(self) -> dict[str, str]:
        found = self._reader.parser.find_sheets()
        return {
            sheet.name: relation.target
            for sheet, relation in found
            if relation.Type.endswith("/worksheet")
        }

    def _check_head(self) -> None:
        self._file.open("rb") if self._file.closed else self._file.seek(0)
        head = self._file.read(64)
        if not isinstance(head, bytes):
            raise InvalidFile(f"{self._name} is open as text: open it with mode 'rb'.")
        if head.startswith(kinds.XLSX):
            return
        refusal = kinds.refusal(head, self._what)
        raise InvalidFile(
            f"{self._name} {refusal or f'is not {self._what}. Save it as one (.xlsx).'}"
        )

    def _open_parts(self) -> Parts:
        guarded = Guarded(self._file, self._name)
        try:
            parts = Parts(cast("IO[bytes]", guarded))
        except BadZipFile as error:
            raise InvalidFile(
                f"{self._name} is broken or cut off: {told(error)}."
            ) from error
        if "[Content_Types].xml" not in parts.namelist():
            raise InvalidFile(
                f"{self._name} is a ZIP archive, and not {self._what}. Save it as one "
                "(.xlsx)."
            )
        guarded.is_open = True
        return parts

    @contextmanager
    def _errors(self, where: object = "") -> Iterator[None]:
        try:
            yield
        except (UpkeepError, MemoryError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # Of the storage; openpyxl raises bare ones of its own.
            # What openpyxl and those below it raise for broken files has no end.
            raise InvalidFile(
                f"{self._name}{where} cannot be read as {self._what}: {told(error)}."
            ) from error


class Parts(ZipFile):
    """The parts of an XLSX file; what is loaded whole must be small."""

    def check(self, name: str) -> None:
        """Refuse a file that swells to more than it should when it is unpacked."""
        size = sum(part.file_size for part in self.infolist())
        if conf.MAX_UPLOAD is not None and size > conf.MAX_UPLOAD:
            raise InvalidFile(
                f"{name} has {size:,} bytes when it is unpacked, more than the "
                f'{conf.MAX_UPLOAD:,} that UPKEEP["MAX_UPLOAD"] allows.'
            )
        for part in self.infolist():
            if part.file_size > SWOLLEN * max(part.compress_size, SMALL):
                raise InvalidFile(
                    f"{name} swells from {part.compress_size:,} to "
                    f"{part.file_size:,} bytes when {part.filename} is unpacked, which "
                    "no honest file does."
                )

    def open(self, name: str | ZipInfo, *args: Any, **kwargs: Any) -> IO[bytes]:
        """Open a part that is loaded whole."""
        part = name if isinstance(name, ZipInfo) else self.getinfo(name)
        limit = conf.MAX_UPLOAD
        if limit is not None and part.file_size > limit // LOADED_SHARE:
            raise InvalidFile(
                f"{part.filename} in it has {part.file_size:,} bytes, more than an "
                f'eighth of the {limit:,} that UPKEEP["MAX_UPLOAD"] allows.'
            )
        return super().open(part, *args, **kwargs)

    def sheet(self, name: str) -> IO[bytes]:
        """Open a part that is read piece by piece."""
        return super().open(name)


class Guarded:
    """A file whose list of parts is refused before it would fill the memory."""

    def __init__(self, file: File[Any], name: str) -> None:
        self.seek, self.tell = file.seek, file.tell
        self._file, self._name = file, name
        self.is_open = False

    def read(self, size: int = -1) -> bytes:
        """Read, but no list of parts that is longer than any honest one."""
        if not self.is_open and size > LARGEST_DIRECTORY:
            raise InvalidFile(
                f"{self._name} has a list of parts of {size:,} bytes, more than the "
                f"{LARGEST_DIRECTORY:,} that any XLSX file needs."
            )
        return bytes(self._file.read(size))

    def seekable(self) -> bool:
        """Tell that one can go to any place."""
        return True


class Measured:
    """A stream that ends in an error where a row, or the number of them, has no end."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream, self._name = stream, name
        self._since = 0
        self.rows = 0

    def read(self, size: int = -1) -> bytes:
        """Read, but not too much of one row."""
        data = self._stream.read(size)
        self._since += len(data)
        if self._since > LONGEST:
            raise InvalidFile(
                f"{self._name}{self}: no end of the row within "
                f"{LONGEST:,} bytes. Is this an XLSX file?"
            )
        return data

    def __str__(self) -> str:
        return f", row {self.rows + 1:,}"

    def finish_row(self) -> None:
        """Note that a row came to its end."""
        self._since = 0
        self.rows += 1
        if self.rows > MOST_ROWS:
            raise InvalidFile(
                f"{self._name} has more than {MOST_ROWS:,} rows, which no sheet has."
            )


@contextmanager
def without_warnings() -> Iterator[None]:
    """Keep openpyxl from telling which styles and extensions it leaves out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def told(error: Exception) -> str:
    """Say an error of others in the part of a sentence."""
    first_line, *_ = str(error.__cause__ or error).splitlines() or [""]
    return f"{type(error).__name__} ({first_line.rstrip('.')})"
