"""Ask a task's throttles between two chunks, and wait while one of them holds."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.db import Error, connections

from upkeep.conf import conf
from upkeep.databases import Now, home, storable
from upkeep.execution import waiting
from upkeep.execution.rate import Rate
from upkeep.port import port
from upkeep.runs.models import UNTHROTTLED
from upkeep.tasks import throttles
from upkeep.tasks.masks import mask_text

if TYPE_CHECKING:
    from upkeep.execution.claim import Claim
    from upkeep.tasks.base import Task
    from upkeep.tasks.throttles import Hold, Throttle

logger = logging.getLogger("upkeep")

# A shorter wait is not worth a word in the row.
WORTH_A_WORD = 1.0  # seconds


@dataclass(slots=True)
class _Gauge:
    """A throttle, and when it may be asked again."""

    throttle: Throttle
    due: float = -math.inf

    def ask(self, task: Task) -> Hold | None:
        if monotonic() < self.due:
            return None
        hold = throttles.ask(self.throttle, task)
        self.due = monotonic() + self.throttle.every.total_seconds()
        return hold


class Throttling:
    """
    The throttles of a run that this worker advances.

    They are asked outside of the chunks' transactions: there a replica would not yet
    have what the chunk writes, an error would spoil it, and locks be held meanwhile.
    So a chunk ends when a throttle is due, and no item has to look.
    """

    def __init__(
        self,
        task: Task,
        claim: Claim,
        *,
        stop: Callable[[], bool],
        keeps_worker: bool,
    ) -> None:
        self.task = task
        self.claim = claim
        self._stop = stop
        self._keeps_worker = keeps_worker
        self._gauges = [_Gauge(each) for each in throttles.collect(type(task))]
        self.rate = Rate(claim.run.rate)
        self._holder: _Gauge | Rate | None = None
        self._held_since = 0.0
        self._written_at = monotonic()

    def seconds_left(self) -> float:
        """Return how soon one of them is to be asked again."""
        if not self._gauges:
            return math.inf
        return max(min(gauge.due for gauge in self._gauges) - monotonic(), 0)

    def ask(self) -> Hold | None:
        """Return what the first one that holds says; None where the run may go on."""
        try:
            for gauge in self._gauges:
                if hold := gauge.ask(self.task):
                    self._note(gauge)
                    return hold
        except Error:
            _drop_broken_connections()
            raise
        if hold := self.rate.hold():
            self._note(self.rate)
            return hold
        self._go_on()
        return None

    def _note(self, holder: _Gauge | Rate) -> None:
        if self._holder is not holder:
            self._holder, self._held_since = holder, monotonic()

    def wait(self, hold: Hold) -> bool:
        """Wait as it is told; True where the run was let go meanwhile, or for it."""
        if self.is_left_to_a_message(hold):
            return self._leave(hold)
        self._tell(hold)
        return waiting.wait(hold.wait, stop=self._stop)

    def is_left_to_a_message(self, hold: Hold) -> bool:
        """Tell whether to give the worker back, and not to wait here."""
        if self._keeps_worker or hold.wait < waiting.WORTH_A_MESSAGE:
            return False
        return port.defers(self.claim.run)

    def _leave(self, hold: Hold) -> bool:
        """Give the worker back, with a message for when it is time to ask again."""
        reason = self._reason(hold)
        said = f"Throttled by {hold.by}: {reason}" if reason else ""
        has_left = self.claim.let_go(
            reason=said or f"Throttled by {hold.by}.",
            run_after=Now() + hold.wait,
            **self._changes(hold),
        )
        run = self.claim.run
        logger.info("%s is %s. %s", run, run.status, run.reason)
        return has_left

    # What the row says

    def _tell(self, hold: Hold) -> None:
        """Keep the lease, and write what holds the run unless it is over in no time."""
        now = monotonic()
        since_written = now - self._written_at
        lasts = max(hold.wait.total_seconds(), now - self._held_since) >= WORTH_A_WORD
        changes = self._changes(hold) if lasts else {}
        if since_written >= self._news_after(changes):
            self._write(changes)

    def _news_after(self, changes: dict[str, Any]) -> float:
        """Return how many seconds the row may stay as it is."""
        run = self.claim.run
        if "throttled_since" in changes:
            return 0  # Another throttle holds, or one at all.
        told = run.throttled_reason
        is_old = changes.get("throttled_reason", told) == told
        return conf.LEASE.total_seconds() / 3 if is_old else WORTH_A_WORD

    def _go_on(self) -> None:
        self._holder = None
        if self.claim.run.throttled_by:
            self._write(UNTHROTTLED)

    def _write(self, changes: dict[str, Any]) -> None:
        self.claim.write(**changes)
        self._written_at = monotonic()
        if changes:
            self.claim.run.refresh_from_db(using=home(), fields=[*changes])

    def _changes(self, hold: Hold) -> dict[str, Any]:
        by = storable(hold.by)[:255]
        told = {"throttled_by": by, "throttled_reason": self._reason(hold)}
        is_new = self.claim.run.throttled_by != by
        return told | ({"throttled_since": Now()} if is_new else {})

    def _reason(self, hold: Hold) -> str:
        return storable(mask_text(hold.reason, self.task.secrets))[:255]


def _drop_broken_connections() -> None:
    """Let a throttle that asks a database which went away find it when it is back."""
    for connection in connections.all(initialized_only=True):
        connection.close_if_unusable_or_obsolete()
