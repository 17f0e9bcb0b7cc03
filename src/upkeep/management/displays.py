"""How a run that is followed is shown: as a live bar, or line by line."""

from __future__ import annotations

from datetime import timedelta
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Self

from django.utils import timezone
from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn
from rich.text import Text

from upkeep.management.screen import STYLES
from upkeep.management.words import event_line, line, where, where_shortly
from upkeep.runs import progress
from upkeep.runs.events import Event
from upkeep.runs.status import Status

if TYPE_CHECKING:
    from upkeep.management.screen import Screen
    from upkeep.runs.models import Run

LINE_EVERY = timedelta(seconds=2)


class Display:
    """What is told of a run that is followed."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the screen as the next command expects it."""

    def happened(self, event: Event) -> None:
        """Show an event."""
        self.screen.say(event_line(event))

    def stands(self, run: Run) -> None:
        """Show where the run stands; called at every look."""

    def notes(self, text: str) -> None:
        """Show what one should know while nothing moves."""
        self.screen.say(text)


class Lines(Display):
    """A line for each event, and one now and then for the progress."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(screen)
        self._done = 0
        self._next_at = monotonic() + LINE_EVERY.total_seconds()

    def stands(self, run: Run) -> None:
        """Write a line if there is something new and the last one is a while ago."""
        if run.reached == self._done or monotonic() < self._next_at:
            return
        self._done = run.reached
        self._next_at = monotonic() + LINE_EVERY.total_seconds()
        self.screen.say(line(timezone.now(), "progress", where(run)))


class Bar(Display):
    """A bar that moves, and above it what the task logs."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(screen)
        self._bar = NarrowProgress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[where]}"),
            console=screen.console,
        )
        self._row = self._bar.add_task("", total=None, where="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def happened(self, event: Event) -> None:
        """Show what the task logs, and why it stops; the bar shows the rest."""
        if event.kind == Event.Kind.LOG or event.text:
            super().happened(event)

    def stands(self, run: Run) -> None:
        """Move the bar."""
        status = Text(f"{run.status:<11}", STYLES[Status(run.status)])
        total = progress.Progress(run).total
        if total is None and not run.is_active:
            total = run.reached  # Or it would go on moving where nothing does.
        self._bar.update(
            self._row,
            completed=run.reached,
            total=total,
            description=status.markup,
            where=where_shortly(run),
        )


class NarrowProgress(Progress):
    """Leaves room at the end of the line for the ^C that a terminal echoes."""

    def __init__(self, *columns: ProgressColumn, console: Console) -> None:
        self._terminal = console
        super().__init__(*columns, console=console, expand=True)

    def get_renderable(self) -> RenderableType:
        """Return the bar as it is drawn."""
        return Constrain(super().get_renderable(), self._terminal.width - 3)


def display(screen: Screen) -> Display:
    """Return the display that suits the screen."""
    return Bar(screen) if screen.is_live else Lines(screen)
