"""What each database knows of a table that is to be written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections

from upkeep.execution.updates.tables.base import Table
from upkeep.execution.updates.tables.mysql import MySQLTable
from upkeep.execution.updates.tables.postgresql import PostgreSQLTable
from upkeep.execution.updates.tables.sqlite import SQLiteTable

if TYPE_CHECKING:
    from django.db.models import Model

__all__ = ["Table", "table_of"]

_KINDS: dict[str, type[Table]] = {
    "postgresql": PostgreSQLTable,
    "mysql": MySQLTable,
    "sqlite": SQLiteTable,
}


def table_of(model: type[Model], alias: str) -> Table:
    """Return the table of a model in a database."""
    connection: Any = connections[alias]
    return _KINDS[connection.vendor](model, connection)
