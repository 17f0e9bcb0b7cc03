"""Look at a run again and again, and tell a display what is new."""

from __future__ import annotations

from datetime import timedelta
from time import monotonic, sleep
from typing import TYPE_CHECKING

from django.db import DatabaseError
from django.utils import timezone

from upkeep.databases import forget_lost_connection, home, is_passing
from upkeep.runs.events import Event
from upkeep.runs.leases import stuck
from upkeep.runs.models import Run
from upkeep.runs.status import ENDED, HELD, WAITING, Status
from upkeep.runs.why import why

if TYPE_CHECKING:
    from collections.abc import Iterator

    from upkeep.management.displays import Display

LOOK_EVERY = timedelta(seconds=0.5)
PATIENCE = timedelta(seconds=5)
LOOK_FOR_STUCK_EVERY = timedelta(seconds=10)
PAGE = 1000

AT_REST = ENDED | {Status.PAUSED}

DATABASE_IS_AWAY = "The database does not answer; still trying."


def story(run: Run, *, after: int = 0) -> Iterator[Event]:
    """Yield the events of a run behind that id, a page in memory at a time."""
    events = Event.objects.using(home()).filter(run=run).order_by("pk")
    while page := list(events.filter(pk__gt=after)[:PAGE]):
        for event in page:
            event.run = run  # Lest each of them asks for it.
            yield event
        after = page[-1].pk


class Follower:
    """Watches the row of a run; a look that finds nothing new is one query."""

    def __init__(self, run: Run, display: Display, *, after: int = 0) -> None:
        self.run = run
        self.display = display
        self._told = after  # the id of the last event
        self._seen: tuple[object, ...] = ()
        self._next_at = self._next_for_stuck_at = 0.0
        self._waits_since = monotonic()
        self._explained: tuple[object, ...] = ()
        self._notes: set[str] = set()

    def follow(self) -> Run:
        """Look until the run is at rest, and return it."""
        while self.look().status not in AT_REST:
            sleep(LOOK_EVERY.total_seconds())
        return self.run

    def look_now_and_then(self) -> None:
        """Look if the last look is a while ago."""
        if monotonic() >= self._next_at:
            self.look()

    def look(self) -> Run:
        """Tell the display what is new; a database that is away is waited for."""
        try:
            self._look()
        except DatabaseError as error:
            if not is_passing(error):
                raise
            forget_lost_connection(home())
            self._note(DATABASE_IS_AWAY)
        self._next_at = monotonic() + LOOK_EVERY.total_seconds()
        return self.run

    def _look(self) -> None:
        self.run = run = Run.objects.using(home()).get(pk=self.run.pk)
        seen = (run.status, run.reached, run.lease_until, run.lease_token)
        if seen != self._seen:
            # Whoever adds an event writes the run's row in the same transaction.
            self._seen = seen
            self._waits_since = monotonic()
            for event in story(run, after=self._told):
                self.display.happened(event)
                self._told = event.pk
        self.display.stands(run)
        self._explain_waiting(run)
        self._explain_stuck(run)

    def _explain_waiting(self, run: Run) -> None:
        if run.throttled_by:
            self._explain_once(run)
        if run.status not in WAITING:
            return
        is_early = bool(run.run_after and run.run_after > timezone.now())
        if is_early or monotonic() - self._waits_since > PATIENCE.total_seconds():
            self._explain_once(run)

    def _explain_stuck(self, run: Run) -> None:
        """Say which item is in hand for too long; that costs a query."""
        if run.status not in HELD or monotonic() < self._next_for_stuck_at:
            return
        self._next_for_stuck_at = monotonic() + LOOK_FOR_STUCK_EVERY.total_seconds()
        if stuck(run):
            self._explain_once(run)

    def _explain_once(self, run: Run) -> None:
        if self._explained != self._seen:
            self._explained = self._seen
            self.display.notes(why(run))

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self._notes.add(text)
            self.display.notes(text)
