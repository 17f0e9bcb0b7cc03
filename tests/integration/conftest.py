"""What the tests with real processes share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings

from tests.testapp.clock import clock
from tests.testapp.ledger import ledger
from tests.testapp.models import Item
from upkeep.execution import chunks, executor

ITEMS = 30

TRIED = pytest.StashKey[list[str]]()

NAME = 44
HEADING = f"{'kind':{NAME}} {'database':10} {'tried':>5} of points  bad seconds"


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


@pytest.fixture
def ledger_of_begun(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let tasks write down what they begin, and keep their files, where a test ends."""
    settings.BASE_DIR = tmp_path
    monkeypatch.setattr(ledger, "path", tmp_path / "ledger")


@pytest.fixture
def every_point(request: pytest.FixtureRequest) -> bool:
    """Tell whether workers come to grief at every point, or at a choice of them."""
    return bool(request.config.getoption("--every-point"))


@pytest.fixture
def tell_tried(
    request: pytest.FixtureRequest,
    database_name: str,
    record_property: Callable[[str, object], None],
) -> Callable[..., None]:
    """Return what keeps a line for the table at the end, and figures for the report."""

    def tell(name: str, **figures: float) -> None:
        for key, value in figures.items():
            record_property(key, value)
        tried, points, bad, seconds = figures.values()
        request.config.stash.setdefault(TRIED, []).append(
            f"{name:{NAME}} {database_name:10} {tried:5} of {points:5} {bad:4} "
            f"{seconds:7.1f}"
        )

    return tell


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what came of the workers that came to grief."""
    if lines := config.stash.get(TRIED, []):
        terminalreporter.section("workers that came to grief")
        for line in [HEADING, *lines]:
            terminalreporter.write_line(line)
