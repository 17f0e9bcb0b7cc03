"""What keeps the database from doing what was asked, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import DatabaseError, connections
from django.db.migrations.loader import MigrationLoader

from upkeep.compat import task_backends
from upkeep.databases import forget_lost_connection, home, is_passing
from upkeep.dispatch.brokers import broker
from upkeep.runs.why import has_one_writer

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = "upkeep"
# The label by which django-tasks-db is known to migrations.
QUEUE = "django_tasks_database"

WHOSE = {OURS: "Upkeep's tables", QUEUE: "The tables of the queue (django-tasks-db)"}


def missing_tables() -> str:
    """Say which tables lack a migration; an empty text where none is lacking."""
    return next(filter(None, (_missing(app, alias) for app, alias in _needed())), "")


def refusal(error: DatabaseError) -> str:
    """Say why a command found no answer; an empty text where only the error can."""
    if is_passing(error):
        return f"{passing(error)}{_own_words(error)}. Try again.{who_may_lock(error)}"
    return missing_tables()


def passing(error: DatabaseError) -> str:
    """Say what an error that passes tells of the database, as a clause."""
    is_locked = "lock" in str(error).lower()
    return f"The database {'is locked' if is_locked else 'does not answer'}"


def _own_words(error: DatabaseError) -> str:
    """Return what the server says, which may be that there is no such database."""
    if "lock" in str(error).lower() or not error.args:
        return ""
    *_code, words = error.args  # MariaDB's have a number first.
    return f": {' '.join(str(words).split()).rstrip('.')}"


def who_may_lock(error: DatabaseError) -> str:
    """Say where to look if SQLite stays locked, behind a sentence; else nothing."""
    if "lock" not in str(error).lower() or not has_one_writer():
        return ""
    return (
        " If it stays locked, an item of a run may hold it: the log of the workers "
        "says which, and what process to kill."
    )


def missing_tables_if_known() -> str:
    """Say the same at the start of what also waits for a database that is away."""
    try:
        return missing_tables()
    except DatabaseError as error:
        if not is_passing(error):
            raise
        return ""
    finally:
        forget_lost_connection(home())  # It would stay open, and unused, for days.


def _needed() -> Iterator[tuple[str, str]]:
    """Yield apps, and the database in which each keeps its tables."""
    yield OURS, home()
    for backend in task_backends.settings:
        if alias := broker(backend).writes_to():
            yield QUEUE, alias


def _missing(app: str, alias: str) -> str:
    loader = MigrationLoader(connections[alias])
    applied = {name for label, name in loader.applied_migrations if label == app}
    if all(name in applied for _, name in loader.graph.leaf_nodes(app)):
        return ""
    are = "are older than its code in" if applied else "are missing from"
    option = "" if alias == "default" else f" --database={alias}"
    return f"{WHOSE[app]} {are} the database {alias!r}. Type: manage.py migrate{option}"
