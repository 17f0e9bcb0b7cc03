"""Writes that outlive the transaction in which their reason came up."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, connections

from upkeep.databases import (
    forget_lost_connection,
    home,
    is_passing,
    through_deadlocks,
    writing,
)
from upkeep.execution.failures import Patience

logger = logging.getLogger("upkeep")

T = TypeVar("T")

# How long the caller waits for the write, lest it wait for locks of its own for ever,
# or for a database that is away.
PATIENCE = timedelta(seconds=5)

# How long the write itself waits for them where nobody is kept waiting by that.
PATIENCE_OF_THREAD = timedelta(minutes=1)


def write_apart(
    write: Callable[[], T],
    *,
    behind: Callable[[T], object],
    what: str,
    patience: timedelta = PATIENCE,
) -> bool:
    """
    Write whatever becomes of the transaction that is open; tell whether it was.

    `behind` is called behind the commit. A connection that was lost meanwhile, and a
    database that is away for no longer than `patience`, keep nothing from it. Inside a
    transaction a thread writes by a connection of its own; on SQLite, which has one
    writer, that waits until the transaction is over, and the caller does not wait for
    it. Raises nothing.
    """
    if _is_in_transaction():
        return _write_in_thread(write, behind, what)
    try:
        written = _write_patiently(write, patience)
    except Exception:  # Whatever it was for must go on.
        logger.exception("%s could not be written", what)
        return False
    behind(written)
    return True


def _is_in_transaction() -> bool:
    """Tell whether there is a transaction which may be rolled back, no test's own."""
    blocks = connections[home()].atomic_blocks
    # What a test writes must go with it, so nothing in its transaction is apart.
    return bool(blocks) and not blocks[0]._from_testcase  # type: ignore[attr-defined]  # noqa: SLF001 - nothing else tells


def _write(write: Callable[[], T]) -> T:
    def at_once() -> T:
        with writing(home()):
            return write()

    return through_deadlocks(home(), at_once)


def _write_in_thread(
    write: Callable[[], T], behind: Callable[[T], object], what: str
) -> bool:
    is_over = threading.Event()
    failures: list[Exception] = []

    def do() -> None:
        try:
            written = _write_patiently(write, PATIENCE_OF_THREAD)
        except Exception as error:  # The caller's thread has an error of its own.
            logger.exception("%s could not be written", what)
            failures.append(error)
        else:
            is_over.set()
            behind(written)
        finally:
            is_over.set()
            connections.close_all()

    # Not a daemon: a process that ends waits for it.
    threading.Thread(target=do, name="upkeep-apart", daemon=False).start()
    if connections[home()].vendor != "sqlite":
        is_over.wait(PATIENCE.total_seconds())
    return not failures


def _write_patiently(write: Callable[[], T], limit: timedelta) -> T:
    """Write as soon as locks and the database allow it."""
    patience = Patience(limit)
    while True:
        try:
            return _write(write)
        except (DatabaseError, InterfaceError) as error:
            wait = patience.wait() if is_passing(error) else None
            if wait is None:
                raise
        forget_lost_connection(home())
        time.sleep(wait)
