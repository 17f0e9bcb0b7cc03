"""What the tests of the engine share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TypeVar

import pytest
from django.db import connection

from tests.registering import registered
from tests.testapp.clock import clock
from tests.testapp.models import Item
from upkeep import Task
from upkeep.execution import (
    chunks,
    executor,
    interruption,
    rate,
    throttling,
    waiting,
)

Trial = TypeVar("Trial", bound=type[Task])

ITEMS = 20


@pytest.fixture
def known() -> Iterator[Callable[[Trial], Trial]]:
    """Return a decorator: a task made inside a test is found as one of an app is."""
    with ExitStack() as stack:

        def know(task: Trial) -> Trial:
            task.app_label = "testapp"
            stack.enter_context(registered({f"tests.{task.__name__}": task}))
            return task

        yield know


@pytest.fixture
def items(transactional_db: None) -> list[Item]:
    """Return twenty items that nobody has counted up."""
    return Item.objects.bulk_create(Item(pk=pk) for pk in range(1, ITEMS + 1))


@pytest.fixture
def still_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let chunks and budgets end where a task ticks, however slow the machine."""
    monkeypatch.setattr(chunks, "monotonic", clock)
    monkeypatch.setattr(executor, "monotonic", clock)
    monkeypatch.setattr(interruption, "monotonic", clock)
    monkeypatch.setattr(throttling, "monotonic", clock)
    monkeypatch.setattr(rate, "monotonic", clock)
    monkeypatch.setattr(waiting, "monotonic", clock)
    monkeypatch.setattr(waiting, "sleep", clock.sleep)


@pytest.fixture
def on_mariadb() -> None:
    """Skip what only MariaDB does."""
    if connection.vendor != "mysql":
        pytest.skip("by design: only MariaDB commits by itself before such a statement")


@pytest.fixture
def on_a_server() -> None:
    """Skip what needs several sessions that write."""
    if connection.vendor == "sqlite":
        pytest.skip("by design: SQLite has one writer and no sessions to end")
