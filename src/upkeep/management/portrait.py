"""All there is to know of a task, for those who want to run it."""

from __future__ import annotations

import inspect
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upkeep.runs.words import duration
from upkeep.tasks import throttles
from upkeep.tasks.base import Job, Task
from upkeep.tasks.masks import FILTERED, masked_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.forms import Field

# What a task says of itself in other words, or not at all.
OTHER = {"abstract", "app_label", "fields", "run", "throttles"}


def portrait(task: type[Task]) -> Iterator[tuple[str, str]]:
    """Yield names and what they stand for, which may be empty or of several lines."""
    yield "task", task.label()
    yield "description", task.description()
    yield "defined in", _place(task)
    yield "parameters", "\n".join(_parameters(task)) or "none"
    yield "throttles", "\n".join(_throttles(task))
    yield "attributes", "\n".join(_attributes(task))


def _place(task: type[Task]) -> str:
    """Return file and line, from here where it is below."""
    try:
        path = Path(inspect.getfile(task))
        _, line = inspect.getsourcelines(task)
    except (OSError, TypeError):  # It was not made from a file.
        return f"{task.__module__}.{task.__qualname__}"
    here = Path.cwd()
    return f"{path.relative_to(here) if path.is_relative_to(here) else path}:{line}"


def _parameters(task: type[Task]) -> Iterator[str]:
    hidden = masked_names(task.fields, task.masked)
    for name, field in task.fields.items():
        kind = type(field).__name__
        need = _need(field, is_hidden=name in hidden)
        said = f"{name}: {kind}, {need}. {field.help_text}"
        yield said.rstrip()


def _need(field: Field, *, is_hidden: bool) -> str:
    if field.initial is None:
        return "required" if field.required else "optional"
    if is_hidden:
        return f"default {FILTERED}"
    if callable(field.initial):
        return f"default {getattr(field.initial, '__name__', field.initial)}()"
    return f"default {field.initial}"


def _throttles(task: type[Task]) -> Iterator[str]:
    for each in throttles.collect(task):
        backoff = each.backoff
        wait = "as long as it says" if callable(backoff) else duration(backoff)
        yield f"{each.name}: waits {wait}, asked every {duration(each.every)}"


def _attributes(task: type[Task]) -> Iterator[str]:
    usual = Job if issubclass(task, Job) else Task
    for name in inspect.get_annotations(Task):
        value = getattr(task, name)
        if name not in OTHER and value != getattr(usual, name):
            yield f"{name} = {_shown(value)}"


def _shown(value: Any) -> str:
    return duration(value) if isinstance(value, timedelta) else repr(value)
