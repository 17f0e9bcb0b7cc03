"""What is said, and which exit status is due, when a run that was watched stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upkeep.databases import home
from upkeep.management.exits import Cancelled, Failed, Paused, Stopped
from upkeep.management.screen import printable
from upkeep.management.words import compact, outcome
from upkeep.runs.dead_letters import DeadLetter
from upkeep.runs.events import Event
from upkeep.runs.status import Status
from upkeep.runs.why import INVALID_FILE, why

if TYPE_CHECKING:
    from django.core.management.base import OutputWrapper

    from upkeep.management.screen import Screen
    from upkeep.runs.models import Run

WISHES = {Status.PAUSING, Status.CANCELLING}


def report(run: Run, screen: Screen, errors: OutputWrapper) -> None:
    """Tell how a run ended. Raises Paused, Cancelled or Failed without success."""
    match run.status:
        case Status.SUCCEEDED:
            _report_success(run, screen)
        case Status.ERRORED:
            errors.write(printable(run.traceback))
            raise Failed(f"{outcome(run)}\n{_remedy(run)}")
        case Status.PAUSED:
            raise Paused(f"{outcome(run)} {_why(run)}\nTo go on, {how_to_resume(run)}")
        case Status.CANCELLED:
            raise Cancelled(f"{outcome(run)} {_why(run)}")
        case Status.DISCARDED:
            raise Failed(f"{outcome(run)} {_why(run)}")
        case _:
            raise Failed(
                f"{outcome(run)} {_why(run)}\nTo watch it, {how_to_watch(run)}"
            )


def report_stop(run: Run, screen: Screen, errors: OutputWrapper) -> None:
    """Tell what became of a run when somebody pressed Ctrl-C. Raises Stopped."""
    if run.status == Status.PAUSED:
        raise Stopped(f"{outcome(run)}\nTo go on, {how_to_resume(run)}")
    if run.is_active:
        raise Stopped(f"{outcome(run)}\nTo watch it, {how_to_watch(run)}")
    report(run, screen, errors)


def _remedy(run: Run) -> str:
    if run.error_class == INVALID_FILE:
        return why(run)
    return (
        "Mend the cause, restart the workers if you changed code, then "
        f"{how_to_resume(run)}"
    )


def how_to_resume(run: Run) -> str:
    """Return the advice for a run that somebody must set going again."""
    return f"type: manage.py upkeep resume {run.pk}"


def how_to_watch(run: Run) -> str:
    """Return the advice for a run that goes on without us."""
    return f"type: manage.py upkeep status {run.pk} --follow"


def _report_success(run: Run, screen: Screen) -> None:
    screen.say(outcome(run))
    if run.result is not None:
        screen.say(f"Result: {compact(run.result)}")
    origin = run.parent_id or run.pk  # Letters stay with the run that they come from.
    if run.failed and DeadLetter.objects.using(home()).filter(run=origin).exists():
        screen.say(
            f"To look at what failed, type: manage.py upkeep letters {origin} "
            "--state open"
        )


def _why(run: Run) -> str:
    """Say who stopped the run, and the reason that was given."""
    moves = Event.objects.using(home()).filter(run=run, kind=Event.Kind.MOVE)
    last_two = list(moves.order_by("-pk")[:2])
    # Where a worker grants a wish, the wish tells of a person and the last move does
    # not.
    wishes = [move for move in last_two if move.status in WISHES] or last_two
    by = f"By {wishes[0].actor}. " if wishes[0].actor else ""
    return f"{by}{wishes[0].text or run.reason}".strip()
