"""Tables of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models

from upkeep.execution.updates.changes import between
from upkeep.execution.updates.tables.base import (
    INTEGERS,
    TEXTS,
    FieldClasses,
    Table,
    names_of,
)

if TYPE_CHECKING:
    from django.db.models import Field

    from upkeep.execution.updates.changes import Batch

# Types of which two values are equal only if they are the same.
PLAIN = frozenset({"smallint", "integer", "bigint", "boolean", "bytea", "uuid", "date"})
PLAIN |= {f"{name} without time zone" for name in ("time", "timestamp")}
PLAIN |= {"timestamp with time zone"}

# Texts may be equal by their collation, or as citext, and still be different.
TEXTUAL = frozenset({"text", "character varying", "citext"})

MOST_PARAMETERS = 65_535


class PostgreSQLTable(Table):
    """
    A table of PostgreSQL, written by `UPDATE … FROM unnest(…)`.

    Each parameter is a column of values: the statement is the same for each page, and
    is half again as fast as with a list of rows. unnest() makes one row of each element
    of an array, so columns of arrays need that list.
    """

    known: ClassVar[FieldClasses] = (
        INTEGERS
        | TEXTS
        | {models.BinaryField, models.BooleanField, models.UUIDField}
        | {models.DateField, models.DateTimeField, models.TimeField}
    )

    @cached_property
    def types(self) -> dict[str, str]:
        """
        The types that the columns have in truth, which need not be those of the model.

        They come without lengths: a cast to varchar(50) would cut off in silence what
        is refused when it is assigned.
        """
        rows = self.execute(
            "SELECT attname, format_type(atttypid, -1) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [self.name],
        )
        return dict(rows)

    def knows(self, field: Field[Any, Any]) -> bool:
        return super().knows(field) and self.types[str(field.column)] in PLAIN | TEXTUAL

    def template(self, field: Field[Any, Any]) -> str:
        if self.knows(field) and self.types[str(field.column)] in PLAIN:
            return "%(expressions)s"
        return '%(expressions)s::text COLLATE "C"'

    def literal(self, value: Any) -> Any:
        return self.connection.ops.compose_sql("%s", [value])

    def portions(self, batch: Batch) -> Iterator[Batch]:
        size = MOST_PARAMETERS // (len(batch.columns) + 1)
        if len(batch) <= size:
            yield batch
            return
        for start in range(0, len(batch), size):
            yield batch.having(between(start, start + size))

    def update(self, batch: Batch) -> int:
        source, parameters = self._source(batch)
        _keys, values, _guards = names_of(batch, len(self.keys))
        assigned = ", ".join(
            f"{column.quoted} = v.{name}"
            for column, name in zip(batch.kind.changed, values, strict=True)
        )
        return self.count(
            f"UPDATE {self.name} AS t SET {assigned} FROM {source}"
            f" WHERE {self._condition(batch)}",
            parameters,
        )

    def delete(self, batch: Batch) -> int:
        source, parameters = self._source(batch)
        return self.count(
            f"DELETE FROM {self.name} AS t USING {source}"
            f" WHERE {self._condition(batch)}",
            parameters,
        )

    def matching(self, batch: Batch) -> list[int]:
        source, parameters = self._source(batch, places=range(len(batch)))
        rows = self.execute(
            f"SELECT v.place FROM {self.name} AS t, {source}"
            f" WHERE {self._condition(batch)} FOR UPDATE OF t",
            parameters,
        )
        return [place for (place,) in rows]

    def _condition(self, batch: Batch) -> str:
        keys, _values, guards = names_of(batch, len(self.keys))
        parts = [
            f"t.{self.quote(column)} = v.{name}"
            for column, name in zip(self.keys, keys, strict=True)
        ]
        parts += [
            f"{self.bytes_of(column, table='t')} IS NOT DISTINCT FROM v.{name}"
            for column, name in zip(batch.kind.guarded, guards, strict=True)
        ]
        return " AND ".join(parts)

    def _source(
        self, batch: Batch, *, places: Sequence[int] = ()
    ) -> tuple[str, Sequence[Any]]:
        """Return the changes as a table `v`, with their places, and its parameters."""
        keys, values, guards = names_of(batch, len(self.keys))
        names = [*keys, *values, *guards]
        types = list(self._types(batch))
        columns = list(map(list, batch.columns))
        if places:
            names, types = ["place", *names], ["integer", *types]
            columns = [list(places), *columns]
        listed = f"AS v ({', '.join(names)})"
        if all(map(_can_be_unnested, columns, types)):
            arrays = ", ".join(f"%s::{each}[]" for each in types)
            return f"unnest({arrays}) {listed}", columns
        row = f"({', '.join(f'%s::{each}' for each in types)})"
        rows = ", ".join([row] * len(batch))
        parameters = list(chain.from_iterable(zip(*columns, strict=True)))
        return f"(VALUES {rows}) {listed}", parameters

    def _types(self, batch: Batch) -> Iterator[str]:
        for column in self.keys:
            yield self.types[column]
        for changed in batch.kind.changed:
            yield self.types[str(changed.field.column)]
        for guarded in batch.kind.guarded:
            plain = self.template(guarded.field) == "%(expressions)s"
            yield self.types[str(guarded.field.column)] if plain else "text"


def _can_be_unnested(values: Sequence[Any], type_name: str) -> bool:
    """Tell whether values can be a parameter together, and come out one by one."""
    kinds = set(map(type, values)) - {type(None)}
    is_nested = type_name.endswith("[]") or not kinds.isdisjoint({list, tuple, dict})
    return len(kinds) <= 1 and not is_nested
