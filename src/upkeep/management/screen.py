"""Where a command writes: a terminal with colours, or a pipe of plain lines."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from upkeep.runs.status import Status

if TYPE_CHECKING:
    from django.core.management.base import OutputWrapper

STYLES = {
    Status.ENQUEUED: "cyan",
    Status.RUNNING: "cyan",
    Status.INTERRUPTED: "yellow",
    Status.PAUSING: "yellow",
    Status.PAUSED: "yellow",
    Status.CANCELLING: "yellow",
    Status.CANCELLED: "dim",
    Status.ERRORED: "red",
    Status.DISCARDED: "dim",
    Status.SUCCEEDED: "green",
}


class Screen:
    """What a command says goes through here, and only here."""

    def __init__(self, output: OutputWrapper, *, no_color: bool = False) -> None:
        self._output = output
        output.ending = ""  # rich ends its lines itself
        self.console = Console(
            file=output,  # type: ignore[arg-type]
            # Whatever the environment says of colours: a pipe is no terminal.
            force_terminal=output.isatty(),
            no_color=no_color or None,
            markup=False,
            emoji=False,
            highlight=False,
        )

    @property
    def is_live(self) -> bool:
        """Whether what has been written can be written over."""
        return self.console.is_interactive

    def say(self, text: str = "") -> None:
        """Write a text, no line of it broken."""
        self._write(Text(printable(text)))

    def table(self, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Write rows below a header, in aligned columns."""
        heads = [head.upper() for head in header]
        cells = [[printable(cell) for cell in row] for row in rows]
        if self.console.is_terminal:
            self.console.print(_drawn(heads, cells))
        else:
            self.say("\n".join(_aligned([heads, *cells])))

    def pairs(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Write names and what they stand for, which may have several lines."""
        kept = [(name, text) for name, text in pairs if text]
        width = max(len(name) for name, _ in kept) + 2
        for name, text in kept:
            body = ("\n" + " " * width).join(printable(text).splitlines())
            self._write(Text(f"{name:<{width}}", "dim") + Text(body, _style(text)))

    def _write(self, text: Text) -> None:
        if self.console.is_terminal:
            self.console.print(text, soft_wrap=True)
        else:
            self._output.write(f"{text.plain}\n")


def printable(text: str) -> str:
    """Return a text that cannot steer a terminal: what a task logs may be anything."""
    return "".join(
        character
        if character.isprintable() or character in "\n\t" or _is_space(character)
        else character.encode("unicode_escape").decode()
        for character in text
    )


def _is_space(character: str) -> bool:
    return unicodedata.category(character) == "Zs"


def _drawn(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, head in enumerate(header, start=1):
        is_last = number == len(header)
        table.add_column(head, no_wrap=not is_last, overflow="ellipsis")
    for row in rows:
        table.add_row(*(Text(cell, _style(cell)) for cell in row))
    return table


def _style(text: str) -> str:
    return STYLES[Status(text)] if text in Status.values else ""


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    flat = [[" ".join(cell.split()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*flat, strict=True)]
    return [
        "  ".join(
            f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in flat
    ]
