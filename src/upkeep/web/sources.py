"""The source of a task, coloured for its page."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from django.utils.safestring import SafeString, mark_safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers.python import PythonLexer

from upkeep.tasks.masks import mask_text, secrets_of

if TYPE_CHECKING:
    from upkeep.tasks.base import Task


def source_of(task: type[Task]) -> SafeString | None:
    """Return the class as HTML; None where it has no source, as one made by hand."""
    try:
        code = inspect.getsource(task)
    except (OSError, TypeError):
        return None
    code = mask_text(code, secrets_of(_initials(task), task.masked))
    formatter = HtmlFormatter(nowrap=True, classprefix="code-")
    return mark_safe(highlight(code, PythonLexer(), formatter))  # noqa: S308 - Pygments escapes it


def _initials(task: type[Task]) -> dict[str, Any]:
    """Return what parameters are where nobody gives them; it may stand in the code."""
    return {
        name: field.initial
        for name, field in task.fields.items()
        if not callable(field.initial)
    }
