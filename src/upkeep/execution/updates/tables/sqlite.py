"""Tables of SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models

from upkeep.execution.updates.tables.base import INTEGERS, TEXTS, FieldClasses, Table

if TYPE_CHECKING:
    from django.db.models import Field

    from upkeep.execution.updates.changes import Batch, Values


class SQLiteTable(Table):
    """
    A table of SQLite, where a statement for each row costs next to nothing.

    One with many rows is no faster, and runs into the limit of parameters. A column may
    hold what its type does not say, and the driver gives what it holds, unless there
    is a converter: the plus sign keeps off those of the driver, and lets no type of
    the column change what is compared.
    """

    known: ClassVar[FieldClasses] = (
        INTEGERS | TEXTS | {models.BinaryField, models.FloatField}
    )

    def template(self, field: Field[Any, Any]) -> str:
        return "(+%(expressions)s) COLLATE BINARY"

    def update(self, batch: Batch) -> int:
        assigned = ", ".join(f"{each.quoted} = %s" for each in batch.kind.changed)
        sql = f"UPDATE {self.name} SET {assigned} WHERE {self._condition(batch)}"
        return self._count_all(sql, [*batch.values, *batch.keys, *batch.guards])

    def delete(self, batch: Batch) -> int:
        sql = f"DELETE FROM {self.name} WHERE {self._condition(batch)}"
        return self._count_all(sql, batch.columns)

    def _count_all(self, sql: str, columns: Sequence[Values]) -> int:
        """Return how many rows a statement has written, made once for each."""
        with self.connection.cursor() as cursor:
            cursor.executemany(sql, list(zip(*columns, strict=True)))
            matched: int = cursor.rowcount
            return matched

    def writes(self) -> int | None:
        """In a transaction nobody else can: what it has read it would else lose."""
        if not self.connection.in_atomic_block:
            return None
        written: int = self.connection.connection.total_changes
        return written

    def matching(self, batch: Batch) -> list[int]:
        sql = f"SELECT 1 FROM {self.name} WHERE {self._condition(batch)}"
        rows = zip(*batch.keys, *batch.guards, strict=True)
        return [place for place, row in enumerate(rows) if self.execute(sql, row)]

    def _condition(self, batch: Batch) -> str:
        parts = [f"{self.quote(column)} = %s" for column in self.keys]
        parts += [
            f"{self.bytes_of(column, table=self.name)} IS %s"
            for column in batch.kind.guarded
        ]
        return " AND ".join(parts)
