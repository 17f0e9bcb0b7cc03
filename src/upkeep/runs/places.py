"""Places at which a run stood, as people may see them: with what is secret masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upkeep.runs.words import as_json
from upkeep.tasks import registry
from upkeep.tasks.masks import FILTERED, mask_text, mask_value, secrets_in

if TYPE_CHECKING:
    from upkeep.runs.events import Event
    from upkeep.runs.models import Run


# What the number of a place is one of, by its key in the cursor.
NAMES = {"position": "position", "line": "line", "letter": "dead letter"}


def shown_cursor(run: Run, cursor: Any) -> Any:
    """Return a cursor of the run as JSON."""
    secrets = _secrets(run)
    return _hidden(cursor) if secrets is None else mask_value(cursor, secrets)


def place_of(event: Event) -> str:
    """Say in half a line where the run stopped; an empty text where it did not."""
    if event.cursor is None:
        return ""  # Without a look at its run.
    return place_in_words(event.run, event.cursor)


def place_in_words(run: Run, cursor: Any) -> str:
    """Say a cursor of the run in half a line; an empty text where there is none."""
    if cursor is None:
        return ""
    secrets = _secrets(run)
    return FILTERED if secrets is None else mask_text(_in_words(cursor), secrets)


def _secrets(run: Run) -> frozenset[str] | None:
    """Return what is masked; None where nobody is left to say what is secret."""
    if not run.parameters:
        return frozenset()
    task = registry.find(run.task)
    return secrets_in(run.parameters, task.masked) if task else None


def _hidden(cursor: Any) -> Any:
    return None if cursor is None else FILTERED


def _in_words(cursor: Any) -> str:
    match cursor:
        case {"fields": [*fields], "values": [*values]}:
            pairs = zip(fields, values, strict=False)
            return ", ".join(
                f"{name.lstrip('-')} {_said(each)}" for name, each in pairs
            )
        case {"position": number} | {"line": number} | {"letter": number}:
            (kind,) = {"position", "line", "letter"}.intersection(cursor)
            return f"{NAMES[kind]} {number}"
        case {"kind": "once"}:
            return ""
        case {"value": value}:
            return _said(value)
        case _:
            return as_json(cursor)


def _said(value: Any) -> str:
    """Return a value without the tag that tells its type."""
    if isinstance(value, dict) and len(value) == 1:
        (value,) = value.values()
    return value if isinstance(value, str) else as_json(value)
