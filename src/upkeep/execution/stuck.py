"""What does not come to an end: for how long by now, and where its worker stands."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from upkeep.conf import conf
from upkeep.databases import storable
from upkeep.exceptions import ItemStuck
from upkeep.execution.reporting import report
from upkeep.runs.words import rough_duration
from upkeep.tasks.masks import mask_text

if TYPE_CHECKING:
    from traceback import FrameSummary

    from upkeep.execution.executor import Executor

ENGINE = str(Path(__file__).parent) + os.sep
PACKAGE = str(Path(__file__).parent.parent) + os.sep

LONGEST_STACK = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """A step that lasts; `item` is empty where it is not that of one item."""

    item: str
    lasts: timedelta
    place: str
    stack: str

    def __str__(self) -> str:
        since = rough_duration(self.lasts)
        what = self.item or "One step"
        return f"{what} has been in hand for {since}; it stands at {self.place}."


class Lookout:
    """Looks from another thread, now and then, how long the step in hand lasts."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self._thread = threading.get_ident()
        self._step: tuple[float, int] = (0.0, 0)
        self._since = 0.0
        self._tell_after = timedelta(0)

    def look(self, begun: float) -> Stuck | None:
        """Return the step in hand of what has begun then, if it lasts too long."""
        number, item = self.executor.in_hand()
        self._note_step((begun, number))
        lasts = timedelta(seconds=monotonic() - self._since)
        if conf.STUCK_AFTER is None or lasts < conf.STUCK_AFTER:
            return None
        return self._portrait(item, lasts)

    def _note_step(self, step: tuple[float, int]) -> None:
        """Remember since when a step is in hand: at the least, since it was seen."""
        if step == self._step:
            return
        begun, number = step
        self._since = monotonic() if number else begun  # The first one came with it.
        self._step, self._tell_after = step, timedelta(0)

    def _portrait(self, item: str, lasts: timedelta) -> Stuck:
        # There is no other way to see where another thread stands.
        frame = sys._current_frames()[self._thread]  # noqa: SLF001 - documented
        frames = behind_engine(traceback.extract_stack(frame))
        stack = "".join(traceback.format_list(frames))
        return Stuck(
            item=self._shown(item)[:255],
            lasts=lasts,
            place=self._shown(place_of(frames[0]))[:255],
            stack=self._shown(stack),
        )

    def _shown(self, text: str) -> str:
        return storable(mask_text(text, self.executor.secrets), at_most=LONGEST_STACK)

    def is_news(self, stuck: Stuck) -> bool:
        """Tell whether it is to be reported: again when it lasts four times as long."""
        if stuck.lasts < self._tell_after:
            return False
        self._tell_after = 4 * stuck.lasts
        return True

    def report(self, stuck: Stuck) -> None:
        """Report it; raise nothing."""
        run = self.executor.run
        report(
            ItemStuck(str(stuck)),
            run=run,
            handled=True,
            item=stuck.item,
            # On SQLite nothing else tells which process keeps all others from writing.
            sentence=f"{run}, worker {run.worker}: {stuck} If it never ends, kill that "
            f"process.\n{stuck.stack}",
            secrets=self.executor.secrets,
        )


def behind_engine(frames: list[FrameSummary]) -> list[FrameSummary]:
    """Leave out how the worker came to the task, unless it is still on its way."""
    entered = next(
        (n for n, each in enumerate(frames) if each.filename.startswith(ENGINE)), 0
    )
    own = (
        n
        for n, each in enumerate(frames)
        if n > entered and not each.filename.startswith(PACKAGE)
    )
    return frames[next(own, len(frames) - 1) :]


def place_of(frame: FrameSummary) -> str:
    """Say where a function stands, the file from here where it is below."""
    path, here = Path(frame.filename), Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return f"{shown}:{frame.lineno}, in {frame.name}"
