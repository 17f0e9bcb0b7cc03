"""What the engine asks of every database: its time, locks, texts and errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
    connections,
    transaction,
)

from tests.testapp.models import Effect, Item
from upkeep import databases
from upkeep.databases import (
    Now,
    engine_transaction,
    evict,
    is_passing,
    is_writer_busy,
    storable,
    through_deadlocks,
    writing,
)

MARKER = "a marker"


@contextmanager
def other_session() -> Iterator[Any]:
    """Open another session on the same database."""
    other = connection.copy()
    try:
        yield other
    finally:
        other.close()


@pytest.fixture
def on_a_server() -> None:
    if connection.vendor == "sqlite":
        pytest.skip("by design: SQLite has no sessions that another could end")


@pytest.mark.django_db(transaction=True)
class TestNow:
    """The database's own clock, in UTC, at the moment of the statement."""

    def now(self) -> datetime:
        Item.objects.get_or_create(pk=1)
        moment: datetime = Item.objects.annotate(now=Now()).values_list(
            "now", flat=True
        )[0]
        return moment

    def test_it_is_the_time_in_utc(self) -> None:
        assert abs(self.now() - datetime.now(UTC)) < timedelta(seconds=5)

    def test_it_goes_on_inside_a_transaction(self) -> None:
        with transaction.atomic():
            first = self.now()
            while self.now() == first:  # SQLite counts in milliseconds.
                pass
            assert self.now() > first

    def test_the_zone_of_the_session_plays_no_part(self) -> None:
        zone = {
            "mysql": "SET time_zone = '+05:00'",
            "postgresql": "SET TIME ZONE '+05'",
            "sqlite": "SELECT 1",
        }
        try:
            with connection.cursor() as cursor:
                cursor.execute(zone[connection.vendor])
            assert abs(self.now() - datetime.now(UTC)) < timedelta(seconds=5)
        finally:
            connection.close()


@pytest.mark.django_db(transaction=True)
class TestTransactions:
    """They commit when they are left, and can be found by their marker."""

    def test_inside_another_one_it_is_refused(self) -> None:
        with (
            transaction.atomic(),
            pytest.raises(RuntimeError, match="durable"),
            engine_transaction("default", marker=MARKER),
        ):
            pass

    def test_an_error_rolls_it_back(self) -> None:
        with suppress(ZeroDivisionError), engine_transaction("default", marker=MARKER):
            Effect.objects.create(item=1)
            raise ZeroDivisionError
        assert not Effect.objects.exists()

    def test_on_sqlite_it_has_the_write_lock_from_the_start(self) -> None:
        if connection.vendor != "sqlite":
            pytest.skip("by design: only SQLite has a lock of its whole database")
        with (
            writing("default"),
            other_session() as other,
            other.cursor() as cursor,
        ):
            cursor.execute("PRAGMA busy_timeout = 0")
            with pytest.raises(OperationalError, match="locked"):
                cursor.execute("BEGIN IMMEDIATE")

    def test_on_sqlite_a_writer_that_keeps_the_lock_is_told_of(self) -> None:
        if connection.vendor != "sqlite":
            pytest.skip("by design: only SQLite has a lock of its whole database")
        before = timeout()
        with other_session() as other, other.cursor() as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            assert is_writer_busy("default")
            cursor.execute("ROLLBACK")
            assert not is_writer_busy("default")
            cursor.execute("BEGIN IMMEDIATE")  # Nothing is left of the question.
            cursor.execute("ROLLBACK")
        assert timeout() == before

    def test_a_frozen_session_is_ended_and_its_locks_are_free(
        self, on_a_server: None
    ) -> None:
        Item.objects.create(pk=1)
        with suppress(OperationalError, InterfaceError):
            with engine_transaction("default", marker=MARKER):
                Item.objects.update(n=1)
                with other_session() as other, as_default(other):
                    assert evict("default", MARKER)
                    Item.objects.update(n=2)
                Item.objects.update(n=3)
            pytest.fail("a session that was ended went on")
        assert Item.objects.get().n == 2

    def test_a_session_that_may_not_be_ended_keeps_nobody_from_going_on(
        self, on_a_server: None, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The worker may have another role than the sweep; the fence holds anyway."""
        refused = mock.patch.object(
            databases, "_execute", side_effect=ProgrammingError("permission denied")
        )
        with refused:
            assert not evict("default", MARKER)
        assert "permission denied" in caplog.text

    def test_only_the_marker_is_evicted(self, on_a_server: None) -> None:
        with engine_transaction("default", marker=MARKER):
            Effect.objects.create(item=1)
            with other_session() as other, as_default(other):
                assert not evict("default", "another marker")
        assert Effect.objects.count() == 1

    def test_a_session_does_not_end_itself(self) -> None:
        with engine_transaction("default", marker=MARKER):
            Effect.objects.create(item=1)
            assert not evict("default", MARKER)
        assert Effect.objects.count() == 1

    def test_nobody_is_found_behind_the_commit(self, on_a_server: None) -> None:
        with engine_transaction("default", marker=MARKER):
            pass
        with other_session() as other, as_default(other):
            assert not evict("default", MARKER)


@contextmanager
def as_default(other: Any) -> Iterator[None]:
    """Have another session stand in for that of this thread."""
    mine = connections["default"]
    connections["default"] = other
    try:
        yield
    finally:
        connections["default"] = mine


class Cause(Exception):
    """An error of PostgreSQL's driver."""

    def __init__(self, sqlstate: str | None) -> None:
        self.sqlstate = sqlstate


def caused(error: Exception, cause: BaseException | None) -> Exception:
    error.__cause__ = cause
    return error


def locked(name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("no")
    error.sqlite_errorname = name
    return error


class TestPassing:
    """Which errors are likely not to come again."""

    @pytest.mark.parametrize(
        "error",
        [
            caused(OperationalError(), Cause("40001")),
            caused(OperationalError(), Cause("40P01")),
            caused(OperationalError(), Cause("55P03")),
            caused(OperationalError(), Cause("57P01")),
            caused(OperationalError(), Cause(None)),
            caused(OperationalError(), locked("SQLITE_BUSY")),
            caused(OperationalError(), locked("SQLITE_BUSY_SNAPSHOT")),
            caused(OperationalError(), locked("SQLITE_FULL")),
            caused(OperationalError(), locked("SQLITE_IOERR_SHMSIZE")),
            caused(OperationalError(), Cause("53100")),
            OperationalError(1021, "Disk full"),
            OperationalError(1114, "The table 'blog_post' is full"),
            OperationalError(1213, "Deadlock found"),
            OperationalError(1205, "Lock wait timeout exceeded"),
            OperationalError(2013, "Lost connection"),
            InterfaceError("connection already closed"),
            caused(ValueError("No."), OperationalError(1213, "Deadlock found")),
        ],
    )
    def test_locks_restarts_and_full_disks_pass(self, error: Exception) -> None:
        assert is_passing(error)

    @pytest.mark.parametrize(
        "error",
        [
            None,
            ValueError(),
            DatabaseError(),
            OperationalError(),
            OperationalError(1364, "Field 'name' doesn't have a default value"),
            caused(OperationalError(), Cause("57014")),
            caused(IntegrityError(), Cause("23505")),
            caused(OperationalError(), locked("SQLITE_ERROR")),
            caused(OperationalError(), locked("SQLITE_IOERR_READ")),
        ],
    )
    def test_all_others_stay(self, error: Exception | None) -> None:
        assert not is_passing(error)

    def test_a_chain_that_goes_round_has_an_end(self) -> None:
        one, two = ValueError(), ValueError()
        one.__cause__, two.__cause__ = two, one
        assert not is_passing(one)


DEADLOCKS = [
    OperationalError(1213, "Deadlock found"),
    caused(OperationalError(), Cause("40P01")),
    caused(OperationalError(), Cause("40001")),
]


@pytest.mark.django_db(transaction=True)
class TestThroughDeadlocks:
    @pytest.mark.parametrize("error", DEADLOCKS)
    def test_a_transaction_is_made_again(self, error: Exception) -> None:
        write = mock.Mock(side_effect=[error, error, "written"])
        assert through_deadlocks("default", write) == "written"

    def test_but_not_for_ever(self) -> None:
        write = mock.Mock(side_effect=DEADLOCKS[0])
        with pytest.raises(OperationalError):
            through_deadlocks("default", write)
        assert write.call_count < 100

    def test_but_not_inside_another_one_that_was_undone_too(self) -> None:
        write = mock.Mock(side_effect=DEADLOCKS[0])
        with pytest.raises(OperationalError), transaction.atomic():
            through_deadlocks("default", write)
        write.assert_called_once_with()

    @pytest.mark.parametrize(
        "error",
        [
            OperationalError(2013, "Lost connection"),  # Was it committed?
            OperationalError(1205, "Lock wait timeout exceeded"),
            IntegrityError(),
        ],
    )
    def test_but_not_for_other_errors(self, error: Exception) -> None:
        write = mock.Mock(side_effect=error)
        with pytest.raises(type(error)):
            through_deadlocks("default", write)
        write.assert_called_once_with()


class TestStorable:
    """A text as every database takes it."""

    @pytest.mark.parametrize("text", ["", "plain", "grün", "🦉", "a\nb\t"])
    def test_a_good_text_stays_as_it_is(self, text: str) -> None:
        assert storable(text) == text

    def test_what_is_refused_is_escaped(self) -> None:
        assert storable("a\0b") == "a\\x00b"
        assert storable("a\ud800b") == "a\\ud800b"

    def test_of_a_long_one_both_ends_are_kept(self) -> None:
        text = storable("a" * 50 + "z" * 50, at_most=10)
        assert text == "aaaaa\n[… 90 characters …]\nzzzzz"

    @pytest.mark.django_db
    def test_every_database_takes_it(self) -> None:
        Item.objects.create(name=storable("a\0b\ud800c"))


def timeout() -> int:
    """Return how long SQLite waits for another writer, in milliseconds."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        (found,) = cursor.fetchone()
    return int(found)
