"""A disk that is full under SQLite: nothing is lost, and room lets the run go on."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.db.backends.signals import connection_created
from pytest_django import Settings

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
from upkeep import databases
from upkeep.execution import executor
from upkeep.models import Run
from upkeep.runs.status import Status

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "sqlite",
        reason="by design: a server's disk is filled where the server is, not here",
    ),
]

FULL_AT = 11


class Disk:
    """A place that is full, or not."""

    def __init__(self, folder: Path) -> None:
        self.filler = folder / "filler"

    def fill(self) -> None:
        """Leave no room."""
        with self.filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                return

    def make_room(self) -> None:
        """Give back what was taken."""
        self.filler.unlink()


class Limit(Disk):
    """The same by what SQLite itself allows, where nobody may mount a disk."""

    def fill(self) -> None:
        self.filler.touch()

    def watch(self, connection: Any, **kwargs: Any) -> None:
        """Have a new connection ask before each statement whether there is room."""
        connection.execute_wrappers.append(self._ask)

    def look_away(self, connection: Any) -> None:
        """Leave a connection as it was: who comes later has a place of their own."""
        wrappers = connection.execute_wrappers
        wrappers[:] = [each for each in wrappers if each != self._ask]
        connection.close()

    def _ask(
        self, execute: Any, sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        most = 1 if self.filler.exists() else 1 << 30  # The least is what there is.
        raw = context["connection"].connection
        raw.execute(f"PRAGMA max_page_count = {most}").fetchone()
        return execute(sql, params, many, context)


@pytest.fixture(params=["a disk", "a limit"])
def disk(
    request: pytest.FixtureRequest, items: list[Item], tmp_path: Path
) -> Iterator[Disk]:
    """Have the database on a disk of 16 MB, or with a limit of its own."""
    with connection.cursor() as cursor:
        # Else there is room in the pages that are free, or too many to be moved.
        cursor.execute("VACUUM")
    connection.close()
    if request.param == "a limit":
        limit = Limit(tmp_path)
        connection_created.connect(limit.watch)
        yield limit
        connection_created.disconnect(limit.watch)
        limit.look_away(connection)
        return
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(tmp_path)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("by design: only root may mount a disk")
    try:
        with moved_to(tmp_path):
            yield Disk(tmp_path)
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


@contextmanager
def moved_to(folder: Path) -> Iterator[None]:
    """Have the database in another folder, with all that is in it."""
    connection.close()
    before, now = connection.settings_dict["NAME"], str(folder / "upkeep.sqlite3")
    shutil.copy(before, now)
    with mock.patch.dict(connection.settings_dict, NAME=now):
        yield
        connection.close()


@pytest.fixture(autouse=True)
def short_lease(settings: Settings) -> None:
    settings.UPKEEP = {"LEASE": timedelta(seconds=1)}


@pytest.fixture
def run(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Return a run whose disk becomes full behind its tenth item."""

    def process(self: CountUp, item: Item) -> None:
        effect(self, item)
        if item.pk == FULL_AT and not was_full.exists():
            was_full.touch()
            disk.fill()
        if item.pk >= FULL_AT:  # SQLite knows no longest text.
            Item.objects.filter(pk=item.pk).update(name="x" * 100_000)

    effect = CountUp.process
    was_full = disk.filler.with_name("was full")
    monkeypatch.setattr(CountUp, "process", process)
    yield CountUp.enqueue()
    connection.close()


def work_until_full(disk: Disk, run: Run, pid: int) -> None:
    assert wait_until(disk.filler.exists), "it never came there"
    assert not wait_until(lambda: has_ended(pid), timeout=1)
    assert Run.objects.get(pk=run.pk).status == Status.RUNNING


def test_a_worker_waits_for_room_and_goes_on(disk: Disk, run: Run) -> None:
    with process(work_off_queue) as pid:
        work_until_full(disk, run, pid)
        disk.make_room()
        assert wait_until(lambda: has_ended(pid))
    assert faults(run) == []
    assert run.attempts == 1


def test_a_run_for_which_there_is_no_room_goes_on_when_there_is(
    disk: Disk, items: list[Item]
) -> None:
    """Neither the queue nor a claim can be written meanwhile."""
    run = CountUp.enqueue()
    disk.fill()
    with process(rescue) as pid:
        has_ended_soon = wait_until(lambda: has_ended(pid), timeout=1)
        disk.make_room()
        assert has_ended_soon or wait_until(lambda: has_ended(pid))
    with process(rescue) as pid:
        assert wait_until(lambda: has_ended(pid))
    assert faults(run) == []


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers wait for half a second only."""
    monkeypatch.setattr(executor, "PATIENCE", timedelta(seconds=0.5))
    monkeypatch.setattr(executor, "DATABASE_PATIENCE", timedelta(seconds=0.5))


def test_who_has_no_patience_left_loses_nothing(
    disk: Disk, run: Run, no_patience: None
) -> None:
    """Where not even the error can be written, the sweep takes the run up."""
    with process(work_off_queue) as pid:
        assert wait_until(lambda: has_ended(pid))
    disk.make_room()
    run.refresh_from_db()
    assert run.status in {Status.RUNNING, Status.ERRORED}
    if run.status == Status.ERRORED:
        assert "OperationalError: database or disk is full" in run.reason
        run.resume()
    with process(rescue) as pid:
        assert wait_until(lambda: has_ended(pid))
    assert faults(run) == []


@pytest.mark.parametrize("disk", ["a limit"], indirect=True)
def test_an_item_that_is_too_much_for_the_disk_is_named(
    disk: Disk, items: list[Item], no_patience: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def process(self: CountUp, item: Item) -> None:
        effect(self, item)
        if item.pk == FULL_AT:
            disk.fill()
            try:
                Item.objects.filter(pk=item.pk).update(name="x" * 100_000)
            finally:
                disk.make_room()

    effect = CountUp.process
    monkeypatch.setattr(CountUp, "process", process)
    run = CountUp.run_now()
    assert (run.status, run.done) == (Status.ERRORED, FULL_AT - 1)
    assert run.reason == (
        f"OperationalError: database or disk is full (at testapp.Item {FULL_AT})"
    )


def test_without_patience_for_it_a_full_disk_ends_the_worker(
    disk: Disk, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "_PASSING_SQLITE", ("SQLITE_BUSY",))
    with process(work_off_queue) as pid:
        assert wait_until(lambda: has_ended(pid))
    assert disk.filler.exists()
