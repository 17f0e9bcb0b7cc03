"""What a test that commits leaves in the database, and its removal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.core.management import call_command
from django.db import connection, transaction
from django.test import TransactionTestCase

# Migrations write these rows, and hardly a test changes them. Django's own flush writes
# them again behind each test that commits, which takes longer than many a test.
OF_MIGRATIONS = ("auth_permission", "django_content_type")

Rows = list[tuple[Any, ...]]


@contextmanager
def removed() -> Iterator[None]:
    """Remove what tests leave that commit, and no more than that."""
    written = rows_of_migrations()

    def clean(case: TransactionTestCase) -> None:
        nonlocal written
        if rows_of_migrations() == written:
            remove()
        else:
            flush()
            written = rows_of_migrations()

    with mock.patch.object(TransactionTestCase, "_fixture_teardown", clean):
        yield


def rows_of_migrations() -> Rows:
    """Return what migrations wrote, as it is now."""
    found: Rows = []
    with connection.cursor() as cursor:
        for table in OF_MIGRATIONS:
            cursor.execute(f"SELECT * FROM {table} ORDER BY id")
            found += cursor.fetchall()
    return found


def remove() -> None:
    """Empty the tables that have rows, but for those of migrations."""
    with connection.constraint_checks_disabled(), transaction.atomic():
        names = filled()
        with connection.cursor() as cursor:
            for name in names:
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(name)}")


def filled() -> list[str]:
    """Return the tables with rows that no migration wrote."""
    tables = connection.introspection.django_table_names(
        only_existing=True, include_views=False
    )
    names = [name for name in tables if name not in OF_MIGRATIONS]
    quoted = map(connection.ops.quote_name, names)
    asked = ", ".join(f"EXISTS (SELECT 1 FROM {name})" for name in quoted)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {asked}")
        return [name for name, has in zip(names, cursor.fetchone(), strict=True) if has]


def flush() -> None:
    """Empty all tables and have the rows of migrations written again."""
    call_command("flush", verbosity=0, interactive=False, reset_sequences=False)
