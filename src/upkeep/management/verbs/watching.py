"""What those verbs have in common that stay with a run which they have started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import DatabaseError, connections

from upkeep.databases import home, is_passing
from upkeep.exceptions import InvalidTransition
from upkeep.management.displays import display
from upkeep.management.endings import report, report_stop
from upkeep.management.exits import Failed
from upkeep.management.follower import Follower
from upkeep.management.troubles import passing
from upkeep.management.verbs.base import Verb, user_name
from upkeep.management.words import greeting
from upkeep.runs.sources import Source, moves_from

if TYPE_CHECKING:
    from upkeep.runs.models import Run

PAUSING = "Pausing after the item in hand …"


class Watching(Verb):
    """Shows how a run comes on until it is over; Ctrl-C pauses it."""

    def follow(self, run: Run) -> None:
        """Stay until the run is over, and tell how it ended."""
        with display(self.screen) as shown:
            follower = Follower(run, shown)
            try:
                self.screen.say(greeting(run))
                follower.follow()
                end = report
            except KeyboardInterrupt:
                self._pause(run, follower)
                end = report_stop
        end(follower.run, self.screen, self.errors)

    def _pause(self, run: Run, follower: Follower) -> None:
        """Pause the run, and wait until its worker has the item in hand done."""
        self.screen.say(PAUSING)
        connections[home()].close()  # It may have been left in the midst of an answer.
        try:
            with moves_from(Source.COMMAND):
                run.pause(by=user_name(), reason="Ctrl-C")
        except InvalidTransition:
            follower.look()  # It is over.
            return
        except DatabaseError as error:
            if not is_passing(error):
                raise
            raise Failed(_not_paused(run, error)) from error
        try:
            follower.follow()
        except KeyboardInterrupt:
            connections[home()].close()
            follower.look()


def _not_paused(run: Run, error: DatabaseError) -> str:
    return (
        f"{passing(error)}, so run {run.pk} was not paused; it goes on. "
        f"Type: manage.py upkeep pause {run.pk}"
    )
