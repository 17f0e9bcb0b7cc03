"""The one door upwards: verbs of the lower layers that the upper ones carry out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

    from upkeep.runs.dead_letters import DeadLetter
    from upkeep.runs.events import Event
    from upkeep.runs.models import Run
    from upkeep.tasks.calls import Call, SecondCall
    from upkeep.tasks.order import Order


def _nobody(*args: object) -> None:
    raise RuntimeError("Upkeep is not ready: add 'upkeep' to INSTALLED_APPS.")


@dataclass(slots=True)
class Port:
    """What `apps.ready()` fills in."""

    enqueue: Callable[[Order], Run] = _nobody  # type: ignore[assignment]
    """Write the row of a run and see that a worker hears of it."""

    run_now: Callable[[Order], Run] = _nobody  # type: ignore[assignment]
    """Write the row of a run and work it to its end in this process."""

    announce: Callable[[Event], object] = _nobody
    """Call the hooks and signals of a move that is committed."""

    mail_of_error: Callable[[Run], object] = _nobody
    """Send the mail that an error stopped a run, if the project wants it."""

    is_listened_to: Callable[[Run], bool] = _nobody  # type: ignore[assignment]
    """Tell whether anybody here wants to hear that the run came into its status."""

    call_worker: Callable[[Run], object] = _nobody
    """See that a worker hears of a run whose row says that it wants one."""

    check_queue: Callable[[Run], object] = _nobody
    """Raise QueueRefused where no message of a run could be sent."""

    defers: Callable[[Run], bool] = _nobody  # type: ignore[assignment]
    """Tell whether a worker hears of a run no sooner than its `run_after`."""

    keep: Callable[[Call, BaseException], bool] = _nobody  # type: ignore[assignment]
    """Keep a call that failed as a dead letter; tell whether it is kept."""

    call_again: Callable[[SecondCall], object] = _nobody
    """Make the second call of a dead letter, and note how it ended."""

    send_again: Callable[[DeadLetter, AbstractBaseUser | str], None] = _nobody
    """See that a worker makes the call of a dead letter again."""


port = Port()
