"""How many records a QuerySet has: counted where that is quick, and else estimated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from math import prod
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.db import OperationalError, connections, transaction
from django.db.models import IntegerField

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import QuerySet

# A run does not wait longer for its total; a COUNT of millions of rows reads them all.
COUNT_WITHIN = timedelta(seconds=1)

# MariaDB counts a table of so many rows in a tenth of a second or two.
LARGE = 200_000

# How the databases say that a statement took longer than it may.
POSTGRESQL_CANCELED = "57014"
MARIADB_TIMED_OUT, MYSQL_TIMED_OUT = 1969, 3024
SQLITE_INTERRUPTED = "interrupted"

SQLITE_LOOKS_EVERY = 10_000  # steps of its machine, which take less than a millisecond.


class Estimate(int):
    """A number that is about right, as `Task.count()` may return one."""


def size_of(records: QuerySet[Any], *, within: timedelta | None = None) -> int | None:
    """
    Count records, or return an Estimate where that takes too long.

    The estimate is that of the database's planner. None is returned where it has none:
    by SQLite for all but a whole table with an integer key.
    """
    connection = connections[records.db]
    try:
        with _LIMITS[connection.vendor](connection, within or COUNT_WITHIN):
            return records.count()
    except OperationalError as error:
        if not _took_too_long(error):
            raise
    estimate = _ESTIMATES[connection.vendor](records.order_by())
    return None if estimate is None else Estimate(estimate)


def rough_size_of(records: QuerySet[Any]) -> int | None:
    """
    Return the size of a large table as the planner of a server has it, or count.

    Batches by the hundred are done before a COUNT of their records would be.
    """
    connection, query = connections[records.db], records.query
    is_whole = not query.where and len(query.alias_map) <= 1
    if connection.vendor != "sqlite" and is_whole:
        estimate = _ESTIMATES[connection.vendor](records.order_by())
        if estimate and estimate >= LARGE:
            return Estimate(estimate)
    return size_of(records)


def in_batches(number: int | None, size: int) -> int | None:
    """Return how many batches so many items make; of an Estimate it is one, too."""
    return None if number is None else type(number)(-(-number // size))


def _took_too_long(error: OperationalError) -> bool:
    if getattr(error.__cause__, "sqlstate", "") == POSTGRESQL_CANCELED:
        return True
    return error.args[0] in {MARIADB_TIMED_OUT, MYSQL_TIMED_OUT, SQLITE_INTERRUPTED}


# What sets a limit to the time of each statement in a block


@contextmanager
def _limited_postgresql(
    connection: BaseDatabaseWrapper, limit: timedelta
) -> Iterator[None]:
    """Set it for the transaction, for a pooler may give the session to others."""
    name = "statement_timeout"
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])
        (before,) = cursor.fetchone() or ("0",)
        milliseconds = str(round(limit / timedelta(milliseconds=1)))
        cursor.execute("SELECT set_config(%s, %s, true)", [name, milliseconds])
        yield
        cursor.execute("SELECT set_config(%s, %s, true)", [name, before])


@contextmanager
def _limited_mysql(connection: BaseDatabaseWrapper, limit: timedelta) -> Iterator[None]:
    if getattr(connection, "mysql_is_mariadb", False):
        name, unit = "max_statement_time", timedelta(seconds=1)
    else:
        name, unit = "max_execution_time", timedelta(milliseconds=1)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT @@SESSION.{name}")
        (before,) = cursor.fetchone() or (0,)
        number = limit / unit if unit == timedelta(seconds=1) else round(limit / unit)
        cursor.execute(f"SET SESSION {name} = %s", [number])
        try:
            yield
        finally:
            cursor.execute(f"SET SESSION {name} = %s", [before])


@contextmanager
def _limited_sqlite(
    connection: BaseDatabaseWrapper, limit: timedelta
) -> Iterator[None]:
    connection.ensure_connection()
    until = monotonic() + limit.total_seconds()
    driver = connection.connection
    driver.set_progress_handler(lambda: monotonic() > until, SQLITE_LOOKS_EVERY)
    try:
        yield
    finally:
        driver.set_progress_handler(None, SQLITE_LOOKS_EVERY)


Limited = Callable[["BaseDatabaseWrapper", timedelta], AbstractContextManager[None]]

_LIMITS: dict[str, Limited] = {
    "postgresql": _limited_postgresql,
    "mysql": _limited_mysql,
    "sqlite": _limited_sqlite,
}


# What a database believes without a look at the rows


def _planned_by_postgresql(records: QuerySet[Any]) -> int:
    (plan,) = json.loads(records.explain(format="json"))
    return int(plan["Plan"]["Plan Rows"])


def _planned_by_mysql(records: QuerySet[Any]) -> int:
    plan = json.loads(records.explain(format="json"))
    if isinstance(plan, str):  # Django spells as JSON what is JSON.
        plan = json.loads(plan)
    shares = [_rows_of(table) for table in _tables(plan["query_block"])]
    return round(prod(shares)) if shares else 0


def _tables(plan: Any) -> Iterator[dict[str, Any]]:
    """Yield the tables of a plan that are joined, without those of its subqueries."""
    for step in plan if isinstance(plan, list) else [plan]:
        for name, part in step.items():
            if name == "table":
                yield part
            elif name in {"nested_loop", "ordering_operation", "filesort"}:
                yield from _tables(part)


def _rows_of(table: dict[str, Any]) -> float:
    """Return how many rows of a table are found for each row before it."""
    rows = table.get("rows", table.get("rows_examined_per_scan", 0))
    return float(rows) * float(table.get("filtered", 100)) / 100


def _known_by_sqlite(records: QuerySet[Any]) -> int | None:
    """Return how many keys there can be between the first and the last."""
    key = records.model._meta.pk
    if records.query.where or not isinstance(key, IntegerField):
        return None
    keys = records.order_by("pk").values_list("pk", flat=True)
    ends = [*keys[:1], *keys.reverse()[:1]]  # One query for both would read all.
    return ends[-1] - ends[0] + 1 if ends else 0


_ESTIMATES: dict[str, Callable[[QuerySet[Any]], int | None]] = {
    "postgresql": _planned_by_postgresql,
    "mysql": _planned_by_mysql,
    "sqlite": _known_by_sqlite,
}
