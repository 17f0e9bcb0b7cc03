"""What others may know of a run: its public columns, with what is secret masked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Model
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from upkeep.runs.places import shown_cursor
from upkeep.runs.progress import Progress
from upkeep.tasks import parameters, registry
from upkeep.tasks.masks import FILTERED, masked_names
from upkeep.tasks.values import show, tag_of

if TYPE_CHECKING:
    from upkeep.runs.dead_letters import DeadLetter
    from upkeep.runs.events import Event
    from upkeep.runs.leases import Lease
    from upkeep.runs.models import Run


def facts(run: Run) -> dict[str, Any]:
    """
    Return the run as JSON: its public columns, its task's label, and the time left.

    Moments are in ISO 8601, durations and `eta` in seconds.
    """
    public = [field.name for field in run._meta.concrete_fields if field.editable]
    public.remove("parent")  # Its number is enough.
    values = {name: _as_json(getattr(run, name)) for name in public}
    time_left = Progress(run).time_left if run.is_active else None
    return values | {
        "parent": run.parent_id,
        "parameters": _masked_parameters(run),
        "cursor": shown_cursor(run, run.cursor),
        "label": label(run),
        "eta": _as_json(time_left),
    }


def facts_of_stuck(lease: Lease | None) -> dict[str, Any] | None:
    """Return what is in hand for too long as JSON, with where its worker stands."""
    if lease is None:
        return None
    names = ("item", "item_since", "place", "stack")
    return {name: _as_json(getattr(lease, name)) for name in names}


def facts_of_event(event: Event) -> dict[str, Any]:
    """Return a line of a run's story as JSON."""
    names = [field.name for field in event._meta.concrete_fields if field.editable]
    values = {name: _as_json(getattr(event, name)) for name in names if name != "run"}
    return values | {"cursor": shown_cursor(event.run, event.cursor)}


def facts_of_letter(letter: DeadLetter) -> dict[str, Any]:
    """Return a dead letter as JSON, without its traceback and what only we read."""
    values = {name: _as_json(getattr(letter, name)) for name in TOLD_OF_LETTERS}
    return values | {
        "run": letter.run_id,
        "retried_by": letter.retried_by_id,
        "owner": _as_json(letter.owner),
    }


TOLD_OF_LETTERS = (
    *("id", "call", "item", "payload", "error_class", "error_message", "attempts"),
    *("fingerprint", "state", "note", "obstacle", "called_by"),
    *("created_at", "settled_at"),
)


def payload_in_words(letter: DeadLetter) -> dict[str, str]:
    """Return what was kept of an item or a call as people may see it."""
    payload = letter.payload
    if letter.call:
        args = enumerate((payload or {}).get("args", []), start=1)
        named = (payload or {}).get("kwargs", {})
        payload = {_("Argument %(n)s") % {"n": n}: data for n, data in args} | named
    elif not isinstance(payload, dict) or tag_of(payload):
        payload = {} if payload is None else {_("Kept as"): payload}
    return {name: Truncator(show(data)).chars(2_000) for name, data in payload.items()}


def label(run: Run) -> str:
    """Return the label that the run's task has today, or had when it was last here."""
    task = registry.find(run.task)
    return task.label() if task else run.task


def parameters_in_words(run: Run) -> dict[str, str]:
    """Return the run's parameters as people may see them."""
    task = registry.find(run.task)
    if task is None:  # Nobody is left to say what is secret.
        return dict.fromkeys(run.parameters, FILTERED)
    return parameters.describe(task.fields, run.parameters, task.masked)


def _masked_parameters(run: Run) -> dict[str, Any]:
    task = registry.find(run.task)
    hidden = masked_names(run.parameters, task.masked) if task else run.parameters
    return {
        name: FILTERED if name in hidden else value
        for name, value in run.parameters.items()
    }


def _as_json(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case timedelta():
            return round(value.total_seconds(), 3)
        case Model():
            return str(value)
    return value
