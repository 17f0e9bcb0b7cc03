"""Tables of MariaDB in another storage engine."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def without_transactions(table: str) -> Iterator[None]:
    """Have a table where no rollback reaches it."""
    _move(table, "MyISAM")
    try:
        yield
    finally:
        _move(table, "InnoDB")


def _move(table: str, engine: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ENGINE = {engine}")
