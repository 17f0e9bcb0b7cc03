"""A run that this very process advances, while it shows how far it is."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from upkeep.exceptions import InvalidTransition
from upkeep.execution.interruption import Interruption
from upkeep.runs.sources import Source, moves_from

if TYPE_CHECKING:
    from upkeep.management.follower import Follower
    from upkeep.runs.models import Run

logger = logging.getLogger("upkeep")

STDERR = 2
PAUSING = b"\nPausing after the item in hand. Ctrl-C again ends it at once.\n"


class Watched(Interruption):
    """
    Shows the run whenever the executor asks whether to stop: between two chunks.

    Nothing becomes visible at other times, so neither a thread nor a second
    connection is needed. The first Ctrl-C pauses the run after the item in hand; the
    second ends it at once, and its chunk is rolled back.
    """

    def __init__(self, run: Run, follower: Follower, *, by: str) -> None:
        super().__init__()
        self.run = run
        self.follower = follower
        self.by = by
        self.ctrl_c = False
        self._is_pause_due = False

    def reason(self) -> str:
        """Show where the run is, pause it if that is wanted, and say why to stop."""
        self.follower.look_now_and_then()
        if self._is_pause_due:
            # Somebody may have been quicker: it stops anyway.
            with suppress(InvalidTransition), moves_from(Source.COMMAND):
                self.run.pause(by=self.by, reason="Ctrl-C")
            self._is_pause_due = False
        return super().reason()

    @contextmanager
    def by_keyboard(self) -> Iterator[None]:
        """Hear Ctrl-C, where this is the main thread; others hear no signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = signal.signal(signal.SIGINT, self._pause)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)

    def _pause(self, *signal_and_frame: object) -> None:
        self.ctrl_c = self._is_pause_due = True
        self.ask_to_stop("Ctrl-C")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Past all buffers: this may have interrupted somebody who was writing to one.
        os.write(STDERR, PAUSING)


@contextmanager
def told_once(run: Run) -> Iterator[None]:
    """
    Keep the error that stops a run out of the log, if that would go to the terminal.

    There it stands at the end, with what to do. The log of a host has it as ever.
    """
    if logger.hasHandlers():
        yield
        return

    def is_told_here_alone(record: logging.LogRecord) -> bool:
        told = vars(record)
        return told.get("run_id") != run.pk or told.get("handled") is not False

    logger.addFilter(is_told_here_alone)
    try:
        yield
    finally:
        logger.removeFilter(is_told_here_alone)
