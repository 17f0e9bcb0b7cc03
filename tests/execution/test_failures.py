"""Items that fail: the good ones are kept, the bad one is named, nothing is hidden."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django import forms
from django.core.files.base import ContentFile
from django.db import IntegrityError, OperationalError, connection, transaction
from pytest_django import Settings

from tests.dispatch.queue import messages
from tests.execution.story import effects, log_of, once, resume
from tests.integration.harness import faults
from tests.testapp.clock import clock
from tests.testapp.maintenance import Confide, CountUp, ImportItemsInBatches
from tests.testapp.models import Item
from upkeep import Job, Task, parameter
from upkeep.execution import executor, failures
from upkeep.execution.failures import Patience
from upkeep.models import Run
from upkeep.runs.progress import Progress
from upkeep.runs.status import Status
from upkeep.tasks.collections.querysets import QuerySetCollection

Known = Callable[[Any], Any]

FIRST, MIDDLE, LAST = 1, 7, 20

pytestmark = pytest.mark.usefixtures("items", "still_clock")


class Faulty(CountUp):
    """Count up; the items in `bad` raise behind their effect."""

    abstract = True
    bad: set[int] = set()

    def process(self, item: Item) -> None:
        super().process(item)
        if item.pk in self.bad:
            self.fail(item)

    def fail(self, item: Item) -> None:
        raise ValueError(f"item {item.pk} is bad")


@pytest.fixture
def faulty(known: Known) -> type[Faulty]:
    """Return a task of which a test says which items are bad."""

    class Trial(Faulty):
        bad: set[int] = set()

    return known(Trial)  # type: ignore[no-any-return]


def test_a_batch_that_fails_is_called_one(known: Known, settings: Settings) -> None:
    class Trial(ImportItemsInBatches):
        def process(self, rows: list[dict[str, str]]) -> None:
            for row in rows:
                int(row["n"])

    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = settings.STORAGES | {"upkeep": memory}
    rows = b"name,n\n" + b"a,1\n" * 3 + b"a,x\n"
    run = known(Trial).run_now(csv_file=ContentFile(rows, name="a.csv"))
    assert (run.unit, run.done, run.total) == ("batch", 1, 2)
    assert run.error_at == "batch 2"
    assert Progress(run).text == "1 of 2 batches (50 %)"


def test_a_job_has_no_item_to_be_named(known: Known) -> None:
    class Trial(Job):
        def perform(self) -> None:
            raise ValueError("No.")

    run = known(Trial).run_now()
    assert (run.reason, run.error_at) == ("ValueError: No.", "")


class TestBadItem:
    """An item's error ends the run there; what came before is kept and counted."""

    @pytest.mark.parametrize("bad", [FIRST, MIDDLE, LAST])
    def test_the_items_before_it_are_kept(self, faulty: type[Faulty], bad: int) -> None:
        faulty.bad = {bad}
        run = faulty.run_now()
        assert (run.status, run.done) == (Status.ERRORED, bad - 1)
        assert effects() == once(*range(1, bad))
        assert run.error_class == "builtins.ValueError"
        assert run.error_message == f"item {bad} is bad"
        assert "in fail" in run.traceback
        assert run.reason == f"ValueError: item {bad} is bad (at testapp.Item {bad})"
        assert run.error_at == f"testapp.Item {bad}"
        assert not messages()

    @pytest.mark.parametrize("bad", [FIRST, MIDDLE, LAST])
    def test_resume_goes_on_with_it(self, faulty: type[Faulty], bad: int) -> None:
        faulty.bad = {bad}
        run = faulty.run_now()
        faulty.bad = set()
        assert faults(resume(run)) == []
        assert (run.error_class, run.error_message, run.traceback) == ("", "", "")

    def test_it_fails_again_if_it_is_still_bad(self, faulty: type[Faulty]) -> None:
        faulty.bad = {MIDDLE}
        run = resume(faulty.run_now())
        assert (run.status, run.done) == (Status.ERRORED, MIDDLE - 1)

    def test_the_items_behind_it_are_found_one_after_the_other(
        self, faulty: type[Faulty]
    ) -> None:
        faulty.bad = {3, 4, 11, 20}
        run = faulty.run_now()
        for bad in (3, 4, 11, 20):
            assert (run.status, run.done) == (Status.ERRORED, bad - 1)
            faulty.bad -= {bad}
            resume(run)
        assert faults(run) == []

    @pytest.mark.parametrize("bad", [FIRST, MIDDLE, LAST])
    def test_without_transactions_no_item_before_it_is_done_again(
        self, known: Known, bad: int
    ) -> None:
        broken = {bad}

        @known
        class Trial(CountUp):
            atomic = False

            def process(self, item: Item) -> None:
                if item.pk in broken:
                    raise ValueError("bad")
                super().process(item)

        run = Trial.run_now()
        assert (run.status, run.done) == (Status.ERRORED, bad - 1)
        assert effects() == once(*range(1, bad))
        broken.clear()
        assert faults(resume(run)) == []

    @pytest.mark.parametrize("error", [StopIteration, RecursionError, MemoryError])
    def test_whatever_it_raises(
        self, faulty: type[Faulty], error: type[Exception]
    ) -> None:
        def fail(self: Faulty, item: Item) -> None:
            raise error

        faulty.bad = {MIDDLE}
        with mock.patch.object(faulty, "fail", fail):
            run = faulty.run_now()
        assert (run.status, run.done) == (Status.ERRORED, MIDDLE - 1)
        assert run.error_class == f"builtins.{error.__name__}"

    def test_an_error_that_is_no_exception_is_one_all_the_same(
        self, known: Known
    ) -> None:
        """Such as a CancelledError: no worker may be ended by it again and again."""

        @known
        class Trial(Faulty):
            bad = {MIDDLE}

            def fail(self, item: Item) -> None:
                raise GeneratorExit

        run = Trial.run_now()
        assert (run.status, run.done) == (Status.ERRORED, MIDDLE - 1)

    def test_real_endless_recursion(self, faulty: type[Faulty]) -> None:
        def fail(self: Faulty, item: Item) -> None:
            fail(self, item)

        faulty.bad = {MIDDLE}
        with mock.patch.object(faulty, "fail", fail):
            run = faulty.run_now()
        assert (run.status, run.done) == (Status.ERRORED, MIDDLE - 1)
        assert "RecursionError" in run.traceback

    def test_blocks_of_its_own_are_rolled_back_with_it(self, known: Known) -> None:
        @known
        class Trial(Faulty):
            bad = {MIDDLE}

            def process(self, item: Item) -> None:
                with transaction.atomic():
                    super().process(item)

        run = Trial.run_now()
        assert (run.status, run.done) == (Status.ERRORED, MIDDLE - 1)
        assert effects() == once(*range(1, MIDDLE))

    def test_an_error_that_it_handles_in_a_block_of_its_own_is_none(
        self, known: Known
    ) -> None:
        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                try:
                    with transaction.atomic():
                        Item.objects.create(pk=item.pk)
                except IntegrityError:
                    return

        assert faults(Trial.run_now()) == []

    def test_a_page_that_cannot_be_fetched_keeps_the_pages_before(
        self, known: Known
    ) -> None:
        fetch = QuerySetCollection.page

        def page(self: QuerySetCollection, cursor: Any, size: int) -> Any:
            if cursor and cursor["values"] == [5]:
                raise ValueError("no such page")
            return fetch(self, cursor, size)

        @known
        class Trial(CountUp):
            batch_size = 5

        with mock.patch.object(QuerySetCollection, "page", page):
            run = Trial.run_now()
        assert (run.status, run.done) == (Status.ERRORED, 5)
        assert run.error_message == "no such page"
        assert faults(resume(run)) == []


class TestStory:
    """What is told of an error fits in every database, and tells no secret."""

    def test_secrets_are_masked(self) -> None:
        run = Confide.run_now(story="a long story")
        for text in (run.error_message, run.traceback, run.reason, *log_of(run)):
            assert "a long story" not in text
            assert "hush-hush" not in text
        assert run.error_message == "[FILTERED] is out, and so is [FILTERED]"

    def test_secrets_are_masked_before_the_first_item_too(self, known: Known) -> None:
        @known
        class Trial(Task):
            password: str = parameter(forms.CharField())

            def collection(self) -> Any:
                self.log(f"Trying {self.password}")
                raise ValueError(f"{self.password} was refused")

        run = Trial.run_now(password="open sesame")
        assert run.status == Status.ERRORED
        assert run.error_message == "[FILTERED] was refused"
        assert "open sesame" not in run.traceback + run.reason
        assert log_of(run) == ["Trying [FILTERED]"]

    @pytest.mark.parametrize("text", ["a\0b", "a\ud800b"], ids=["nul", "surrogate"])
    def test_characters_that_a_database_refuses_are_escaped(
        self, faulty: type[Faulty], text: str
    ) -> None:
        def fail(self: Faulty, item: Item) -> None:
            self.log(text)
            raise ValueError(text)

        faulty.bad = {MIDDLE}
        with mock.patch.object(faulty, "fail", fail):
            run = faulty.run_now()
        assert (run.status, run.done) == (Status.ERRORED, MIDDLE - 1)
        assert run.error_class == "builtins.ValueError"
        escaped = text.encode("unicode_escape").decode()
        assert run.error_message == escaped
        assert log_of(run) == [escaped]

    @pytest.mark.parametrize("text", ["a\0b", "a\ud800b"], ids=["nul", "surrogate"])
    def test_a_log_line_with_them_does_not_stop_a_run(
        self, known: Known, text: str
    ) -> None:
        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                self.log(text)

        assert faults(Trial.run_now()) == []

    def test_an_error_of_megabytes_is_cut(self, faulty: type[Faulty]) -> None:
        def fail(self: Faulty, item: Item) -> None:
            raise ValueError("x" * 20_000_000)

        faulty.bad = {MIDDLE}
        with mock.patch.object(faulty, "fail", fail):
            run = faulty.run_now()
        assert (run.status, run.done) == (Status.ERRORED, MIDDLE - 1)
        assert run.error_class == "builtins.ValueError"
        assert len(run.error_message) < 20_000
        assert len(run.traceback) < 200_000
        assert "in fail" in run.traceback

    def test_a_class_of_a_long_name_is_cut(self, faulty: type[Faulty]) -> None:
        def fail(self: Faulty, item: Item) -> None:
            raise type("Long" * 200, (Exception,), {})("no")

        faulty.bad = {MIDDLE}
        with mock.patch.object(faulty, "fail", fail):
            run = faulty.run_now()
        assert (run.status, run.error_message) == (Status.ERRORED, "no")
        assert len(run.error_class) == 255

    def test_an_error_that_cannot_be_printed(self, faulty: type[Faulty]) -> None:
        class Unprintable(Exception):
            def __str__(self) -> str:
                raise TypeError("not even this")

        def fail(self: Faulty, item: Item) -> None:
            raise Unprintable

        faulty.bad = {MIDDLE}
        with mock.patch.object(faulty, "fail", fail):
            run = faulty.run_now()
        assert (run.status, run.done) == (Status.ERRORED, MIDDLE - 1)
        assert run.error_class.endswith("Unprintable")

    def test_an_error_that_is_its_own_cause(self, faulty: type[Faulty]) -> None:
        def fail(self: Faulty, item: Item) -> None:
            error = ValueError("round and round")
            raise error from error

        faulty.bad = {MIDDLE}
        with mock.patch.object(faulty, "fail", fail):
            run = faulty.run_now()
        assert run.error_message == "round and round"

    def test_log_lines_are_kept_with_their_chunk_and_dropped_with_it(
        self, known: Known
    ) -> None:
        broken = {14}

        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                self.log(f"item {item.pk}")
                super().process(item)
                if item.pk == 10:
                    clock.tick()
                if item.pk in broken:
                    raise ValueError

        run = Trial.run_now()
        # Of the item that failed, too: there one looks for the reason.
        assert log_of(run) == [f"item {pk}" for pk in range(1, 15)]
        broken.clear()
        resume(run)
        assert log_of(run)[14:] == [f"item {pk}" for pk in range(14, 21)]

    def test_log_lines_of_a_chunk_whose_callback_raises_are_written_once(
        self, known: Known
    ) -> None:
        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                self.log(f"item {item.pk}")
                if item.pk == 5:
                    transaction.on_commit(lambda: 1 / 0)

        run = Trial.run_now()
        assert run.status == Status.ERRORED
        assert log_of(run) == [f"item {pk}" for pk in range(1, 21)]

    def test_the_error_reaches_the_logger(
        self, faulty: type[Faulty], caplog: pytest.LogCaptureFixture
    ) -> None:
        faulty.bad = {MIDDLE}
        with caplog.at_level(logging.ERROR, "upkeep"):
            faulty.run_now()
        assert "errored, 6 items done" in caplog.text
        assert "item 7 is bad" in caplog.text


class TestHidden:
    """An item that hides an error which spoiled its chunk loses nothing in silence."""

    @pytest.mark.parametrize("bad", [FIRST, MIDDLE, LAST])
    def test_an_orm_error_swallowed_without_a_block_is_told(
        self, known: Known, bad: int
    ) -> None:
        """The ORM marks the transaction for rollback; Django then does so silently."""
        broken = {bad}

        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                if item.pk in broken:
                    try:
                        Item(pk=1).save(force_insert=True)
                    except IntegrityError:
                        return

        run = Trial.run_now()
        assert (run.status, run.done) == (Status.ERRORED, bad - 1)
        assert effects() == once(*range(1, bad))
        assert run.error_class.endswith("SwallowedError")
        assert "atomic()" in run.error_message
        broken.clear()
        assert faults(resume(run)) == []

    def test_a_rollback_that_is_asked_for_is_told(self, known: Known) -> None:
        broken = {LAST}

        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                if item.pk in broken:
                    transaction.set_rollback(True)

        run = Trial.run_now()
        assert (run.status, run.done) == (Status.ERRORED, LAST - 1)
        broken.clear()
        assert faults(resume(run)) == []

    def test_a_raw_error_that_is_swallowed_is_told_or_harmless(
        self, known: Known
    ) -> None:
        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                if item.pk == MIDDLE:
                    try:
                        with connection.cursor() as cursor:
                            cursor.execute("SELECT nothing FROM nowhere")
                    except Exception:  # noqa: BLE001 - that is the mistake
                        return

        run = Trial.run_now()
        if run.status == Status.ERRORED:
            assert run.done == MIDDLE - 1
            assert effects() == once(*range(1, MIDDLE))
        else:
            assert faults(run) == []

    def test_a_lock_that_is_not_to_be_had_may_be_passed_over_in_a_block(
        self, known: Known, on_a_server: None
    ) -> None:
        """`select_for_update(nowait=True)` in `atomic()` leaves nothing spoiled."""
        other = connection.copy()
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT * FROM testapp_item WHERE id = 7 FOR UPDATE")
        passed_over = []

        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                try:
                    with transaction.atomic():
                        Item.objects.select_for_update(nowait=True).get(pk=item.pk)
                except OperationalError:
                    passed_over.append(item.pk)
                    return
                super().process(item)

        try:
            with mock.patch.object(failures, "PATIENCE", timedelta(0)):
                run = Trial.run_now()
        finally:
            other.rollback()
            other.close()
        assert (run.status, run.done) == (Status.SUCCEEDED, 20)
        assert passed_over == [7]
        assert effects() == once(*(pk for pk in range(1, 21) if pk != 7))

    @pytest.mark.parametrize(
        "statements", [["COMMIT"], ["ROLLBACK"], ["COMMIT", "BEGIN"]]
    )
    def test_a_transaction_that_is_ended_by_hand_is_told_and_not_repeated(
        self, known: Known, statements: list[str]
    ) -> None:
        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                if item.pk == MIDDLE:
                    with connection.cursor() as cursor:
                        for statement in statements:
                            cursor.execute(statement)

        run = Trial.run_now()
        assert (run.status, run.done) == (Status.ERRORED, 0)
        assert "ended inside process()" in run.error_message
        assert set(effects().values()) <= {1}

    def test_a_statement_that_commits_by_itself_is_told_and_not_repeated(
        self, known: Known, on_mariadb: None
    ) -> None:
        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                if item.pk == MIDDLE:
                    with connection.cursor() as cursor:
                        cursor.execute("CREATE TABLE scratch (id int)")
                        cursor.execute("DROP TABLE scratch")

        run = Trial.run_now()
        assert (run.status, run.done) == (Status.ERRORED, 0)
        assert "ALTER" in run.error_message
        assert effects() == once(*range(1, MIDDLE + 1))


class TestCommit:
    """An error that only COMMIT shows is closed in upon, until its item is alone."""

    @pytest.mark.parametrize("bad", [FIRST, MIDDLE, LAST])
    def test_a_deferred_constraint(self, known: Known, bad: int) -> None:
        broken = {bad}

        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                if item.pk in broken and self.run:
                    Run.objects.filter(pk=self.run.pk).update(requested_by=4711)

        run = Trial.run_now()
        assert (run.status, run.done) == (Status.ERRORED, bad - 1)
        assert effects() == once(*range(1, bad))
        assert run.error_class.endswith("IntegrityError")
        broken.clear()
        assert faults(resume(run)) == []


class TestPassing:
    """Locks and restarts pass: the engine tries again by itself."""

    def test_a_connection_that_is_lost_inside_a_chunk(
        self, known: Known, on_a_server: None
    ) -> None:
        lost: list[Item] = []

        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                if item.pk == MIDDLE and not lost:
                    lost.append(item)
                    end_session()

        assert faults(Trial.run_now()) == []
        assert lost

    def test_a_connection_that_is_lost_without_a_transaction(
        self, known: Known, on_a_server: None
    ) -> None:
        lost: list[Item] = []

        @known
        class Trial(CountUp):
            atomic = False

            def process(self, item: Item) -> None:
                if item.pk == MIDDLE and not lost:
                    lost.append(item)
                    end_session()
                super().process(item)

        run = Trial.run_now()
        assert run.status == Status.SUCCEEDED
        assert set(effects()) == set(range(1, 21))

    @pytest.mark.parametrize("code", ["40001", "40P01"])
    def test_an_error_that_the_server_says_to_try_again(
        self, known: Known, code: str
    ) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("by design: only PostgreSQL raises what one asks it to raise")
        raised: list[Item] = []

        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                if item.pk == MIDDLE and len(raised) < 3:
                    raised.append(item)
                    with connection.cursor() as cursor:
                        cursor.execute(
                            "DO $$ BEGIN RAISE EXCEPTION 'again'"
                            f" USING ERRCODE = '{code}'; END $$"
                        )

        assert faults(Trial.run_now()) == []
        assert len(raised) == 3

    def test_a_real_deadlock(self, known: Known, on_a_server: None) -> None:
        codes: list[str] = []

        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                if item.pk == MIDDLE and not codes:
                    try:
                        lose_deadlock()
                    except OperationalError as error:
                        codes.append(str(error))
                        raise

        assert faults(Trial.run_now()) == []
        assert "eadlock" in codes[0]

    def test_a_lock_that_never_passes_ends_the_run_when_patience_is_used_up(
        self, known: Known, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [1.0]

        def monotonic() -> float:
            now[0] += 20
            return now[0]

        monkeypatch.setattr(failures, "monotonic", monotonic)
        monkeypatch.setattr("upkeep.execution.executor.time.sleep", lambda wait: None)

        @known
        class Trial(Faulty):
            bad = {MIDDLE}

            def fail(self, item: Item) -> None:
                raise passing_error()

        run = Trial.run_now()
        assert (run.status, run.done) == (Status.ERRORED, MIDDLE - 1)
        assert run.error_class.endswith("OperationalError")

    @pytest.mark.parametrize("times", [4, 30])
    def test_an_item_longer_than_all_patience_is_tried_again_several_times(
        self, known: Known, monkeypatch: pytest.MonkeyPatch, times: int
    ) -> None:
        """A database that was restarted twice, say, in the midst of it."""
        monkeypatch.setattr(failures, "monotonic", clock)
        monkeypatch.setattr("upkeep.execution.executor.time.sleep", clock.sleep)
        tried: list[Item] = []

        @known
        class Trial(CountUp):
            def process(self, item: Item) -> None:
                super().process(item)
                if item.pk == FIRST and len(tried) < times:
                    tried.append(item)
                    clock.sleep(400)
                    raise passing_error()

        run = Trial.run_now()
        if times < failures.LEAST_TRIES:
            assert faults(run) == []
        else:
            assert (run.status, run.done) == (Status.ERRORED, 0)
            assert len(tried) == failures.LEAST_TRIES + 1

    def test_a_time_budget_that_is_shorter_does_not_make_patience_endless(
        self, known: Known, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(failures, "monotonic", clock)
        monkeypatch.setattr(
            "upkeep.execution.executor.time.sleep", lambda wait: clock.tick()
        )

        @known
        class Trial(Faulty):
            bad = {MIDDLE}
            time_budget = timedelta(seconds=120)

            def fail(self, item: Item) -> None:
                raise passing_error()

        run = Trial.enqueue()
        executor.execute(run.pk, run.lease_token)
        run.refresh_from_db()
        assert (run.status, run.done) == (Status.ERRORED, MIDDLE - 1)

    def test_patience_grows_and_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [1.0]
        monkeypatch.setattr(failures, "monotonic", lambda: now[0])
        patience = Patience(timedelta(minutes=5))
        waits = [patience.wait() for _ in range(10)]
        assert waits[:3] == [0.05, 0.1, 0.2]
        assert waits[-1] == 5
        now[0] += 301
        assert patience.wait() is None
        patience.reset()
        assert patience.wait() == 0.05


def end_session() -> None:
    """Have the server end the session of this connection, and find it out."""
    with connection.cursor() as cursor:
        if connection.vendor == "mysql":
            cursor.execute("KILL CONNECTION_ID()")
            cursor.execute("SELECT 1")
        else:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def passing_error() -> OperationalError:
    """Return the error of a lock that could not be had."""
    import sqlite3

    error = OperationalError(1205, "Lock wait timeout exceeded")
    if connection.vendor == "sqlite":
        locked = sqlite3.OperationalError("database is locked")
        locked.sqlite_errorname = "SQLITE_BUSY"
        error.__cause__ = locked
    if connection.vendor == "postgresql":
        import psycopg.errors

        error.__cause__ = psycopg.errors.LockNotAvailable()
    return error


def lose_deadlock() -> None:
    """Wait for a session that waits for us, and be the one who is given up."""
    other = connection.copy()
    other.set_autocommit(False)
    cursor = other.cursor()
    try:
        # Of two in a deadlock MariaDB gives up the one that changed less, and
        # PostgreSQL the one that has waited longest.
        rows = ", ".join(f"('{number}')" for number in range(2000))
        cursor.execute(f"INSERT INTO testapp_country (code) VALUES {rows}")
        cursor.execute("UPDATE testapp_item SET name = 'x' WHERE id = 20")
        waiting = threading.Timer(0.3, wait_for_item, [cursor])
        waiting.start()
        try:
            Item.objects.filter(pk=20).update(name="y")
        finally:
            connection.close()
            waiting.join()
    finally:
        other.rollback()
        other.close()


def wait_for_item(cursor: Any) -> None:
    cursor.execute("UPDATE testapp_item SET name = 'mine' WHERE id = 7")
