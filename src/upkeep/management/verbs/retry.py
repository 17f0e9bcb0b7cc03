"""`manage.py upkeep retry`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upkeep.management.endings import how_to_watch, report
from upkeep.management.exits import Usage
from upkeep.management.selection import add_selection, selected
from upkeep.management.verbs.base import user_name
from upkeep.management.verbs.watching import Watching
from upkeep.management.words import greeting
from upkeep.runs.sources import Source, moves_from
from upkeep.runs.status import ENDED

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from upkeep.runs.dead_letters import DeadLetterQuerySet


class RetryLetters(Watching):
    """
    Have open dead letters tried once more: by a run, or calls by workers.

    All of a run or a function, unless some are named. With --follow it stays until the
    run is over; Ctrl-C pauses the run then.
    """

    name = "retry"
    example = "manage.py upkeep retry 12 --cause 5f3a9c --rate 10 --follow"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """Take the letters, and how to retry them."""
        add_selection(parser)
        parser.add_argument(
            "--rate", type=float, metavar="N", help="at most so many items a second"
        )
        parser.add_argument(
            "--follow", action="store_true", help="show how it comes on until it ends"
        )

    def handle(
        self,
        *,
        numbers: list[int],
        calls: str | None,
        cause: str,
        rate: float | None,
        follow: bool,
        **options: Any,
    ) -> None:
        """Hand them to a run or to workers, and see to it as far as is wanted."""
        if follow and calls is not None:
            raise Usage(
                "Calls are made by workers, without a run that can be followed. "
                "Leave --follow out, and look at them with: manage.py upkeep letters "
                f"--calls {calls}"
            )
        letters = selected(numbers, calls, cause)
        if calls is not None:
            self._call_again(letters, rate)
            return
        with moves_from(Source.COMMAND):
            (run,) = letters.retry(by=user_name(), rate=rate)
        if follow:
            self.follow(run)
        elif run.status in ENDED:  # A backend may run it before enqueue() returns.
            report(run, self.screen, self.errors)
        else:
            self.screen.say(f"{greeting(run)} It has {run.total:,} of the letters.")
            self.screen.say(f"To watch it, {how_to_watch(run)}")

    def _call_again(self, letters: DeadLetterQuerySet, rate: float | None) -> None:
        before = letters.open().count()
        with moves_from(Source.COMMAND):
            letters.retry(by=user_name(), rate=rate)
        made = before - letters.open().count()
        self.screen.say(f"Workers make {made:,} of {before:,} calls again.")
