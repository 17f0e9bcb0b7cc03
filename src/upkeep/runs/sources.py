"""From where runs are moved: noted around a verb, and told by the event of the move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Source(TextChoices):
    """From where a move was made."""

    PAGE = "page", _("page")  # A page of ours, or the JSON at its address.
    COMMAND = "command", _("command line")
    PYTHON = "python", _("Python")  # Code of the project, a hook or a task among it.
    WORKER = "worker", _("worker")  # Whoever advances the run.
    SWEEP = "sweep", _("sweep")  # Whoever found that its worker fell silent.


_here: ContextVar[Source] = ContextVar("upkeep_source", default=Source.PYTHON)


def here() -> Source:
    """Return from where a move would be made now."""
    return _here.get()


@contextmanager
def moves_from(source: Source) -> Iterator[None]:
    """Have the moves that are made in here tell that they come from there."""
    before = _here.set(source)
    try:
        yield
    finally:
        _here.reset(before)
