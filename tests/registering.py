"""Tasks that there are for the time of a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest import mock

from upkeep import Task
from upkeep.tasks import registry


@contextmanager
def registered(
    classes: Mapping[str, type[Task]] | None = None, *, alone: bool = False
) -> Iterator[None]:
    """Have these tasks beside the others, or alone; forget afterwards what came."""
    with mock.patch.dict(registry._classes, classes or {}, clear=alone):
        registry.forget()
        try:
            yield
        finally:
            registry.forget()


@contextmanager
def renamed(task: type[Task], *, former: str) -> Iterator[None]:
    """Have a task bear another name than before."""
    with mock.patch.object(task, "aliases", (former,)):
        registry.forget()
        try:
            yield
        finally:
            registry.forget()
