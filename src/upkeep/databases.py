"""What each database needs for what the engine asks of all of them."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from django.apps import apps
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    connections,
    router,
    transaction,
)
from django.db.models import DateTimeField, Func, Max
from django.db.models.functions import Coalesce

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper
    from django.db.models.sql.compiler import SQLCompiler, _AsSqlType

logger = logging.getLogger("upkeep")

T = TypeVar("T")

# How often a transaction is begun again that lost a deadlock; another wins each time.
DEADLOCK_ATTEMPTS = 20

# How long to wait for a session that was told to end.
EVICTION_PATIENCE = timedelta(seconds=5)

MYSQL_NO_SUCH_THREAD = 1094
MYSQL_DEADLOCK = 1213

# The most work of one transaction on SQLite, whose one writer has it alone meanwhile.
SQLITE_CHUNK = timedelta(milliseconds=100)
# Whose chunk lasts longer than that has an item in hand that takes its time.
SQLITE_PATIENCE = 5 * SQLITE_CHUNK
SHORTEST_GAP = timedelta(milliseconds=30)
LONGEST_GAP = timedelta(milliseconds=120)


def home() -> str:
    """Return the alias of the database that holds Upkeep's own tables."""
    return router.db_for_write(apps.get_model("upkeep", "Run"))


# Time


class Now(Func):
    """
    The time by the database's own clock, at the moment of the statement.

    Django's `Now` is the start of the transaction on PostgreSQL, and on MariaDB the
    time of the session's zone, which is read back as if it were UTC.
    """

    output_field = DateTimeField()

    def as_sql(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        *args: Any,
        **extra_context: Any,
    ) -> _AsSqlType:
        return _NOW[connection.vendor], ()


_NOW = {
    "postgresql": "clock_timestamp()",
    "mysql": "UTC_TIMESTAMP(6)",
    "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f000', 'now')",
}


def now() -> datetime:
    """Return the time by the clock of the database that holds Upkeep's own tables."""
    # Of no row at all an aggregate makes one.
    rows = apps.get_model("upkeep", "Run").objects.using(home()).filter(pk=0)
    moment: datetime = rows.aggregate(now=Coalesce(Max(Now()), Now()))["now"]
    return moment


# Texts


def storable(text: str, *, at_most: int = 10_000) -> str:
    """
    Return a text as every database takes it, with its middle left out if it is long.

    PostgreSQL refuses the character NUL, and all refuse the halves of surrogate pairs.
    """
    if len(text) > at_most:
        half = at_most // 2
        text = f"{text[:half]}\n[… {len(text) - 2 * half} characters …]\n{text[-half:]}"
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def gap_after(spent: timedelta) -> timedelta:
    """
    Return how long to leave SQLite to other writers after a transaction so long.

    It has no queue for them: one that waits tries again after 1, 2, 5, … 25 ms, and in
    the end every 100 ms. A shorter gap is slept through.
    """
    return min(max(spent * 0.3, SHORTEST_GAP), LONGEST_GAP)


# Transactions


@contextmanager
def engine_transaction(alias: str, *, marker: str) -> Iterator[None]:
    """
    Open a transaction that commits when it is left, and that `evict` can find.

    Raises RuntimeError inside another transaction, which would make it a savepoint.
    """
    with ExitStack() as stack:
        if connections[alias].vendor == "mysql":
            stack.enter_context(_mysql_marker(alias, marker))
        stack.enter_context(writing(alias, durable=True))
        if connections[alias].vendor == "postgresql":
            _execute(alias, "SELECT pg_try_advisory_xact_lock(%s)", _number(marker))
        yield


@contextmanager
def writing(alias: str, *, durable: bool = False) -> Iterator[None]:
    """
    Open a transaction that is going to write.

    On SQLite it begins IMMEDIATE, whatever the host's options say: a transaction that
    reads first and writes later fails, without waiting, when another wrote between.
    """
    connection = connections[alias]
    with ExitStack() as stack:
        if connection.vendor == "sqlite":
            stack.enter_context(_immediate(connection))
        stack.enter_context(transaction.atomic(using=alias, durable=durable))
        yield


@contextmanager
def waiting_at_most(alias: str, patience: timedelta) -> Iterator[None]:
    """
    Wait no longer than that, in the transaction that is open, for rows of others.

    Who locks one and freezes must not hold up those that only look after it. SQLite
    has no such locks, and waits for its other writer as the host's options say.
    """
    vendor = connections[alias].vendor
    if vendor == "mysql":
        with _mysql_patience(alias, patience):
            yield
        return
    if vendor == "postgresql":
        milliseconds = patience // timedelta(milliseconds=1)
        _execute(
            alias, "SELECT set_config('lock_timeout', %s, true)", f"{milliseconds}"
        )
    yield


def through_deadlocks(alias: str, write: Callable[[], T]) -> T:
    """
    Make a transaction, and make it again where it lost a deadlock, which undid it.

    Two who insert between the same keys of a unique index deadlock on MariaDB. Inside
    another transaction, which is undone too, the error is for whoever began that.
    """
    for _attempt in range(DEADLOCK_ATTEMPTS):
        try:
            return write()
        except OperationalError as error:
            if connections[alias].in_atomic_block or not _is_deadlock(error):
                raise
    return write()


def in_short(alias: str, write: Callable[[], T]) -> T:
    """Make one of many transactions; SQLite is left to others for a while behind it."""
    begun = time.monotonic()
    written = through_deadlocks(alias, write)
    connection = connections[alias]
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        spent = timedelta(seconds=time.monotonic() - begun)
        time.sleep(gap_after(spent).total_seconds())
    return written


@contextmanager
def _mysql_patience(alias: str, patience: timedelta) -> Iterator[None]:
    name = "SESSION innodb_lock_wait_timeout"
    (before,) = _execute(alias, "SELECT @@SESSION.innodb_lock_wait_timeout") or (50,)
    _execute(alias, f"SET {name} = %s", max(round(patience.total_seconds()), 1))
    try:
        yield
    finally:
        if connections[alias].connection is not None:  # It is lost with its settings.
            _execute(alias, f"SET {name} = %s", before)


@contextmanager
def _immediate(connection: BaseDatabaseWrapper) -> Iterator[None]:
    connection.ensure_connection()  # It reads transaction_mode from the options.
    mode = connection.transaction_mode  # type: ignore[attr-defined]
    connection.transaction_mode = "IMMEDIATE"  # type: ignore[attr-defined]
    try:
        yield
    finally:
        connection.transaction_mode = mode  # type: ignore[attr-defined]


def is_writer_busy(alias: str) -> bool:
    """
    Tell whether who would write to SQLite now might have to wait for long.

    Inside a transaction whoever asks has waited already.
    """
    connection = connections[alias]
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return False
    with connection.cursor() as cursor, _patient(cursor, SQLITE_PATIENCE):
        try:
            cursor.execute("BEGIN IMMEDIATE")
        except OperationalError:
            return True
        cursor.execute("ROLLBACK")
        return False


@contextmanager
def _patient(cursor: CursorWrapper, patience: timedelta) -> Iterator[None]:
    """Wait no longer than that for SQLite's other writer."""
    cursor.execute("PRAGMA busy_timeout")
    (before,) = cursor.fetchone()
    cursor.execute(f"PRAGMA busy_timeout = {patience // timedelta(milliseconds=1)}")
    try:
        yield
    finally:
        cursor.execute(f"PRAGMA busy_timeout = {before}")


# Storage engines


def tables_without_transactions(alias: str, tables: Iterable[str]) -> dict[str, str]:
    """Return those of the tables that no rollback reaches, each with its engine."""
    names = sorted(tables)
    if connections[alias].vendor != "mysql" or not names:
        return {}  # All other databases keep all tables in the same way.
    places = ", ".join(["%s"] * len(names))
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT t.table_name, t.engine"  # noqa: S608 - places are all "%s"
            " FROM information_schema.tables t"
            " JOIN information_schema.engines e ON e.engine = t.engine"
            " WHERE t.table_schema = DATABASE() AND e.transactions <> 'YES'"
            f" AND t.table_name IN ({places})",
            names,
        )
        return dict(cursor.fetchall())


# Eviction
#
# A worker that froze inside a transaction keeps its row locks, and whoever takes its
# run over would wait for them. So each transaction of the engine carries a marker, an
# advisory lock made from the lease's token, by which its session is found and ended.


def evict(alias: str, marker: str) -> bool:
    """End the session of another process that holds the marker; True if there was."""
    end_session = _EVICTIONS.get(connections[alias].vendor)
    try:
        return end_session is not None and end_session(alias, marker)
    except DatabaseError as error:
        if is_passing(error):
            raise
        # The next holder may be held up by its locks, but the fence holds all the same.
        logger.warning("A session that may have frozen was not ended: %s", error)
        return False


def _evict_postgresql(alias: str, marker: str) -> bool:
    number = _number(marker)
    return bool(
        _execute(
            alias,
            "SELECT pg_terminate_backend(pid, %s) FROM pg_locks"
            " WHERE locktype = 'advisory' AND granted AND objsubid = 1"
            " AND classid::bigint = %s AND objid::bigint = %s"
            " AND database = (SELECT oid FROM pg_database"
            "                 WHERE datname = current_database())"
            " AND pid <> pg_backend_pid()",
            EVICTION_PATIENCE // timedelta(milliseconds=1),
            (number >> 32) & 0xFFFFFFFF,
            number & 0xFFFFFFFF,
        )
    )


def _evict_mysql(alias: str, marker: str) -> bool:
    name = _name(marker)
    row = _execute(alias, "SELECT IS_USED_LOCK(%s), CONNECTION_ID()", name)
    if row is None or row[0] is None or row[0] == row[1]:
        return False
    try:
        _execute(alias, f"KILL CONNECTION {int(row[0])}")
    except OperationalError as error:
        if error.args[:1] != (MYSQL_NO_SUCH_THREAD,):
            raise
        return False  # It has just ended by itself.
    # The lock is free when the session is gone; what it waits for is only that.
    if _execute(alias, "SELECT GET_LOCK(%s, %s)", name, EVICTION_PATIENCE.seconds):
        _execute(alias, "SELECT RELEASE_LOCK(%s)", name)
    return True


_EVICTIONS = {"postgresql": _evict_postgresql, "mysql": _evict_mysql}


@contextmanager
def _mysql_marker(alias: str, marker: str) -> Iterator[None]:
    name = _name(marker)
    _execute(alias, "SELECT GET_LOCK(%s, 0)", name)
    try:
        yield
    finally:
        # A connection that was lost has given its locks back.
        if connections[alias].connection is not None:
            _release(alias, name)


def _release(alias: str, name: str) -> None:
    try:
        _execute(alias, "SELECT RELEASE_LOCK(%s)", name)
    except DatabaseError:
        connections[alias].close()


def _number(marker: str) -> int:
    """Return the marker as a signed 64-bit number."""
    digest = hashlib.sha256(f"upkeep:{marker}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _name(marker: str) -> str:
    return f"upkeep:{marker}"


def _execute(alias: str, sql: str, *parameters: str | int) -> tuple[Any, ...] | None:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchone() if cursor.description else None


# Errors

# SQLSTATEs of PostgreSQL: classes 08 (connection), 40 (rollback: serialization,
# deadlock), 53 (resources), 57P0x (shutdown, not up yet), and lock_not_available.
_PASSING_SQLSTATES = ("08", "40", "53", "57P", "55P03")

_DEADLOCK_SQLSTATES = {"40001", "40P01"}  # of PostgreSQL

# Errors of MariaDB and MySQL: too many connections, shutdown, lock wait time-out,
# deadlock, connection killed, a full disk (which InnoDB calls a full table), and those
# of a client that lost its server.
_PASSING_MYSQL = {1040, 1053, 1152, 1158, 1159, 1160, 1161, 1205, 1213, 1317, 1927}
_PASSING_MYSQL |= {1021, 1114}
_PASSING_MYSQL |= {2002, 2003, 2006, 2013, 2014, 2055, 4031}

# The last one is said where there is no room for what readers and writers share.
_PASSING_SQLITE = (
    *("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL"),
    "SQLITE_IOERR_SHMSIZE",
)


def _is_deadlock(error: OperationalError) -> bool:
    """Tell whether a transaction was undone so that another could go on."""
    state = getattr(error.__cause__, "sqlstate", None)
    return state in _DEADLOCK_SQLSTATES or error.args[:1] == (MYSQL_DEADLOCK,)


def is_passing(error: BaseException | None) -> bool:
    """Tell whether an error is likely to pass: a lock, a restart, a full disk."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OperationalError | InterfaceError) and _passes(error):
            return True
        seen.add(id(error))  # `raise error from error` goes round and round.
        error = error.__cause__
    return False


def _passes(error: OperationalError | InterfaceError) -> bool:
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        return cause.sqlite_errorname.startswith(_PASSING_SQLITE)
    if isinstance(error, InterfaceError):
        return True  # The connection is closed.
    state = getattr(cause, "sqlstate", "")  # of psycopg; None: the server is away
    if state != "":
        return state is None or state.startswith(_PASSING_SQLSTATES)
    return bool(error.args) and error.args[0] in _PASSING_MYSQL


def forget_lost_connection(alias: str) -> None:
    """Close a connection that may be broken; the next query opens another."""
    connection = connections[alias]
    if not connection.in_atomic_block:
        connection.close()
