"""What Upkeep must know of a queue beyond what `django.tasks` says of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from django.utils.module_loading import import_string

from upkeep.compat import BaseTaskBackend, task_backends
from upkeep.exceptions import QueueRefused

if TYPE_CHECKING:
    from upkeep.execution.interruption import Interruption

# From the class of a backend in TASKS, the broker that knows it. Each lies in a module
# of its own, because each needs another optional package.
BROKERS = {
    "django_tasks_db.backend.DatabaseBackend": (
        "upkeep.backends.database.DatabaseBroker"
    ),
    "django_tasks_rq.backend.RQBackend": "upkeep.backends.rq.RQBroker",
}

STOP_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGQUIT")
    if hasattr(signal, name)
)


class Broker:
    """A queue as dispatch sees it; this one will do for one that we know nothing of."""

    has_worker = False
    """Whether `upkeep worker` can start workers for it."""

    def __init__(self, backend: BaseTaskBackend) -> None:
        self.backend = backend

    def writes_to(self) -> str | None:
        """Return the alias of the database that holds the messages, if one does."""
        return None

    def holds(self, message_id: str) -> bool | None:
        """Tell whether a message still waits in the queue; None: nobody can know."""
        return None

    def worker_command(self, queues: Sequence[str]) -> list[str]:
        """Return the `manage.py` command of one worker; no queues means all of them."""
        raise QueueRefused(
            f"Upkeep knows no worker of {type(self.backend).__name__}, to which "
            f"TASKS[{self.backend.alias!r}] points: start it by its own command, and "
            "`upkeep recover --loop` beside it."
        )

    @contextmanager
    def listening(self, interruption: Interruption) -> Iterator[None]:
        """Have the worker's wish to stop reach the run it is working on."""
        with interruption.by_signals(*STOP_SIGNALS):
            yield

    def over(self) -> int:
        """Count the messages of ours that are over and would be deleted."""
        return 0

    def prune(self) -> int:
        """Delete some messages of ours that are over; return how many."""
        return 0


@cache
def _broker_class(backend: type[BaseTaskBackend]) -> type[Broker]:
    for parent in backend.__mro__:
        if path := BROKERS.get(f"{parent.__module__}.{parent.__qualname__}"):
            return import_string(path)  # type: ignore[no-any-return]
    return Broker


def broker(alias: str) -> Broker:
    """Return the broker of a backend of `TASKS`. Raises InvalidTaskBackend."""
    backend = task_backends[alias]
    return _broker_class(type(backend))(backend)
