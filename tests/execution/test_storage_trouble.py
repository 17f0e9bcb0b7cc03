"""A storage that fails, loses its file or is slow in the midst of a run."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from io import FileIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from pytest_django import Settings

from tests.execution.story import go_on, resume
from tests.execution.test_pacemaker import sweeping
from tests.testapp.clock import clock
from tests.testapp.maintenance import ImportItems
from tests.testapp.models import Item
from upkeep.models import Run
from upkeep.runs.status import Status
from upkeep.tasks.collections.files import lines
from upkeep.tasks.uploads import StoredFile

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 200


class Trouble:
    """What befalls a storage, at one of the calls of it."""

    def __init__(self) -> None:
        self.calls = 0
        self.at: int | None = None
        self.times = 1
        self.act: Callable[[], None] = self.fail

    def pass_through(self) -> None:
        """Let it happen, if it is time."""
        self.calls += 1
        if self.at is not None and self.calls >= self.at and self.times:
            self.times -= 1
            self.act()

    def fail(self) -> None:
        raise OSError(errno.EIO, "Input/output error")


trouble = Trouble()


class TroubledFile(FileIO):
    """A file of a troubled storage."""

    def read(self, size: int | None = -1, /) -> bytes:
        trouble.pass_through()
        return super().read(-1 if size is None else size) or b""

    def seek(self, place: int, whence: int = 0, /) -> int:
        trouble.pass_through()
        return super().seek(place, whence)


class TroubledStorage(FileSystemStorage):
    """A folder that is in trouble now and then, as one on a network is."""

    def open(self, name: str, mode: str = "rb") -> File[Any]:
        trouble.pass_through()
        return File(TroubledFile(self.path(name)), name=name)  # type: ignore[arg-type,unused-ignore]


@pytest.fixture(autouse=True)
def far_folder(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep files in such a folder, read in small blocks."""
    path = f"{__name__}.{TroubledStorage.__name__}"
    settings.STORAGES = settings.STORAGES | {
        "upkeep": {"BACKEND": path, "OPTIONS": {"location": str(tmp_path)}}
    }
    monkeypatch.setattr(lines, "BLOCK", 256)
    monkeypatch.setattr(f"{__name__}.trouble", Trouble())


def begin() -> Run:
    text = "name,n\n" + "".join(f"{n},{n}\n" for n in range(ROWS))
    return ImportItems.enqueue(csv_file=ContentFile(text.encode(), name="items.csv"))


def imported() -> list[int]:
    return sorted(Item.objects.values_list("n", flat=True))


def calls_of_a_run() -> int:
    """Have a run that nothing befalls, and return how often it asks the storage."""
    run = begin()
    trouble.calls = 0
    assert go_on(run).status == Status.SUCCEEDED
    Item.objects.all().delete()
    return trouble.calls


@pytest.mark.parametrize("times", [1, 1000], ids=["once", "for long"])
def test_wherever_it_fails_no_row_is_lost_or_doubled(times: int) -> None:
    """What passes at once is tried again; what lasts stops the run with a sentence."""
    for at in range(1, calls_of_a_run() + 1, 3):
        Item.objects.all().delete()
        run = begin()
        trouble.calls, trouble.at, trouble.times = 0, at, times
        run = go_on(run)
        trouble.at = None
        if run.status == Status.ERRORED:
            assert run.error_class == "upkeep.exceptions.StorageFailed", run.traceback
            assert run.error_message == (
                "The storage broke off while it gave the file items.csv: OSError: "
                "[Errno 5] Input/output error. Resume the run when the storage is well "
                "again."
            )
            assert imported() == list(range(run.done))
            run = resume(run)
        assert (run.status, run.done) == (Status.SUCCEEDED, ROWS), at
        assert imported() == list(range(ROWS)), at


def test_without_the_sentence_people_are_told_a_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(StoredFile, "_telling", lambda self: nullcontext())
    at = calls_of_a_run() // 2
    found = set()
    for call in (at, at + 1):
        run = begin()
        trouble.calls, trouble.at, trouble.times = 0, call, 1000
        found.add(go_on(run).error_class)
        run.cancel()
        trouble.at = None
    assert "builtins.OSError" in found


@pytest.mark.usefixtures("still_clock")
def test_a_file_that_is_deleted_meanwhile_is_missed_by_the_next_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def process(self: ImportItems, row: dict[str, str]) -> None:
        create(self, row)
        if int(row["n"]) == 49:
            Run.objects.get().pause()
            clock.tick()

    create = ImportItems.process
    monkeypatch.setattr(ImportItems, "process", process)
    run = go_on(begin())
    assert (run.status, run.done) == (Status.PAUSED, 50)
    storages["upkeep"].delete(run.parameters["csv_file"]["$file"])
    run = resume(run)
    assert (run.status, run.done) == (Status.ERRORED, 50)
    assert "The file items.csv is no longer in the storage" in run.error_message
    assert imported() == list(range(50))


def test_a_read_that_stalls_for_three_leases_keeps_the_run(settings: Settings) -> None:
    lease = timedelta(seconds=1.5)
    settings.UPKEEP = {"LEASE": lease}
    at = calls_of_a_run() // 2
    run = begin()
    trouble.calls, trouble.at = 0, at
    trouble.act = lambda: time.sleep(3 * lease.total_seconds())
    with sweeping() as taken:
        run = go_on(run)
    assert (run.status, run.done, run.attempts) == (Status.SUCCEEDED, ROWS, 1)
    assert imported() == list(range(ROWS))
    assert sum(taken) == 0
