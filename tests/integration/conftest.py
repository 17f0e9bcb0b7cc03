"""What the tests with real processes share."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from pytest_django import Settings

from tests.testapp.clock import clock
from tests.testapp.models import Item
from upkeep.execution import chunks, executor

ITEMS = 30


@pytest.fixture
def database_name() -> str:
    """Return what the database is called by those who use it."""
    return "mariadb" if connection.vendor == "mysql" else connection.vendor


@pytest.fixture
def short_leases(settings: Settings) -> None:
    """Let a worker count as silent after 0.05 s."""
    settings.UPKEEP = {"LEASE": timedelta(seconds=0.05)}


@pytest.fixture
def known_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let chunks end where CountUpInChunks says, however slow the machine."""
    monkeypatch.setattr(chunks, "monotonic", clock)
    monkeypatch.setattr(executor, "monotonic", clock)


@pytest.fixture
def items(transactional_db: None) -> list[Item]:
    """Return thirty items that nobody has counted up."""
    return Item.objects.bulk_create(Item(pk=pk) for pk in range(1, ITEMS + 1))
