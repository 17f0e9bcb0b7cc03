"""The source of a task, coloured for its page."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from django.utils.safestring import SafeString, mark_safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers.python import PythonLexer

if TYPE_CHECKING:
    from upkeep.tasks.base import Task


def source_of(task: type[Task]) -> SafeString | None:
    """Return the class as HTML; None where it has no source, as one made by hand."""
    try:
        code = inspect.getsource(task)
    except (OSError, TypeError):
        return None
    formatter = HtmlFormatter(nowrap=True, classprefix="code-")
    return mark_safe(highlight(code, PythonLexer(), formatter))  # noqa: S308 - Pygments escapes it
