"""
The engine without one of its protections, which shows what it is there for.

Tests take one away to show that others can fail. `pytest --without=fence` does so for
all tests that it runs, and `make soak MUTATE=1` with each of `WAYS` in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from typing import Any
from unittest import mock

import pytest
from django.db import transaction
from django.db.models import DateTimeField, F, Q, Value
from django.utils import timezone

from upkeep import databases
from upkeep.conf import conf
from upkeep.databases import Now, engine_transaction, home
from upkeep.dispatch import messages, recovery, supervisor
from upkeep.execution import claim, executor, failures, settlement
from upkeep.execution.chunks import Chunk
from upkeep.execution.claim import Claim
from upkeep.execution.executor import Executor
from upkeep.execution.pacemaker import Pacemaker
from upkeep.models import Event, Run
from upkeep.runs import slots
from upkeep.runs.models import new_token as a_new_token
from upkeep.runs.querysets import RunQuerySet

Taken = AbstractContextManager[object]

# Names what is taken away, for workers that a test starts as processes of their own.
VARIABLE = "UPKEEP_TEST_WITHOUT"


@contextmanager
def taken_away(name: str) -> Iterator[None]:
    """Have the engine without the protection of that name. Raises UsageError."""
    if name not in WAYS:
        raise pytest.UsageError(f"No protection is {name!r}: {', '.join(WAYS)}.")
    with WAYS[name]():
        yield


# Who may write


@contextmanager
def fence() -> Iterator[None]:
    """Let workers write to any run, whoever holds it."""

    def write(self: Claim, *log_lines: str, **changes: Any) -> None:
        if log_lines:
            changes["logged"] = F("logged") + len(log_lines)
        changes["lease_until"] = Now() + conf.LEASE
        Run.objects.filter(pk=self.run.pk).update(**changes)
        if log_lines:
            self.run.tell(Event.Kind.LOG, *log_lines)

    with (
        mock.patch.object(Claim, "write", write),
        mock.patch.object(Claim, "_fence", return_value=Q()),
    ):
        yield


def stale_messages() -> Taken:
    """Let a worker claim a run by any message, whatever token it bears."""
    take = Claim.take

    def take_anyway(run_id: int, _token: str) -> Claim | None:
        run = Run.objects.filter(pk=run_id).first()
        return take(run_id, run.lease_token) if run else None

    return mock.patch.object(Claim, "take", take_anyway)


def active_key() -> Taken:
    """Write runs without the key that no two active ones can have."""

    def take(run: Run, write: Callable[[str | None], Any]) -> Any:
        return write(None)

    return mock.patch.object(slots, "take", take)


# After an error


def new_token() -> Taken:
    """Let a worker read the row after an error, and go on with its old token."""

    def reread(self: Claim) -> None:
        self.run.refresh_from_db(using=home())

    return mock.patch.object(Claim, "renew", reread)


def fresh_row() -> Taken:
    """Let a worker go on from what is in its memory, whatever went wrong."""
    return mock.patch.object(Claim, "renew")


def whose_attempts() -> Taken:
    """Take as many attempts in the row for those at whichever item failed."""

    def has_noted(self: Executor, chunk: Chunk, *, is_committed: bool) -> bool:
        failure = chunk.failure
        return failure is not None and self.run.item_attempts == failure.attempts

    return mock.patch.object(Executor, "_has_noted", has_noted)


# A chunk


def order_of_writes() -> Taken:
    """Save the place behind the commit of its chunk, in a transaction of its own."""

    def work_on_chunk(self: Executor) -> None:
        if not self.task.atomic:
            self._work_without_transaction()
            return
        with (
            engine_transaction(self.alias, marker=self.claim.token),
            failures.trustworthy(self.alias) as undoable,
        ):
            self._work(undoable)
        self._save_place()

    return mock.patch.object(Executor, "_work_on_chunk", work_on_chunk)


def durable() -> Taken:
    """Let the engine begin its transactions inside of others, as savepoints."""
    writing = databases.writing

    def write(alias: str, *, durable: bool = False) -> AbstractContextManager[None]:
        return writing(alias)

    return mock.patch.object(databases, "writing", write)


def distrust() -> Taken:
    """Believe a chunk whatever `process` hid."""

    def block(*, savepoint: bool = True) -> Taken:
        return nullcontext()

    @contextmanager
    def believe(alias: str) -> Iterator[Any]:
        yield block

    return instead_of_trustworthy(believe)


@contextmanager
def savepoint() -> Iterator[None]:
    """Work on items without what shows if their transaction is gone."""
    none = mock.Mock(atomic=lambda using, savepoint: nullcontext())
    statements = failures._Statements
    with (
        mock.patch.object(failures, "transaction", none),
        mock.patch.object(statements, "have_ended_it", return_value=False),
    ):
        yield


def hidden_errors() -> Taken:
    """Work on a chunk in a plain savepoint, and do not ask what was hidden in it."""

    @contextmanager
    def trust(alias: str) -> Iterator[Any]:
        block = partial(transaction.atomic, using=alias)
        with block():
            yield block

    return instead_of_trustworthy(trust)


def noted_errors() -> Taken:
    """Do not note errors of the database that never leave `process`."""

    class Deaf(failures._Statements):
        def note(self, execute: Callable[..., Any], sql: Any, *rest: Any) -> Any:
            return execute(sql, *rest)

    return mock.patch.object(failures, "_Statements", Deaf)


@contextmanager
def instead_of_trustworthy(stand_in: Callable[[str], Any]) -> Iterator[None]:
    """Have another context around chunks, and around what handles an item."""
    with (
        mock.patch.object(executor, "trustworthy", stand_in),
        mock.patch.object(settlement, "trustworthy", stand_in),
    ):
        yield


# Workers that fell silent, and messages that were lost


@contextmanager
def eviction() -> Iterator[None]:
    """Let frozen sessions be."""
    with (
        mock.patch.object(recovery, "evict", return_value=False),
        mock.patch.object(claim, "evict", return_value=False),
    ):
        yield


def database_clock() -> Taken:
    """Reckon leases by the clock of whoever writes or reads them."""

    def as_sql(self: Now, compiler: Any, *_given: Any, **_more: Any) -> Any:
        now = Value(timezone.now(), output_field=DateTimeField())
        return compiler.compile(now)

    return mock.patch.object(Now, "as_sql", as_sql)


def pacemaker() -> Taken:
    """Let a lease run out while an item takes longer."""
    return mock.patch.object(Pacemaker, "_beat")


def watcher() -> Taken:
    """Have nobody beside the workers who sweeps."""

    def watch(stop: Any) -> None:
        stop.wait()

    return mock.patch.object(supervisor, "watch", watch)


def sweep_of_silent_workers() -> Taken:
    """Let the sweep pass over runs whose lease ran out."""
    return mock.patch.object(RunQuerySet, "abandoned", RunQuerySet.none)


def sweep_of_lost_messages() -> Taken:
    """Let the sweep pass over runs whose message should have been read."""
    return mock.patch.object(RunQuerySet, "unheard", RunQuerySet.none)


def same_token() -> Taken:
    """Give a run a new token when its message is sent again."""

    def send(run: Run) -> bool:
        same, run.lease_token = run.lease_token, a_new_token()
        row = Run.objects.filter(pk=run.pk, lease_token=same)
        return bool(row.update(lease_token=run.lease_token)) and messages.send(run)

    return mock.patch.object(recovery, "messages", mock.Mock(send=send))


# SQLite's one writer


def gap() -> Taken:
    """Leave no time between transactions in which others could write."""
    return mock.patch.object(databases, "gap_after", return_value=timedelta(0))


def immediate() -> Taken:
    """Begin transactions that get the write lock only when they come to write."""
    return mock.patch.object(databases, "_immediate", return_value=nullcontext())


WAYS: dict[str, Callable[[], Taken]] = {
    way.__name__.replace("_", " "): way
    for way in (
        fence,
        stale_messages,
        active_key,
        new_token,
        fresh_row,
        whose_attempts,
        order_of_writes,
        durable,
        distrust,
        savepoint,
        hidden_errors,
        noted_errors,
        eviction,
        database_clock,
        pacemaker,
        watcher,
        sweep_of_silent_workers,
        sweep_of_lost_messages,
        same_token,
        gap,
        immediate,
    )
}
