"""
What befalls somebody in the midst of a talk with the database, in this one process.

The harness ends processes, which is what happens; here it is played, for speed: who is
dead cannot say another word, and what it had begun is rolled back.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

from upkeep.models import Run


class Died(BaseException):
    """Somebody was killed; whoever catches this can do nothing with the database."""


class Accident:
    """Something that happens at one of the points of a talk with the database."""

    def __init__(self, at: int) -> None:
        self.points_left = at
        self.connection: Any = connections[DEFAULT_DB_ALIAS]

    @property
    def has_happened(self) -> bool:
        return self.points_left == 0

    @contextmanager
    def lurking(self) -> Iterator[None]:
        """Wait for the point, before and after each statement and each COMMIT."""
        commit = self.connection._commit

        def around_commit() -> None:
            self.reach("before COMMIT")
            commit()
            self.reach("after COMMIT")

        with (
            self.connection.execute_wrapper(self._around_statement),
            mock.patch.object(self.connection, "_commit", around_commit),
        ):
            yield

    def _around_statement(
        self, execute: Callable[..., Any], sql: str, *rest: Any
    ) -> Any:
        self.reach(f"before {sql}")
        result = execute(sql, *rest)
        self.reach(f"after {sql}")
        return result

    def reach(self, point: str) -> None:
        """Count a point that matters, and let it happen at the last one."""
        if self.points_left > 0 and self.matters(point):
            self.points_left -= 1
            if self.points_left == 0:
                self.happen()

    def matters(self, point: str) -> bool:
        return True

    def happen(self) -> None:
        raise NotImplementedError

    def roll_back(self) -> None:
        """Let go of what is not committed, as the server does with a lost session."""
        self.connection.connection.rollback()


class Death(Accident):
    """SIGKILL."""

    def reach(self, point: str) -> None:
        if self.has_happened:
            raise Died(point)
        super().reach(point)

    def happen(self) -> None:
        self.roll_back()
        raise Died

    @contextmanager
    def lurking(self) -> Iterator[None]:
        try:
            with super().lurking():
                yield
        finally:
            if self.has_happened:
                self.connection.close()  # With its locks, and what it meant to do.


class DeathAtCommit(Death):
    """SIGKILL at the worst moments: what was written before has just become true."""

    def matters(self, point: str) -> bool:
        return "COMMIT" in point


class LostConnection(Accident):
    """The server goes away for a moment: what was said there may have been heard."""

    def happen(self) -> None:
        self.roll_back()
        raise lost_connection(self.connection.vendor)


class LostAnswer(LostConnection):
    """A COMMIT happens, and whoever asked for it does not hear so."""

    def matters(self, point: str) -> bool:
        return point == "after COMMIT"


class LostCommits(LostConnection):
    """COMMITs do not happen, the next each time behind so many that matter."""

    def __init__(self, *gaps: int) -> None:
        first, *self.gaps = gaps
        super().__init__(first)
        self.lost = 0

    @property
    def has_happened(self) -> bool:
        return self.lost > 0

    def matters(self, point: str) -> bool:
        return point == "before COMMIT"

    def happen(self) -> None:
        self.lost += 1
        if self.gaps:
            self.points_left = self.gaps.pop(0)
        super().happen()


class LostFailures(LostCommits):
    """Those COMMITs do not happen that would save items, and a failure behind them."""

    reached = sys.maxsize  # The first COMMIT is that of a claim.

    def matters(self, point: str) -> bool:
        return super().matters(point) and self._ends_with_failure(Run.objects.get())

    def _ends_with_failure(self, run: Run) -> bool:
        before, self.reached = self.reached, run.reached
        return run.item_attempts > 0 and run.reached > before


class Freeze(Accident):
    """
    Somebody stands still outside of a transaction, and things happen meanwhile.

    They happen on the same connection, and in SQLite an INSERT is not over before its
    key is read: a rollback of another's would undo it.
    """

    def __init__(self, at: int, meanwhile: Callable[[], None]) -> None:
        super().__init__(at)
        self.meanwhile = meanwhile

    def matters(self, point: str) -> bool:
        is_open = self.connection.in_atomic_block or not self.connection.autocommit
        return not is_open and not point.startswith(UNFINISHED)

    def happen(self) -> None:
        self.meanwhile()


class Oversleep(Freeze):
    """A worker stands still when it has seen that the run is its own."""

    def matters(self, point: str) -> bool:
        is_look = point.startswith("after SELECT") and LOOK.search(point) is not None
        return is_look and super().matters(point)


# Behind these somebody is not yet where the others could go on with the connection.
UNFINISHED = ("after BEGIN", "after COMMIT", "after INSERT")

# The question that a worker asks before each chunk, and of it what no other has.
LOOK = re.compile(r"\blease_token\W* = ")


def lost_connection(vendor: str) -> OperationalError:
    """Return the error that Django raises where a statement is not answered."""
    if vendor == "mysql":
        return OperationalError(2013, "Lost connection to server during query")
    if vendor == "sqlite":
        locked = sqlite3.OperationalError("database is locked")
        locked.sqlite_errorname = "SQLITE_BUSY"
        return _caused_by(locked)
    import psycopg

    return _caused_by(psycopg.OperationalError("server closed the connection"))


def _caused_by(cause: Exception) -> OperationalError:
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return error
