"""The queue of the suite, a table: what lies in it, and what goes wrong with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django_tasks_db.models import DBTaskResult

from upkeep.backends.database import DatabaseBroker


def messages() -> list[list[Any]]:
    """Return the arguments of the messages that wait, oldest first."""
    waiting = DBTaskResult.objects.filter(status="READY").order_by("enqueued_at")
    return [message.args_kwargs["args"] for message in waiting]


def lose_messages() -> None:
    """Empty the queue, as an operator may, or a power failure."""
    DBTaskResult.objects.all().delete()


@contextmanager
def down(error: Exception) -> Iterator[None]:
    """Let whoever asks the queue get an error, and nothing be written to it."""
    with (
        mock.patch.object(DatabaseBroker, "holds", side_effect=error),
        mock.patch.object(DatabaseBroker, "prune", side_effect=error),
    ):
        yield
