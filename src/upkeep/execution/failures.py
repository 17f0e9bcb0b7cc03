"""What a failure of a chunk means, and how it is told."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import Any

from django.db import DatabaseError, OperationalError, connections, transaction
from django.db.utils import InternalError

from upkeep.exceptions import SwallowedError
from upkeep.tasks.masks import mask_text

# How long the engine tries again by itself where a lock or a restart is in the way.
PATIENCE = timedelta(minutes=5)
LONGEST_WAIT = timedelta(seconds=5)
FIRST_WAIT = timedelta(seconds=0.05)

# How long it waits for a database that is away, before it leaves the run to the sweep.
DATABASE_PATIENCE = timedelta(seconds=60)


class Patience:
    """Growing waits, until something succeeds or the time is up."""

    def __init__(self, limit: timedelta) -> None:
        self.limit = limit.total_seconds()
        self.reset()

    def reset(self) -> None:
        """Begin anew: it went on."""
        self._since: float | None = None
        self._wait = FIRST_WAIT.total_seconds()

    def wait(self) -> float | None:
        """Return how many seconds to wait now, or None if the time is up."""
        self._since = self._since or monotonic()
        if monotonic() - self._since > self.limit:
            return None
        wait, self._wait = self._wait, min(self._wait * 2, LONGEST_WAIT.total_seconds())
        return wait


@contextmanager
def trustworthy(alias: str) -> Iterator[None]:
    """
    Open a savepoint, and refuse what is inside if it hid that it was spoiled.

    MariaDB rolls the whole transaction back on a deadlock, and the statement alone on a
    lock time-out. Where `process` swallows such an error, what follows would commit as
    if nothing were missing. That the savepoint is gone shows the first; the second
    shows only in the statement. Raises SwallowedError.
    """
    hidden: list[DatabaseError] = []
    try:
        with (
            transaction.atomic(using=alias),
            connections[alias].execute_wrapper(_noting(hidden)),
        ):
            yield
            if hidden:
                raise SwallowedError(_advice(hidden[0])) from hidden[0]
    except OperationalError as error:
        if not _savepoint_is_gone(error):
            raise
        raise SwallowedError(_BROKEN_TRANSACTION) from (hidden[0] if hidden else None)


def _noting(errors: list[DatabaseError]) -> Callable[..., Any]:
    def note(execute: Callable[..., Any], *statement: Any) -> Any:
        try:
            return execute(*statement)
        except (OperationalError, InternalError) as error:
            errors.append(error)
            raise

    return note


def _savepoint_is_gone(error: OperationalError) -> bool:
    return error.args[:1] == (1305,) or "no such savepoint" in str(error)


def _advice(error: DatabaseError) -> str:
    return (
        f"process() went on after a database error ({error}), after which its chunk "
        "cannot be trusted. Let the error out, or say atomic = False."
    )


_BROKEN_TRANSACTION = (
    "The transaction of the chunk ended inside process(): by a deadlock that was "
    "swallowed, or by a statement that commits by itself, such as CREATE, ALTER, "
    "TRUNCATE, COMMIT. Let the error out; for such statements say atomic = False."
)


def told(error: BaseException, secrets: Iterable[str] = ()) -> dict[str, str]:
    """Return the fields of a run that tell of an error, with secrets masked."""
    secrets = list(secrets)
    return {
        "error_class": f"{type(error).__module__}.{type(error).__qualname__}"[:255],
        "error_message": mask_text(str(error), secrets),
        "traceback": mask_text("".join(traceback.format_exception(error)), secrets),
    }
