"""The traps that repeat or lose work in silence, on the databases that have them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from unittest import mock

import pytest
from django.db import OperationalError, connection, transaction

from tests import without
from tests.integration.harness import faults
from tests.testapp.maintenance import CountUp
from tests.testapp.models import Effect, Item
from upkeep.execution import executor
from upkeep.runs.status import Status

Swallowed = Callable[[], AbstractContextManager[None]]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def items(transactional_db: None) -> list[Item]:
    return Item.objects.bulk_create(Item(pk=pk) for pk in range(1, 21))


@contextmanager
def during(task: type[CountUp], act: Callable[[Item], object]) -> Iterator[None]:
    """Have something happen after the work on each item."""
    process = task.process

    def with_act(self: CountUp, item: Item) -> None:
        process(self, item)
        act(item)

    with mock.patch.object(task, "process", with_act):
        yield


# A COMMIT whose answer is lost


@contextmanager
def commit_in_doubt() -> Iterator[None]:
    """
    Let the first COMMIT of a chunk arrive half a second late, and its answer never.

    The worker has lost its connection meanwhile, and opens another.
    """
    commit = connection._commit  # type: ignore[attr-defined]
    late: list[threading.Thread] = []

    def lose() -> None:
        if late or not Effect.objects.exists():
            commit()
            return
        raw, connection.connection = connection.connection, None
        late.append(threading.Thread(target=commit_late, args=[raw]))
        late[0].start()
        raise lost_connection()

    with mock.patch.object(connection, "_commit", lose):
        yield
    late[0].join()


def commit_late(raw: Any) -> None:
    time.sleep(0.5)
    try:
        raw.commit()
        raw.close()
    except Exception:  # noqa: BLE001 - the session was ended meanwhile
        return


def lost_connection() -> OperationalError:
    """Return the error that Django raises when the server does not answer."""
    if connection.vendor == "mysql":
        return OperationalError(2013, "Lost connection to server during query")
    import psycopg

    error = OperationalError("server closed the connection unexpectedly")
    error.__cause__ = psycopg.OperationalError(str(error))
    return error


@pytest.fixture
def over_a_network() -> None:
    if connection.vendor == "sqlite":
        pytest.skip("by design: SQLite has no network on which an answer is lost")


def test_a_commit_whose_answer_is_lost_is_not_repeated(over_a_network: None) -> None:
    with commit_in_doubt():
        run = CountUp.run_now()
    assert faults(run) == []


def test_without_a_new_token_a_commit_in_doubt_is_repeated(
    over_a_network: None,
) -> None:
    """Show that the test above can fail: reading the row alone is too early."""
    with without.new_token(), commit_in_doubt():
        run = CountUp.run_now()
    assert faults(run) != []


# A callback that raises behind the commit


def test_a_callback_that_raises_does_not_repeat_its_chunk() -> None:
    def raise_behind_commit(item: Item) -> None:
        if item.pk == 5:
            transaction.on_commit(lambda: 1 / 0)

    with during(CountUp, raise_behind_commit):
        run = CountUp.run_now()
    assert run.status == Status.ERRORED
    assert "ZeroDivisionError" in run.error_class
    assert set(Item.objects.values_list("n", flat=True)) <= {0, 1}
    run.resume()
    executor.execute(run.pk, run.lease_token)
    assert faults(run) == []


# Errors that `process` swallows


@pytest.fixture
def on_mariadb() -> None:
    if connection.vendor != "mysql":
        pytest.skip("by design: only MariaDB goes on after such an error in silence")


@contextmanager
def other_session() -> Iterator[Any]:
    """Open another session on the same database."""
    other = connection.copy()
    try:
        yield other
    finally:
        other.close()


@contextmanager
def swallowed_lock_timeout() -> Iterator[None]:
    """Have one item wait in vain for its own row, and hide that it was not changed."""
    codes: list[int] = []

    def process(self: CountUp, item: Item) -> None:
        Effect.objects.create(item=item.pk)
        with ExitStack() as stack:
            if item.pk == 6 and not codes:
                other = stack.enter_context(other_session())
                theirs = stack.enter_context(transaction_of(other))
                theirs.execute("UPDATE testapp_item SET name = 'x' WHERE id = 6")
            try:
                with connection.cursor() as mine:
                    mine.execute("SET SESSION innodb_lock_wait_timeout = 1")
                    mine.execute(
                        "UPDATE testapp_item SET n = n + 1 WHERE id = %s", [item.pk]
                    )
            except OperationalError as error:
                codes.append(error.args[0])

    with mock.patch.object(CountUp, "process", process):
        yield
    assert codes == [1205]


@contextmanager
def swallowed_deadlock() -> Iterator[None]:
    """Have one item lose a deadlock against somebody else, and hide it."""
    asked: list[Item] = []

    def embrace(item: Item) -> None:
        if item.pk != 6 or asked:
            return
        asked.append(item)
        with other_session() as other, transaction_of(other) as cursor:
            # Of two in a deadlock, the server gives up the one that changed less.
            rows = ", ".join(f"('{number}')" for number in range(2000))
            cursor.execute(f"INSERT INTO testapp_country (code) VALUES {rows}")
            waiting = threading.Thread(
                target=cursor.execute,
                args=["UPDATE testapp_item SET name = 'mine' WHERE id = 6"],
            )
            waiting.start()
            time.sleep(0.3)  # Nothing shows that the other session has begun to wait.
            try:
                with connection.cursor() as mine:
                    mine.execute(
                        "SELECT * FROM testapp_country WHERE code = '7' FOR UPDATE"
                    )
            except OperationalError as error:
                codes.append(error.args[0])
            finally:
                waiting.join()

    codes: list[int] = []
    with during(CountUp, embrace):
        yield
    assert codes == [1213]


@contextmanager
def transaction_of(other: Any) -> Iterator[Any]:
    """Open a transaction of the other session, and roll it back."""
    other.set_autocommit(False)
    with other.cursor() as cursor:
        try:
            yield cursor
        finally:
            other.rollback()
            other.set_autocommit(True)


@pytest.mark.parametrize("swallowed", [swallowed_deadlock, swallowed_lock_timeout])
def test_a_chunk_that_hides_a_database_error_is_done_again(
    swallowed: Swallowed, on_mariadb: None
) -> None:
    with swallowed():
        run = CountUp.run_now()
    assert faults(run) == []


@pytest.mark.parametrize("swallowed", [swallowed_deadlock, swallowed_lock_timeout])
def test_without_protection_a_hidden_error_loses_work(
    swallowed: Swallowed, on_mariadb: None
) -> None:
    """Show that the test above can fail: the checkpoint alone sees nothing."""
    with without.distrust(), swallowed():
        run = CountUp.run_now()
    assert faults(run) != []
