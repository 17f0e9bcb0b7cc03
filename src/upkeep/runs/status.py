"""The life of a run: its statuses, their groups, and the moves between them."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Status(TextChoices):
    """Where a run is in its life."""

    ENQUEUED = "enqueued", _("Enqueued")  # Waits for a worker.
    RUNNING = "running", _("Running")  # A worker holds its lease.
    INTERRUPTED = "interrupted", _("Interrupted")  # Will go on by itself.
    PAUSING = "pausing", _("Pausing")  # Its worker finishes the item in hand.
    PAUSED = "paused", _("Paused")  # Stopped by a person, its place kept.
    CANCELLING = "cancelling", _("Cancelling")  # Its worker finishes the item in hand.
    CANCELLED = "cancelled", _("Cancelled")  # Ended by a person.
    ERRORED = "errored", _("Errored")  # Stopped by an error, its place kept.
    DISCARDED = "discarded", _("Discarded")  # Ended by a rule of its task.
    SUCCEEDED = "succeeded", _("Succeeded")  # Came to the end of its collection.


# What waits for a message to be read by a worker.
WAITING = frozenset({Status.ENQUEUED, Status.INTERRUPTED})

# What a worker holds a lease of.
HELD = frozenset({Status.RUNNING, Status.PAUSING, Status.CANCELLING})

# What is over; of these only an errored run can be taken up again.
ENDED = frozenset(
    {Status.SUCCEEDED, Status.ERRORED, Status.CANCELLED, Status.DISCARDED}
)

# What a run stops in, with a place that is worth to be remembered.
STOPS = frozenset(Status) - HELD - {Status.ENQUEUED}

ACTIVE = frozenset(Status) - ENDED

# From each status, the moves that a run can make. Any other is InvalidTransition.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.ENQUEUED: frozenset(
        {
            Status.RUNNING,  # A worker claims it.
            Status.PAUSED,  # A person pauses it; no worker is asked.
            Status.CANCELLED,  # A person cancels it; no worker is asked.
            Status.ERRORED,  # Its task or its parameters are no longer there.
        }
    ),
    Status.RUNNING: frozenset(
        {
            Status.SUCCEEDED,  # The collection is at its end.
            Status.PAUSING,  # A person asks its worker to pause.
            Status.CANCELLING,  # A person asks its worker to cancel.
            Status.INTERRUPTED,  # Its time is up, or its worker stops or died.
            Status.ERRORED,  # The task raised.
            Status.DISCARDED,  # A rule of the task ends it.
        }
    ),
    Status.INTERRUPTED: frozenset(
        {
            Status.RUNNING,  # A worker claims it.
            Status.ENQUEUED,  # A person resumes it: it shall not wait.
            Status.PAUSED,  # A person pauses it; no worker is asked.
            Status.CANCELLED,  # A person cancels it; no worker is asked.
            Status.ERRORED,  # Its task or its parameters are no longer there.
        }
    ),
    Status.PAUSING: frozenset(
        {
            Status.PAUSED,  # The item in hand is done, or the worker died.
            Status.RUNNING,  # A person takes the wish back.
            Status.CANCELLING,  # A person wants more than a pause.
            Status.SUCCEEDED,  # The item in hand was the last.
            Status.ERRORED,  # The item in hand failed.
            Status.DISCARDED,  # The item in hand failed, and a rule ends the run.
        }
    ),
    Status.CANCELLING: frozenset(
        {
            Status.CANCELLED,  # The item in hand is done, or the worker died.
            Status.SUCCEEDED,  # The item in hand was the last.
            Status.ERRORED,  # The item in hand failed.
            Status.DISCARDED,  # The item in hand failed, and a rule ends the run.
        }
    ),
    Status.PAUSED: frozenset(
        {
            Status.ENQUEUED,  # A person resumes it.
            Status.CANCELLED,  # A person ends it.
        }
    ),
    Status.ERRORED: frozenset(
        {
            Status.ENQUEUED,  # A person resumes it at the item that failed.
            Status.CANCELLED,  # A person gives it up.
        }
    ),
    Status.SUCCEEDED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.DISCARDED: frozenset(),
}

# Where a run goes when its worker stops in the midst of it, by itself or by force.
WHEN_LET_GO: dict[Status, Status] = {
    Status.RUNNING: Status.INTERRUPTED,
    Status.PAUSING: Status.PAUSED,
    Status.CANCELLING: Status.CANCELLED,
}


def sources_of(target: Status, among: Iterable[Status] = tuple(Status)) -> list[Status]:
    """Return the statuses from which a run may move to the target."""
    return [source for source in among if target in TRANSITIONS[source]]
