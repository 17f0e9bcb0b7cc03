"""A run from its claim to its end: chunks, places, pages, counts and results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django import forms
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django import Settings

from tests.dispatch.queue import messages
from tests.execution.story import effects, go_on, once, resume
from tests.integration.harness import faults
from tests.registering import registered
from tests.testapp.clock import clock
from tests.testapp.maintenance import CountUp, CountUpInChunks, Numbers, Report
from tests.testapp.models import Effect, Item
from upkeep import Job, Quarantine, Task, parameter
from upkeep.exceptions import LeaseLost
from upkeep.execution import executor
from upkeep.execution.claim import Claim
from upkeep.execution.executor import Executor
from upkeep.execution.interruption import Interruption
from upkeep.execution.pacemaker import Pacemaker
from upkeep.models import Run
from upkeep.runs.status import Status
from upkeep.tasks.collections.querysets import QuerySetCollection

Known = Callable[[Any], Any]


@pytest.mark.usefixtures("items", "still_clock")
class TestChunks:
    """A chunk is a transaction and a checkpoint; a page ends with its chunk."""

    def test_the_place_is_saved_with_each_chunk(self) -> None:
        places = []
        write = Claim.write

        def note(self: Claim, *lines: str, **changes: Any) -> None:
            write(self, *lines, **changes)
            if "cursor" in changes:
                places.append((changes["done"], Effect.objects.count()))

        with mock.patch.object(Claim, "write", note):
            run = CountUpInChunks.run_now()
        assert faults(run) == []
        assert [done for done, _effects in places][:2] == [10, 20]
        assert all(done == effects for done, effects in places)

    @pytest.mark.parametrize("said_by", ["the task", "the settings"])
    def test_it_lasts_as_long_as_is_said(
        self, known: Known, settings: Settings, said_by: str
    ) -> None:
        length = timedelta(seconds=0.05)

        class Trial(CountUp):
            chunk = length if said_by == "the task" else None

            def process(self, item: Item) -> None:
                super().process(item)
                clock.now += 0.03

        settings.UPKEEP = {} if Trial.chunk else {"CHUNK": length}
        run = known(Trial).enqueue()
        with mock.patch.object(Claim, "write", side_effect=LeaseLost) as write:
            write.side_effect = [None, LeaseLost]  # The total, then the checkpoint.
            executor.execute(run.pk, run.lease_token)
        assert write.call_args.kwargs["done"] == 2

    def test_time_counts_while_a_worker_is_at_it(self, known: Known) -> None:
        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                clock.tick()  # ten seconds

        run = Trial.enqueue()
        executor.execute(run.pk, run.lease_token, interruption=stop_after(3))
        run.refresh_from_db()
        assert (run.done, run.time_running) == (3, timedelta(seconds=30))
        clock.tick()
        assert go_on(run).time_running == timedelta(seconds=200)

    def test_a_page_ends_with_its_chunk(self) -> None:
        """Records that outlive their transaction are stale, and locked no more."""
        with fetched() as pages:
            CountUpInChunks.run_now()
        assert [first for first, _size in pages][:2] == [None, 10]

    def test_locked_records_can_be_walked(self, known: Known) -> None:
        @known
        class Trial(CountUpInChunks):
            def collection(self) -> Any:
                return Item.objects.select_for_update()

        assert faults(Trial.run_now()) == []

    def test_pages_of_slow_items_hold_few_in_vain(self, known: Known) -> None:
        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                clock.tick()

        Item.objects.bulk_create(Item(pk=pk) for pk in range(21, 1021))
        with fetched() as pages:
            run = Trial.enqueue()
            executor.execute(
                run.pk, run.lease_token, interruption=stop_after(30), to_the_end=True
            )
        assert len(effects()) == 30
        assert sum(size for _first, size in pages) < 100 + 2 * 30

    def test_pages_of_fast_items_grow_to_the_size_of_the_batch(
        self, known: Known
    ) -> None:
        @known
        class Trial(Task):
            batch_size = 400
            chunk = timedelta(seconds=0.05)

            def collection(self) -> Any:
                return Item.objects.all()

            def process(self, item: Item) -> None:
                clock.now += 0.00009

        Item.objects.bulk_create(Item(pk=pk) for pk in range(21, 3001))
        with fetched() as pages:
            assert Trial.run_now().done == 3000
        sizes = [size for _first, size in pages]
        assert sizes[0] == 100
        assert max(sizes) == 400

    def test_an_empty_collection_succeeds(self) -> None:
        Item.objects.all().delete()
        run = CountUp.run_now()
        assert (run.status, run.done, run.total) == (Status.SUCCEEDED, 0, 0)

    def test_items_that_delete_themselves_skip_nobody(self, known: Known) -> None:
        @known
        class Trial(CountUp):
            batch_size = 7

            def process(self, item: Item) -> None:
                super().process(item)
                item.delete()

        assert Trial.run_now().done == 20
        assert effects() == once(*range(1, 21))

    def test_items_that_are_copied_in_process_skip_nobody(self, known: Known) -> None:
        @known
        class Trial(CountUp):
            batch_size = 7

            def process(self, item: Item) -> None:
                super().process(item)
                item.pk = -item.pk
                item.save(force_insert=True)

        assert Trial.run_now().done == 20
        assert effects() == once(*range(1, 21))

    def test_a_row_that_appears_ahead_is_done_and_one_behind_is_not(
        self, known: Known
    ) -> None:
        @known
        class Trial(CountUpInChunks):
            def process(self, item: Item) -> None:
                super().process(item)
                if item.pk == 5:
                    Item.objects.bulk_create([Item(pk=-1), Item(pk=100)])

        assert Trial.run_now().done == 21
        assert effects() == once(*range(1, 21), 100)

    def test_an_item_may_look_at_its_run_and_start_others(self, known: Known) -> None:
        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                assert self.run
                self.run.refresh_from_db()
                if item.pk == 7:
                    Numbers.enqueue()

        assert faults(Trial.run_now()) == []
        assert Run.objects.filter(task=Numbers.label()).count() == 1
        assert len(messages()) == 1

    def test_without_a_transaction_an_item_may_work_a_whole_run(
        self, known: Known
    ) -> None:
        @known
        class Trial(CountUp):
            atomic = False

            def process(self, item: Item) -> None:
                super().process(item)
                if item.pk == 7:
                    assert Report.run_now().result == {"items": 20}

        assert faults(Trial.run_now()) == []

    def test_inside_a_transaction_it_may_not(self, known: Known) -> None:
        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                Report.run_now()

        run = Trial.run_now()
        assert run.status == Status.ERRORED
        assert "cannot run inside transaction.atomic()" in run.error_message

    def test_debug_does_not_collect_every_query(
        self, settings: Settings, known: Known
    ) -> None:
        settings.DEBUG = True

        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                clock.tick()

        connection.queries_log.clear()
        Trial.run_now()
        assert len(connection.queries_log) < 20


@pytest.mark.usefixtures("items", "still_clock")
class TestTotal:
    """How many there are is asked once, when the run begins."""

    def test_it_stays_that_of_the_first_start(self, known: Known) -> None:
        asked = []

        @known
        class Trial(CountUpInChunks):
            def count(self) -> int:
                asked.append(self)
                return 20

        run = Trial.enqueue()
        executor.execute(run.pk, run.lease_token, interruption=stop_after(1))
        Item.objects.create(pk=21)
        go_on(run)
        assert len(asked) == 1
        assert (run.status, run.done, run.total) == (Status.SUCCEEDED, 21, 20)

    def test_a_resume_does_not_ask_again(self, known: Known) -> None:
        asked, broken = [], {7}

        @known
        class Trial(CountUp):
            def count(self) -> int:
                asked.append(self)
                return 20

            def process(self, item: Item) -> None:
                super().process(item)
                if item.pk in broken:
                    raise ValueError

        run = Trial.run_now()
        started_at = run.started_at
        broken.clear()
        assert (resume(run).status, run.total) == (Status.SUCCEEDED, 20)
        assert (len(asked), run.started_at) == (1, started_at)

    def test_it_may_be_unknown(self, known: Known) -> None:
        @known
        class Trial(CountUp):
            def count(self) -> None:
                return None

        run = Trial.run_now()
        assert (run.status, run.total) == (Status.SUCCEEDED, None)


@pytest.mark.django_db(transaction=True)
class TestJob:
    """One step, whose result is kept."""

    def test_its_result_is_saved(self) -> None:
        run = Report.run_now()
        assert (run.status, run.result, run.done) == (
            Status.SUCCEEDED,
            {"items": 0},
            1,
        )

    @pytest.mark.parametrize("result", [object(), {1, 2}, float("nan")])
    def test_a_result_that_is_no_json_is_refused(
        self, known: Known, result: object
    ) -> None:
        @known
        class Trial(Job):
            def perform(self) -> Any:
                return result

        run = Trial.run_now()
        assert (run.status, run.result) == (Status.ERRORED, None)
        assert "Trial.perform() returned what does not fit in JSON" in run.error_message

    @pytest.mark.parametrize("in_transaction", [True, False])
    def test_ended_behind_its_checkpoint_it_is_not_performed_again(
        self, known: Known, in_transaction: bool
    ) -> None:
        @known
        class Trial(Job):
            atomic = in_transaction

            def perform(self) -> str:
                Effect.objects.create(item=1)
                return "the result"

        run = Trial.enqueue()
        with (
            mock.patch.object(Claim, "end", side_effect=SystemExit),
            pytest.raises(SystemExit),
        ):
            executor.execute(run.pk, run.lease_token)
        go_on(run)
        assert (run.status, run.result) == (Status.SUCCEEDED, "the result")
        assert effects() == once(1)

    def test_its_error_is_told_and_it_can_be_resumed(self, known: Known) -> None:
        broken = [1]

        @known
        class Trial(Job):
            def perform(self) -> str:
                self.log("at work")
                if broken.pop():
                    raise ValueError("not today")
                return "done"

        run = Trial.run_now()
        assert (run.status, run.error_message) == (Status.ERRORED, "not today")
        broken.append(0)
        assert resume(run).result == "done"


@pytest.mark.usefixtures("items", "still_clock")
class TestTask:
    """The object that a worker makes of the class, for as long as it has the run."""

    def test_is_one_for_each_worker(self, known: Known) -> None:
        seen: list[Task] = []

        @known
        class Trial(CountUpInChunks):
            def process(self, item: Item) -> None:
                super().process(item)
                seen.append(self)

        run = Trial.enqueue()
        executor.execute(run.pk, run.lease_token, interruption=stop_after(10))
        assert go_on(run).status == Status.SUCCEEDED
        first, second = seen[0], seen[-1]
        assert first is not second
        assert all(each is first for each in seen[:10])
        assert all(each is second for each in seen[10:])

    def test_has_the_metadata_of_its_run(self, known: Known) -> None:
        seen: list[Any] = []

        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                seen.append(self.metadata)

        Trial.using(metadata={"ticket": {7: "urgent"}}).run_now()
        assert seen[0] == {"ticket": {"7": "urgent"}}

    @pytest.mark.parametrize("method", ["collection", "process"])
    def test_that_lacks_a_method_ends_as_errored(
        self, known: Known, method: str
    ) -> None:
        @known
        class Trial(Task):
            if method == "process":

                def collection(self) -> Any:
                    return Item.objects.all()

        run = Trial.run_now()
        assert (run.status, run.done) == (Status.ERRORED, 0)
        assert f"Trial must define {method}(" in run.error_message
        assert run.started_at

    def test_whose_collection_cannot_be_walked_ends_as_errored(
        self, known: Known
    ) -> None:
        @known
        class Trial(CountUp):
            def collection(self) -> Any:
                return {"a": 1}

        run = Trial.run_now()
        assert (run.status, run.done) == (Status.ERRORED, 0)
        assert "a list or another sequence" in run.error_message
        assert run.started_at


@pytest.mark.usefixtures("items", "still_clock")
class TestWhatIsGone:
    """What a run needs may be gone: it says so, keeps its place, can be cancelled."""

    def stopped(self, task: type[Task], **given: Any) -> Run:
        run = task.enqueue(**given)
        executor.execute(run.pk, run.lease_token, interruption=stop_after(10))
        run.refresh_from_db()
        assert (run.status, run.done) == (Status.INTERRUPTED, 10)
        return run

    def check(self, run: Run, error: str, *sentences: str) -> None:
        place = run.cursor
        go_on(run)
        assert run.status == Status.ERRORED
        assert run.error_class == f"upkeep.exceptions.{error}"
        for sentence in sentences:
            assert sentence in run.error_message
        assert place
        assert (run.cursor, run.done) == (place, 10)
        run.cancel()
        assert run.status == Status.CANCELLED

    def test_its_class(self, known: Known) -> None:
        @known
        class Trial(CountUpInChunks):
            pass

        run = self.stopped(Trial)
        with registered(alone=True):
            self.check(run, "TaskNotFound", "There is no task 'testapp.Trial'")

    def test_a_record_that_is_a_parameter(self, known: Known) -> None:
        @known
        class Trial(CountUpInChunks):
            chosen: Item = parameter(forms.ModelChoiceField(Item.objects.all()))

        run = self.stopped(Trial, chosen=20)
        Item.objects.get(pk=20).delete()
        self.check(run, "VanishedReference", "chosen")

    def test_its_kind_of_collection(self, known: Known) -> None:
        @known
        class Trial(CountUpInChunks):
            def collection(self) -> Any:
                return collections[-1]

        collections: list[Any] = [Item.objects.all()]
        run = self.stopped(Trial)
        collections.append([1, 2, 3])
        self.check(run, "CursorMismatch", "'queryset'", "'sequence'")

    def test_its_collection(self, known: Known) -> None:
        @known
        class Trial(CountUpInChunks):
            def collection(self) -> Any:
                return collections[-1]

        collections: list[Any] = [Item.objects.all()]
        run = self.stopped(Trial)
        collections.append(iter([1, 2, 3]))
        self.check(run, "InvalidCollection", "list_iterator")

    def test_a_parameter(self, known: Known) -> None:
        @known
        class Trial(CountUpInChunks):
            size = forms.IntegerField()

        run = self.stopped(Trial, size=1)
        with mock.patch.object(Trial, "fields", {}):
            self.check(run, "InvalidParameters", "size")

    def test_the_type_of_a_parameter(self, known: Known) -> None:
        @known
        class Trial(CountUpInChunks):
            size = forms.IntegerField()

        run = self.stopped(Trial, size=1)
        with mock.patch.object(Trial, "fields", {"size": forms.CharField()}):
            self.check(run, "InvalidParameters", "size", "started with 1", "CharField")


class TestInTestCase:
    """A host's own tests wrap each test in a transaction; `run_now` works there."""

    @pytest.fixture(autouse=True)
    def few(self, db: None) -> None:
        Item.objects.bulk_create(Item(pk=pk) for pk in range(1, 6))

    def test_run_now_succeeds(self) -> None:
        assert faults(CountUp.run_now()) == []

    def test_an_error_keeps_the_items_before(self, known: Known) -> None:
        broken = {3}

        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                if item.pk in broken:
                    raise ValueError

        run = Trial.run_now()
        assert (run.status, run.done) == (Status.ERRORED, 2)
        broken.clear()
        assert faults(resume(run)) == []


@pytest.mark.usefixtures("items", "still_clock")
class TestOtherDatabase:
    """Data beside Upkeep's tables: every item at least once."""

    @pytest.fixture
    def other(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        entry: dict[str, Any] = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": tmp_path / "other",
        }
        connections.settings["other"] = entry
        connections.configure_settings(connections.settings)
        other = connections["other"]
        # Django's tests allow no database that was not there when they were set up.
        monkeypatch.setattr(other, "ensure_connection", lambda: connect(other))
        with other.schema_editor() as editor:
            editor.create_model(Item)
        Item.objects.using("other").bulk_create(Item(pk=pk) for pk in range(1, 21))
        yield "other"
        other.close()
        del connections["other"]
        del connections.settings["other"]

    @pytest.fixture
    def task(self, other: str, known: Known) -> Any:
        class Trial(Task):
            database = "other"

            def collection(self) -> Any:
                return Item.objects.all()

            def process(self, item: Item) -> None:
                assert item._state.db == "other"
                item.n += 1
                item.save(using="other")
                if item.pk % 5 == 0:
                    clock.tick()

        return known(Trial)

    def counts(self) -> set[int]:
        return set(Item.objects.using("other").values_list("n", flat=True))

    def test_it_is_walked_and_written(self, task: type[Task]) -> None:
        run = task.run_now()
        assert (run.status, run.done) == (Status.SUCCEEDED, 20)
        assert self.counts() == {1}
        assert set(Item.objects.values_list("n", flat=True)) == {0}

    def test_a_worker_that_ends_between_two_commits_repeats_a_chunk(
        self, task: type[Task]
    ) -> None:
        run = task.enqueue()
        with (
            mock.patch.object(Executor, "_save_place", side_effect=KeyboardInterrupt),
            pytest.raises(KeyboardInterrupt),
        ):
            executor.execute(run.pk, run.lease_token, to_the_end=True)
        go_on(run)
        assert (run.status, run.done) == (Status.SUCCEEDED, 20)
        assert self.counts() == {1, 2}

    def test_its_dead_letters_are_retried_there(self, known: Known, task: Any) -> None:
        task.on_error = [Quarantine(Exception)]
        process = task.process

        def fail(self: Any, item: Item) -> None:
            if self.run.parent is None and item.pk % 2:
                raise ValueError("odd")
            process(self, item)

        task.process = fail
        parent = task.run_now()
        assert (parent.done, parent.failed) == (10, 10)
        there = Item.objects.using("other").filter(pk=1)
        there._raw_delete("other")  # No other table is there that refers to it.
        (run,) = parent.dead_letters.retry()
        run = go_on(run)
        assert (run.status, run.done, run.skipped) == (Status.SUCCEEDED, 9, 1)
        assert self.counts() == {1}
        assert {letter.state for letter in parent.dead_letters.all()} == {"resolved"}

    def test_a_long_item_there_is_watched_over(self, task: type[Task]) -> None:
        """Its transaction locks the other file, and not the row of the run."""
        watched: list[str] = []
        original = Pacemaker.watching

        def watching(self: Pacemaker) -> Any:
            watched.append("a chunk")
            return original(self)

        with mock.patch.object(Pacemaker, "watching", watching):
            task.run_now()
        assert len(watched) > 1  # The first one is that of the preparations.


def connect(database: BaseDatabaseWrapper) -> None:
    if database.connection is None:
        database.connect()


# Helpers


def stop_after(items: int) -> Interruption:
    """Return an interruption that comes after so many items."""
    return StopAfter(items + Effect.objects.count())


class StopAfter(Interruption):
    """A worker that is told to stop when there are so many effects."""

    def __init__(self, effects: int) -> None:
        super().__init__()
        self.effects = effects

    def __getattribute__(self, name: str) -> Any:
        if name == "asked" and Effect.objects.count() >= self.effects:
            return "That is enough."
        return super().__getattribute__(name)


@contextmanager
def fetched() -> Iterator[list[tuple[int | None, int]]]:
    """Note the place and the size of each page."""
    pages: list[tuple[int | None, int]] = []
    page = QuerySetCollection.page

    def note(self: QuerySetCollection, cursor: Any, size: int) -> Any:
        pages.append((cursor["values"][0] if cursor else None, size))
        return page(self, cursor, size)

    with mock.patch.object(QuerySetCollection, "page", note):
        yield pages
