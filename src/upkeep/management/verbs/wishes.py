"""`manage.py upkeep pause`, `resume` and `cancel`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upkeep.exceptions import AlreadyActive, InvalidTransition
from upkeep.management.exits import Failed, Refused
from upkeep.management.verbs.base import Verb, find_run, user_name
from upkeep.management.words import name
from upkeep.runs.status import Status

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from upkeep.runs.models import Run

FURTHER = {
    Status.ENQUEUED: ": it goes on with the next worker",
    Status.PAUSING: ": its worker finishes the item in hand",
    Status.CANCELLING: ": its worker finishes the item in hand",
}


class Wish(Verb):
    """Something that a person wants of runs."""

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """Take runs, and why."""
        parser.add_argument(
            "runs", type=int, nargs="+", metavar="RUN", help="number of a run"
        )
        parser.add_argument(
            "--reason", default="", metavar="TEXT", help="why, for the log of the run"
        )

    def handle(self, *, runs: list[int], reason: str, **options: Any) -> None:
        """Wish it of one run after the other, whatever becomes of the ones before."""
        problems: list[InvalidTransition | AlreadyActive] = []
        for run in [find_run(pk) for pk in runs]:
            try:
                getattr(run, self.name)(by=user_name(), reason=reason)
            except (InvalidTransition, AlreadyActive) as error:
                problems.append(error)
            else:
                self.screen.say(_granted(run))
        _complain(problems)


class Pause(Wish):
    """Pause runs after the item in hand; they keep their place."""

    name = "pause"
    example = 'manage.py upkeep pause 12 --reason "The shop is busy."'


class Resume(Wish):
    """Let runs go on that were paused, errored or interrupted."""

    name = "resume"
    example = "manage.py upkeep resume 12 13"


class Cancel(Wish):
    """Cancel runs after the item in hand, for good."""

    name = "cancel"
    example = "manage.py upkeep cancel 12"


def _granted(run: Run) -> str:
    status = Status(run.status)
    return f"{name(run)} is {status}{FURTHER.get(status, '')}."


def _complain(problems: list[InvalidTransition | AlreadyActive]) -> None:
    if problems:
        only_refused = all(isinstance(each, AlreadyActive) for each in problems)
        end = Refused if only_refused else Failed
        raise end("\n".join(map(str, problems)))
