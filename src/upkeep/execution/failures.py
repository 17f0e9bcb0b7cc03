"""What a failure of a chunk means, and how it is told."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import InternalError

from upkeep.databases import storable
from upkeep.exceptions import SwallowedError, TransactionEnded
from upkeep.runs.words import message_of
from upkeep.tasks.masks import mask_text

if TYPE_CHECKING:
    from upkeep.tasks.collections.base import Cursor
    from upkeep.tasks.policies import Decision, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """The item that process() had in hand, and where one goes on behind it."""

    item: Any
    name: str  # "" where there is but one
    kept: Any  # What a dead letter keeps of it: a record as it was when it was fetched.
    after: Cursor
    is_last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error about which nothing is left but what the rules of the task say."""

    error: BaseException
    place: str = ""  # The name of the item, or of the one that was near.
    hand: Hand | None = None  # The item whose own error it is certain to be.
    attempts: int = 1
    rules: tuple[Rule, ...] = ()  # Those that have not had their say.
    handed_to: Rule | None = None  # Whose method is seeing to it.
    decision: Decision | None = None  # What they say, where they have been asked.
    is_last: bool = False  # If even this cannot be told, another worker may try.

    def raised_by_method(self, error: BaseException) -> Failure:
        """Return the failure with what the method raised, for the other rules."""
        rules = tuple(each for each in self.rules if each is not self.handed_to)
        return replace(self, error=error, rules=rules, handed_to=None, decision=None)

    @property
    def reason(self) -> str:
        """The error in a line."""
        return f"{type(self.error).__name__}: {message_of(self.error)}"


# How long the engine tries again by itself where a lock or a restart is in the way.
PATIENCE = timedelta(minutes=5)
# And how often, at least: an item may take longer than that.
LEAST_TRIES = 5
LONGEST_WAIT = timedelta(seconds=5)
FIRST_WAIT = timedelta(seconds=0.05)

# How long it waits for a database that is away, before it leaves the run to the sweep.
DATABASE_PATIENCE = timedelta(seconds=60)


class Patience:
    """Growing waits, until something succeeds or time and tries are used up."""

    def __init__(self, limit: timedelta, *, tries: int = 0) -> None:
        self.limit = limit.total_seconds()
        self.tries = tries
        self.reset()

    def reset(self) -> None:
        """Begin anew: it went on."""
        self._since: float | None = None
        self._tried = 0
        self._wait = FIRST_WAIT.total_seconds()

    def put_off(self, seconds: float) -> None:
        """Do not count a time in which it waited for something else."""
        if self._since is not None:
            self._since += seconds

    @property
    def is_tried(self) -> bool:
        """Tell whether somebody waits for something to succeed."""
        return self._since is not None

    def wait(self) -> float | None:
        """Return how many seconds to wait now, or None if the time is up."""
        now = monotonic()
        if self._since is None:
            self._since = now
        if now - self._since > self.limit and self._tried >= self.tries:
            return None
        self._tried += 1
        wait, self._wait = self._wait, min(self._wait * 2, LONGEST_WAIT.total_seconds())
        return wait


@contextmanager
def trustworthy(alias: str) -> Iterator[Callable[..., AbstractContextManager[None]]]:
    """
    Open a block, and refuse what is inside if it hid that it was spoiled.

    Three things would let a chunk commit as if nothing were missing. After an error of
    the ORM outside of a block of its own, Django rolls the savepoint back without a
    word. MariaDB rolls the whole transaction back on a deadlock, which shows in that
    the savepoint is gone; and the statement alone on a lock time-out, which shows
    only in the statement. Raises SwallowedError, or TransactionEnded.

    Gives what opens a block inside, with a savepoint or without, of which the same is
    true. Behind its end nobody goes back to a savepoint of it.
    """
    connection = connections[alias]
    statements = _Statements(connection)

    @contextmanager
    def block(*, savepoint: bool = True) -> Iterator[None]:
        before = len(statements.hidden)
        with transaction.atomic(using=alias, savepoint=savepoint):
            known = set(statements.savepoints)  # With the one of the block itself.
            yield
            if hidden := statements.hidden[before:]:
                raise SwallowedError(_advice(hidden[-1])) from hidden[-1]
            if connection.needs_rollback:
                raise SwallowedError(_MARKED_FOR_ROLLBACK)
            if statements.have_ended_it():
                raise TransactionEnded(_ENDED)
            statements.passed |= statements.savepoints.keys() - known

    try:
        with (
            connection.execute_wrapper(statements.note),
            block(savepoint=not statements.tell_its_end),
        ):
            yield block
    except DatabaseError as error:
        if not _savepoint_is_gone(error):
            raise
        if hidden := statements.hidden:
            raise SwallowedError(_advice(hidden[0])) from hidden[0]
        raise TransactionEnded(_ENDED) from error


class _Statements:
    """What the statements of a chunk show, and its end may not."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        # SQLite tells whether a transaction is open. A savepoint would tell, too, but
        # behind one it keeps each page that changes: UPDATE lasts half as long again.
        self.tell_its_end = connection.vendor == "sqlite"
        self.hidden: list[DatabaseError] = []  # Unless they get out.
        self.savepoints: dict[str, int] = {}  # How many were hidden before each.
        self.passed: set[str] = set()  # Those of blocks that are done.
        self._has_ended = False

    def note(self, execute: Callable[..., Any], sql: Any, *rest: Any) -> Any:
        """
        Note errors, but for those in a block of their own that was rolled back.

        Refuses what nothing could undo any more, where it shows that there is no
        transaction. What Django says at the end of a block then fails by itself.
        """
        if self.have_ended_it() and not _ends_block(str(sql)):
            raise TransactionEnded(_ENDED)
        match str(sql).rsplit(" ", 1):
            case ["ROLLBACK TO SAVEPOINT", name] if name in self.passed:
                raise SwallowedError(_TOO_FAR)
        try:
            result = execute(sql, *rest)
        except (OperationalError, InternalError) as error:
            if "SAVEPOINT" not in str(sql).split(" ", 3):  # One that is gone, it tells.
                self.hidden.append(error)
            raise
        finally:
            self._has_ended = self.have_ended_it()
        match str(sql).rsplit(" ", 1):
            case ["SAVEPOINT", name]:
                self.savepoints[name] = len(self.hidden)
                self.passed.discard(name)
            case ["ROLLBACK TO SAVEPOINT", name]:
                del self.hidden[self.savepoints.get(name, len(self.hidden)) :]
        return result

    def have_ended_it(self) -> bool:
        """Tell whether the transaction has ended, where that shows, if once only."""
        if self._has_ended or not self.tell_its_end:
            return self._has_ended
        return not self.connection.connection.in_transaction


def _ends_block(sql: str) -> bool:
    return sql.startswith(("RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT"))


def _savepoint_is_gone(error: DatabaseError) -> bool:
    """Tell the errors of a savepoint that is not there: MariaDB, PostgreSQL, SQLite."""
    if error.args[:1] == (1305,):  # Said of procedures, too.
        return "SAVEPOINT" in str(error)
    if getattr(error.__cause__, "sqlstate", None) in ("25P01", "3B001"):
        return True
    return "no such savepoint" in str(error)


def _advice(error: DatabaseError) -> str:
    return (
        f"process() went on after a database error ({error}), after which its chunk "
        "cannot be trusted. Let the error out, catch it around a transaction.atomic() "
        "of its own, or say atomic = False."
    )


_TOO_FAR = (
    "process() went back to a savepoint of a page before, whose items are done. Let a "
    "savepoint end with its item, best with transaction.atomic()."
)

_MARKED_FOR_ROLLBACK = (
    "process() went on after a database error, or asked for a rollback, and its "
    "transaction cannot be committed any more. Let the error out, or catch it around "
    "a transaction.atomic() of its own."
)

_ENDED = (
    "The transaction of the chunk ended inside process(), by a statement that commits "
    "or rolls back by itself, such as CREATE, ALTER, TRUNCATE, COMMIT. What the items "
    "of the chunk did before it may be kept, though they are not counted as done. For "
    "such statements say atomic = False."
)


# What is kept of an error: enough of it for people, little enough for every database.
LONGEST_MESSAGE = 10_000
LONGEST_TRACEBACK = 100_000


def told(error: BaseException, secrets: Iterable[str] = ()) -> dict[str, str]:
    """Return the fields of a run that tell of an error, with secrets masked."""
    secrets = list(secrets)
    lines = traceback.format_exception(error)
    return {
        "error_class": f"{type(error).__module__}.{type(error).__qualname__}"[:255],
        "error_message": storable(
            mask_text(message_of(error), secrets), at_most=LONGEST_MESSAGE
        ),
        "traceback": storable(
            mask_text("".join(lines), secrets), at_most=LONGEST_TRACEBACK
        ),
    }
