"""`manage.py upkeep pause`, `resume` and `cancel`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import DatabaseError

from upkeep.databases import forget_lost_connection, home, is_passing
from upkeep.exceptions import AlreadyActive, InvalidTransition, TaskNotFound
from upkeep.management.exits import Failed, Refused
from upkeep.management.troubles import passing, who_may_lock
from upkeep.management.verbs.base import Verb, find_run, user_name
from upkeep.management.words import name
from upkeep.runs.sources import Source, moves_from
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

    granted: ClassVar[str]
    """What has been done to a run when it is granted."""

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
        problems: list[Exception] = []
        for run in [find_run(pk) for pk in runs]:
            try:
                with moves_from(Source.COMMAND):
                    getattr(run, self.name)(by=user_name(), reason=reason)
            except (InvalidTransition, AlreadyActive, TaskNotFound) as error:
                problems.append(error)
            except DatabaseError as error:
                problems.append(self._passed_over(run, error))
            else:
                self.screen.say(_granted(run))
        _complain(problems)

    def _passed_over(self, run: Run, error: DatabaseError) -> Failed:
        """Return what to say of a run that the database kept from us."""
        if not is_passing(error):
            raise error
        forget_lost_connection(home())
        return Failed(
            f"{passing(error)}, so run {run.pk} was not {self.granted}. "
            f"Try again: manage.py upkeep {self.name} {run.pk}{who_may_lock(error)}"
        )


class Pause(Wish):
    """Pause runs after the item in hand; they keep their place."""

    name = "pause"
    granted = "paused"
    example = 'manage.py upkeep pause 12 --reason "The shop is busy."'


class Resume(Wish):
    """Let runs go on that were paused, errored or interrupted."""

    name = "resume"
    granted = "resumed"
    example = "manage.py upkeep resume 12 13"


class Cancel(Wish):
    """Cancel runs after the item in hand, for good."""

    name = "cancel"
    granted = "cancelled"
    example = "manage.py upkeep cancel 12"


def _granted(run: Run) -> str:
    status = Status(run.status)
    return f"{name(run)} is {status}{FURTHER.get(status, '')}."


def _complain(problems: list[Exception]) -> None:
    if problems:
        only_refused = all(isinstance(each, AlreadyActive) for each in problems)
        end = Refused if only_refused else Failed
        raise end("\n".join(map(str, problems)))
