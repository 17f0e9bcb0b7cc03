"""An item that outlives the lease while nothing beats: another worker takes over."""

from __future__ import annotations

import ctypes
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings

from tests import without
from tests.integration.harness import (
    faults,
    has_ended,
    process,
    rescue,
    wait_until,
    work_off_queue,
)
from tests.testapp.maintenance import CountUp
from tests.testapp.models import Item
from upkeep.execution.pacemaker import Pacemaker
from upkeep.models import Run
from upkeep.runs.status import Status

pytestmark = pytest.mark.django_db(transaction=True)

LONG = 7  # The item that takes its time.


@pytest.fixture(autouse=True)
def short_lease(settings: Settings) -> None:
    settings.UPKEEP = {"LEASE": timedelta(seconds=0.6)}


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that is there when somebody has begun the long item."""
    begun = tmp_path / "begun"

    def process(self: CountUp, item: Item) -> None:
        effect(self, item)
        if item.pk == LONG and not begun.exists():
            begun.touch()
            hold_everything_up()

    effect = CountUp.process
    monkeypatch.setattr(CountUp, "process", process)
    return begun


def hold_everything_up() -> None:
    """Keep the interpreter to ourselves for five leases, as C code may do."""
    ctypes.PyDLL(None).usleep(3_000_000)


def work_beside_a_rescuer(begun: Path, run: Run) -> None:
    with process(work_off_queue) as first:
        assert wait_until(begun.exists)
        with process(rescue) as second:
            assert wait_until(lambda: has_ended(second))
            assert wait_until(lambda: has_ended(first))
    run.refresh_from_db()


@pytest.mark.parametrize("how", ["frozen", "dead"])
def test_its_effects_happen_once(
    items: list[Item], begun: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite its write lock is lease enough, and nobody takes over."""
    if how == "dead":
        monkeypatch.setattr(Pacemaker, "_beat_until_stopped", lambda self: None)
    run = CountUp.enqueue()
    work_beside_a_rescuer(begun, run)
    assert faults(run) == []
    assert run.attempts == (1 if connection.vendor == "sqlite" else 2)


def test_without_fence_and_eviction_they_happen_twice(
    items: list[Item], begun: Path
) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("by design: on SQLite nobody takes over a chunk under way")
    run = CountUp.enqueue()
    with without.fence(), without.eviction():
        work_beside_a_rescuer(begun, run)
    assert run.status == Status.SUCCEEDED
    assert any("not done once" in fault for fault in faults(run))
