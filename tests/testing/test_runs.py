"""A test works off a run itself, as far as it wants to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import TestCase, TransactionTestCase
from pytest_django import Settings

from tests.dispatch.queue import messages
from tests.runs.stages import run_in
from tests.test_checks import TASKS_PACKAGE
from tests.testapp.maintenance import (
    CountUp,
    CountUpOutside,
    CountUpTo,
    ImportItems,
    Numbers,
    Report,
)
from tests.testapp.models import Effect, Item
from upkeep.exceptions import InvalidParameters, InvalidTransition, UpkeepError
from upkeep.models import Run
from upkeep.port import port
from upkeep.runs.status import ENDED, Status
from upkeep.tasks.base import Task
from upkeep.testing import run_inline, upload


def effects() -> list[int]:
    return list(Effect.objects.order_by("pk").values_list("item", flat=True))


class Laws:
    """What holds whatever the test is wrapped in."""

    def test_a_run_goes_to_its_end(self) -> None:
        run = run_inline(Numbers)
        assert (run.status, run.done) == (Status.SUCCEEDED, 7)
        assert effects() == [1, 2, 3, 4, 5, 6, 7]

    def test_a_run_stops_after_so_many_items_and_goes_on(self) -> None:
        run = run_inline(Numbers, stop_after=2)
        assert (run.status, run.done) == (Status.INTERRUPTED, 2)
        assert run.reason == "The test told it to stop."
        assert effects() == [1, 2]
        run = run_inline(run, stop_after=3)
        assert (run.status, run.done) == (Status.INTERRUPTED, 5)
        run = run_inline(run)
        assert (run.status, run.done) == (Status.SUCCEEDED, 7)
        assert effects() == [1, 2, 3, 4, 5, 6, 7]

    def test_no_message_is_sent(self) -> None:
        run_inline(run_inline(Numbers, stop_after=2))
        assert not messages()


class TestInTestCase(Laws, TestCase):
    pass


class TestInTransactionTestCase(Laws, TransactionTestCase):
    pass


@pytest.mark.django_db
class TestWithDb(Laws):
    pass


@pytest.mark.django_db(transaction=True)
class TestWithTransactionalDb(Laws):
    @pytest.mark.parametrize("backend", ["Dummy", "Immediate"])
    def test_no_backend_for_tests_runs_ahead(
        self, settings: Settings, backend: str
    ) -> None:
        path = f"{TASKS_PACKAGE}.backends.{backend.lower()}.{backend}Backend"
        settings.TASKS = {"default": {"BACKEND": path}}
        run = run_inline(Numbers, stop_after=2)
        assert (run.status, effects()) == (Status.INTERRUPTED, [1, 2])
        run.pause()
        run = run_inline(run, stop_after=1)
        assert (run.status, effects()) == (Status.INTERRUPTED, [1, 2, 3])

    def test_an_open_transaction_is_refused(self) -> None:
        run = run_inline(Numbers, stop_after=1)
        for task in (Numbers, run):
            with transaction.atomic(), pytest.raises(UpkeepError, match="atomic"):
                run_inline(task)


@pytest.mark.django_db
class TestRunInline:
    def test_takes_parameters(self) -> None:
        Item.objects.bulk_create(Item(pk=pk) for pk in range(1, 4))
        assert run_inline(CountUpTo, up_to="3").status == Status.SUCCEEDED
        with pytest.raises(InvalidParameters):
            run_inline(CountUpTo, up_to="many")

    def test_returns_the_run_whatever_its_end(self) -> None:
        Item.objects.bulk_create(Item(pk=pk) for pk in range(1, 4))
        run = run_inline(CountUpTo, up_to=1)
        assert (run.status, run.done) == (Status.ERRORED, 1)
        assert run.error_message == "2 is beyond 1"

    @pytest.mark.parametrize("task", [CountUp, CountUpOutside])
    @pytest.mark.parametrize("items", range(5))
    def test_stops_between_the_items_of_any_task(
        self, task: type[Task], items: int
    ) -> None:
        Item.objects.bulk_create(Item() for _ in range(5))
        run = run_inline(task, stop_after=items)
        assert (run.status, run.done) == (Status.INTERRUPTED, items)
        assert Effect.objects.count() == items

    def test_stops_after_items_that_are_kept_not_after_those_done_again(self) -> None:
        """When an item fails, those before it are done once more."""
        Item.objects.bulk_create(Item(pk=pk) for pk in range(1, 8))
        run = run_inline(CountUpTo, up_to=3, stop_after=3)
        assert (run.status, run.done) == (Status.INTERRUPTED, 3)
        run = run_inline(run, stop_after=2)
        assert (run.status, run.done) == (Status.ERRORED, 3)

    def test_that_may_do_more_than_there_is_comes_to_the_end(self) -> None:
        assert run_inline(Numbers, stop_after=100).status == Status.SUCCEEDED
        assert run_inline(Report, stop_after=1).status == Status.SUCCEEDED

    @pytest.mark.parametrize(
        "status", [Status.ENQUEUED, Status.INTERRUPTED, Status.PAUSED, Status.ERRORED]
    )
    def test_goes_on_with_a_run_that_can(self, status: Status) -> None:
        assert run_inline(run_in(status)).status == Status.SUCCEEDED

    @pytest.mark.parametrize("status", sorted(ENDED - {Status.ERRORED}))
    def test_refuses_a_run_that_is_over(self, status: Status) -> None:
        with pytest.raises(InvalidTransition, match=f"its status is {status}"):
            run_inline(run_in(status))

    def test_refuses_what_makes_no_sense(self) -> None:
        with pytest.raises(ValueError, match="stop_after must be 0 or more, not -1"):
            run_inline(Numbers, stop_after=-1)
        assert not Run.objects.exists()
        with pytest.raises(TypeError, match="has its parameters"):
            run_inline(run_in(Status.PAUSED), up_to=3)

    def test_leaves_all_as_it_was(self) -> None:
        before = port.call_worker, Numbers.process
        run_inline(Numbers, stop_after=1)
        assert (port.call_worker, Numbers.process) == before
        assert "process" not in vars(CountUpOutside)
        run_inline(CountUpOutside, stop_after=1)
        assert "process" not in vars(CountUpOutside)


class TestUpload:
    @pytest.mark.parametrize("kind", ["text", "bytes", "path"])
    @pytest.mark.django_db
    def test_is_a_file_for_a_task(
        self, kind: str, tmp_path: Path, settings: Settings
    ) -> None:
        settings.BASE_DIR = tmp_path
        text = "name,n\na,1\nb,2\n"
        (tmp_path / "items.csv").write_text(text)
        content: Any = {
            "text": text,
            "bytes": text.encode(),
            "path": tmp_path / "items.csv",
        }[kind]
        run = run_inline(ImportItems, csv_file=upload(content))
        assert (run.status, run.done) == (Status.SUCCEEDED, 2)

    def test_has_the_name_that_it_is_given(self, tmp_path: Path) -> None:
        path = tmp_path / "items.csv"
        path.touch()
        assert upload("a", name="a.csv").name == "a.csv"
        assert upload("a").name == "upload"
        assert upload(path).name == "items.csv"
        assert upload(path, name="b.csv").name == "b.csv"
        assert upload("é").read() == "é".encode()
