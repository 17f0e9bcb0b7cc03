"""`manage.py upkeep retry`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upkeep.management.endings import how_to_watch, report
from upkeep.management.exits import Failed, Usage
from upkeep.management.selection import add_selection, selected
from upkeep.management.verbs.base import user_name
from upkeep.management.verbs.watching import Watching
from upkeep.management.words import greeting
from upkeep.runs.handling import call_again
from upkeep.runs.sources import Source, moves_from
from upkeep.runs.status import ENDED
from upkeep.runs.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.management.base import CommandParser

    from upkeep.runs.dead_letters import DeadLetterQuerySet
    from upkeep.runs.handling import SecondCalls

NAMED = 10  # letters of those whose calls cannot be made for one reason

NONE_IS_OPEN = "None of these dead letters is open, so nothing is tried."


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
        if rate is not None and calls is not None:
            raise Usage(
                "Calls are made as their queue has them made: leave --rate out."
            )
        letters = selected(numbers, calls, cause)
        if calls is not None:
            self._call_again(letters)
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

    def _call_again(self, letters: DeadLetterQuerySet) -> None:
        with moves_from(Source.COMMAND):
            calls = call_again(letters, by=user_name())
        if not calls.made:
            raise Failed("\n".join(_refused(calls)) or NONE_IS_OPEN)
        self.screen.say(f"{counted(calls.made, 'call is', 'calls are')} made again.")
        for line in _refused(calls):
            self.screen.say(line)


def _refused(calls: SecondCalls) -> Iterator[str]:
    """Yield which calls cannot be made again, and why, as lines; none for none."""
    number = sum(map(len, calls.refused.values()))
    if number:
        they = counted(number, "call", "calls")
        yield f"{they} cannot be made again; the dead letters stay open:"
    for reason, letters in calls.refused.items():
        more = f" and {len(letters) - NAMED:,} more" if len(letters) > NAMED else ""
        yield f"  {', '.join(map(str, letters[:NAMED]))}{more}: {reason}"
    if number:
        yield "Make such a call yourself, and discard its letter."
