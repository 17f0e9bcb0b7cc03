"""A run over each kind of collection: stopped by an error, and gone on with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from pytest_django import Settings

from tests.execution.story import effects, once, resume
from tests.testapp.models import Effect, Item
from upkeep import Batches, Task, parameter
from upkeep.forms import CSVField
from upkeep.runs.status import Status
from upkeep.tasks.collections.files import CSVFile

Known = Callable[[Any], Any]

pytestmark = pytest.mark.usefixtures("items")


class Fragile(Task):
    """Note each item, and fail at one of them while it is not mended."""

    app_label = "testapp"
    abstract = True
    is_mended = False

    def note(self, keys: list[int]) -> None:
        Effect.objects.bulk_create(Effect(item=key) for key in keys)
        if 11 in keys and not self.is_mended:
            raise ValueError("11 is broken")


def mended(task: type[Fragile], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "is_mended", True)


def test_batches(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    @known
    class Trial(Fragile):
        def collection(self) -> Any:
            return Batches(Item.objects.filter(name=""), size=3)

        def process(self, batch: Any) -> None:
            self.note([item.pk for item in batch])
            batch.update(name="done")

    run = Trial.run_now()
    assert (run.status, run.done, run.total) == (Status.ERRORED, 3, 7)
    assert effects() == once(*range(1, 10))
    mended(Trial, monkeypatch)
    run = resume(run)
    assert (run.status, run.done) == (Status.SUCCEEDED, 7)
    assert effects() == once(*range(1, 21))


@pytest.mark.parametrize(
    ("size", "done", "total"), [(None, 10, 20), (2, 5, 10), (3, 3, 7)]
)
def test_a_file_and_its_batches(
    known: Known,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    tmp_path: Path,
    size: int | None,
    done: int,
    total: int,
) -> None:
    @known
    class Trial(Fragile):
        csv_file: CSVFile = parameter(CSVField())

        def collection(self) -> Any:
            return self.csv_file.in_batches(size) if size else self.csv_file

        def process(self, item: Any) -> None:
            self.note([int(row["key"]) for row in (item if size else [item])])

    settings.BASE_DIR = tmp_path
    rows = "".join(f"{key}\n" for key in range(1, 21)).encode()
    run = Trial.run_now(csv_file=ContentFile(b"key\n" + rows, name="keys.csv"))
    assert (run.status, run.done, run.total) == (Status.ERRORED, done, total)
    assert effects() == once(*range(1, done * (size or 1) + 1))
    mended(Trial, monkeypatch)
    run = resume(run)
    assert (run.status, run.done) == (Status.SUCCEEDED, total)
    assert effects() == once(*range(1, 21))


def test_an_iteration_of_its_own(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []

    @known
    class Trial(Fragile):
        def iterate(self, cursor: Any) -> Iterator[tuple[int, Any]]:
            begun.append(cursor)
            for key in range((cursor or {"key": 0})["key"] + 1, 21):
                yield key, {"key": key}

        def process(self, key: int) -> None:
            self.note([key])

    run = Trial.run_now()
    assert (run.status, run.done, run.total) == (Status.ERRORED, 10, None)
    mended(Trial, monkeypatch)
    run = resume(run)
    assert (run.status, run.done) == (Status.SUCCEEDED, 20)
    assert effects() == once(*range(1, 21))
    assert begun[-1] == {"key": 10}


def test_an_error_of_the_iteration_keeps_what_came_before(
    known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    @known
    class Trial(Fragile):
        def iterate(self, cursor: int | None) -> Iterator[tuple[int, int]]:
            for key in range((cursor or 0) + 1, 21):
                if key == 11 and not self.is_mended:
                    raise OSError("the line went dead")
                yield key, key

        def process(self, key: int) -> None:
            Effect.objects.create(item=key)

    run = Trial.run_now()
    assert (run.status, run.done) == (Status.ERRORED, 10)
    assert run.error_message == "the line went dead"
    assert effects() == once(*range(1, 11))
    mended(Trial, monkeypatch)
    assert resume(run).status == Status.SUCCEEDED
    assert effects() == once(*range(1, 21))


def test_records_by_other_columns(
    known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    for item in Item.objects.all():
        Item.objects.filter(pk=item.pk).update(n=item.pk % 3)

    @known
    class Trial(Fragile):
        cursor_fields = ("-n", "pk")

        def collection(self) -> Any:
            return Item.objects.all()

        def process(self, item: Item) -> None:
            self.note([item.pk])

    run = Trial.run_now()
    assert run.status == Status.ERRORED
    assert set(effects()) == {2, 5, 8}
    mended(Trial, monkeypatch)
    assert resume(run).status == Status.SUCCEEDED
    assert effects() == once(*range(1, 21))


@pytest.mark.parametrize(
    "walk_otherwise",
    [
        {"cursor_fields": ("-n",)},
        {"collection": lambda self: Batches(Item.objects.all(), 5)},
        {"collection": lambda self: [1, 2, 3]},
        {"iterate": lambda self, cursor: iter([(1, 1)])},
    ],
)
def test_a_deploy_that_walks_otherwise_is_found_and_keeps_the_place(
    known: Known, monkeypatch: pytest.MonkeyPatch, walk_otherwise: dict[str, Any]
) -> None:
    @known
    class Trial(Fragile):
        def collection(self) -> Any:
            return Item.objects.all()

        def process(self, item: Item) -> None:
            self.note([item.pk])

    run = Trial.run_now()
    place, was = run.cursor, Trial.__dict__.get("collection")
    with monkeypatch.context() as deploy:
        for name, value in walk_otherwise.items():
            deploy.setattr(Trial, name, value)
        run = resume(run)
    assert run.status == Status.ERRORED
    assert run.error_class == "upkeep.exceptions.CursorMismatch"
    assert run.cursor == place
    assert Trial.__dict__.get("collection") is was
    mended(Trial, monkeypatch)
    assert resume(run).status == Status.SUCCEEDED
    assert effects() == once(*range(1, 21))


def test_locks_without_a_transaction_are_refused(known: Known) -> None:
    @known
    class Trial(Fragile):
        atomic = False

        def collection(self) -> Any:
            return Item.objects.select_for_update()

        def process(self, item: Item) -> None:
            self.note([item.pk])

    run = Trial.run_now()
    assert run.status == Status.ERRORED
    assert "locks its rows, but its task is not atomic" in run.error_message
