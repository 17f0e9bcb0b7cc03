"""Files that consist of lines of text: read from any byte, decoded line by line."""

from __future__ import annotations

import codecs
from abc import abstractmethod
from collections.abc import Callable, Iterator
from itertools import takewhile

from upkeep.exceptions import InvalidFile, StorageFailed
from upkeep.tasks.collections.files import kinds
from upkeep.tasks.collections.files.base import Place, Reader, RowsFile, no_such_place
from upkeep.tasks.collections.sizes import Estimate

BLOCK = 1 << 16  # Bytes read at once.
LONGEST = 1 << 24  # Bytes of a line or a record; more would fill the memory.
COUNTED = 64 << 20  # Bytes up to which rows are counted exactly.
SAMPLE = 1 << 20  # Bytes from which the rows of larger files are estimated.


class LineReader(Reader):
    """
    The rows of a file of lines from any place in it, and the place where they stand.

    Whoever turns lines into rows takes no line before it is needed, so counting the
    bytes of the lines that were taken gives the place of the next row exactly.
    """

    passes_over: Callable[[str], object] | None = None
    """Tells which lines between two rows are none of them."""

    def __init__(self, file: RowsFile, encoding: str) -> None:
        super().__init__(file)
        self._encoding, self._codec = encoding, codec_of(encoding)
        self.start: Place = (self._look_at_head(), 0)
        self.go_to(self.start)

    def begin_page(self) -> None:
        """Remember nothing: a file of lines can be read from any of them."""

    def go_to(self, place: Place) -> None:
        if place[0] > self._file.size:
            raise no_such_place(place, self._name, "byte", self._file.size)
        self.offset, self.line = place
        self._first_line = 0  # Of the record in hand; 0 between two records.
        self.begin()

    @abstractmethod
    def begin(self) -> None:
        """Make `rows` anew, of `lines()` from here on."""

    @abstractmethod
    def skim(self) -> Iterator[None]:
        """Pass over the rows without a look at what is in them."""

    @property
    def is_at_end(self) -> bool:
        return self.offset >= self._file.size

    def count(self) -> int:
        """Count the rows, or estimate them from the start of a large file."""
        size, rows = self._file.size, 0
        for _ in self.skim():
            rows += 1
            if size > COUNTED and self.offset > SAMPLE:
                start, _line = self.start
                return Estimate(rows * (size - start) / (self.offset - start))
        return rows

    def lines(self) -> Iterator[str]:
        """Yield the lines from here on; who has a whole row clears `_first_line`."""
        codec, passes_over, begun = self._codec, self.passes_over, 0
        for block in self._blocks():
            for line in block:
                self.line += 1
                self.offset += len(line)
                try:
                    text = line.decode(codec)
                except UnicodeDecodeError as error:
                    raise self._undecodable(error) from error
                if not self._first_line:
                    if passes_over and passes_over(text):
                        continue
                    self._first_line = self.line
                    begun = self.offset
                elif self.offset - begun > LONGEST:
                    raise self._too_long("quoted value or row")
                yield text
        if self._first_line:
            raise self._error(
                "a quoted value begins here and never ends.", self._first_line
            )

    def _blocks(self) -> Iterator[list[bytes]]:
        """Yield the lines of one block after the other, up to one with a NUL."""
        for lines in self._split_blocks():
            if b"\0" not in b"".join(lines):
                yield lines
                continue
            yield list(takewhile(lambda line: b"\0" not in line, lines))
            raise self._error(f"a NUL byte. Is this {self._what}?", self.line + 1)

    def _split_blocks(self) -> Iterator[list[bytes]]:
        position, size, rest = self.offset, 0, list[bytes]()
        while block := self._read_block(position):
            position += len(block)
            rest.append(block)
            size += len(block)
            if size > LONGEST + BLOCK:
                raise self._too_long("line")
            if b"\n" in block or b"\r" in block:
                lines = b"".join(rest).splitlines(keepends=True)
                last = lines.pop()  # It may go on in the next block.
                rest, size = [last], len(last)
                yield lines
        if position < self._file.size:  # The last line may be half of one.
            raise StorageFailed.cut_off(self._name, position, self._file.size)
        if size:
            yield b"".join(rest).splitlines(keepends=True)

    def _read_block(self, position: int, size: int | None = None) -> bytes:
        if self._file.closed:
            self._file.open("rb")
        # Somebody else may read the same file meanwhile.
        self._file.seek(position)
        block = self._file.read(BLOCK if size is None else size)
        if not isinstance(block, bytes):
            raise InvalidFile(f"{self._name} is open as text: open it with mode 'rb'.")
        return block

    def _look_at_head(self) -> int:
        """Return the length of the byte order mark; refuse files of other kinds."""
        head = self._read_block(0, 64)
        if refusal := kinds.refusal(head, self._what):
            raise InvalidFile(f"{self._name} {refusal}")
        mark = codecs.BOM_UTF8
        return len(mark) if self._codec == "utf-8" and head.startswith(mark) else 0

    def _too_long(self, what: str) -> InvalidFile:
        return self._error(
            f"no end of the {what} within {LONGEST:,} bytes. Is this {self._what}?",
            self._first_line or self.line + 1,
        )

    def _undecodable(self, error: UnicodeDecodeError) -> InvalidFile:
        return self._error(
            f"byte 0x{error.object[error.start]:02X} at position {error.start + 1} is "
            f"not {self._encoding}. {self.advice_on_encoding}",
            self.line,
        )

    @property
    def advice_on_encoding(self) -> str:
        """What to do about a file that is in another encoding."""
        return f"Save the file as {self._encoding}."


def codec_of(encoding: str) -> str:
    """Return the Python codec that reads the text after the byte order mark."""
    name = codecs.lookup(encoding).name
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
            f"A file in {encoding} cannot be read from its middle, since its "
            "lines do not end in the byte 0x0A. Save such files as UTF-8."
        )
