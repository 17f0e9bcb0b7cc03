"""Tables of MariaDB and MySQL."""

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

    from upkeep.execution.updates.changes import Batch, Values

INTEGRAL = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
TEXTUAL = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
BINARY = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob"})
BINARY |= {"longblob"}

SIZED = frozenset({str, bytes})


class MySQLTable(Table):
    """
    A table of MariaDB or MySQL, joined to a list of rows.

    `STRAIGHT_JOIN` has the list come first, so that each row is found by its key. The
    list begins with an empty SELECT of the table's own columns: from it the list has
    their types, where a first row that is empty would leave them to chance.
    """

    known: ClassVar[FieldClasses] = INTEGERS | TEXTS | {models.BinaryField}

    @cached_property
    def placeholders(self) -> dict[tuple[type, ...], str]:
        """The rows of a list that were met so far, by the types of their values."""
        return {}

    @cached_property
    def described(self) -> dict[str, tuple[str, str | None, str | None]]:
        """The type that each column has in truth, with its character set, collation."""
        rows = self.execute(
            "SELECT LOWER(column_name), LOWER(data_type),"
            " character_set_name, collation_name"
            " FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND table_name = %s",
            [self.model._meta.db_table],
        )
        return {
            name: (kind, charset, collation) for name, kind, charset, collation in rows
        }

    def type_of(self, field: Field[Any, Any]) -> str:
        """Return the type that a column has in truth."""
        return self.described[str(field.column).lower()][0]

    @cached_property
    def most_bytes(self) -> int:
        """How long a statement may be, with some room for what is not values."""
        ((size,),) = self.execute("SELECT @@max_allowed_packet", [])
        return int(size) // 2

    def knows(self, field: Field[Any, Any]) -> bool:
        kinds = INTEGRAL | TEXTUAL | BINARY
        return super().knows(field) and self.type_of(field) in kinds

    def template(self, field: Field[Any, Any]) -> str:
        kind = self.type_of(field)
        if not self.knows(field):
            # As a text, a float has six digits, which are not all.
            digits = {"float": "CAST(%(expressions)s + 0E0 AS BINARY)"}
            digits["json"] = "CAST(CAST(%(expressions)s AS CHAR) AS BINARY)"
            return digits.get(kind, "CAST(%(expressions)s AS BINARY)")
        if kind in TEXTUAL:
            # To a collation, case, accents and spaces at the end are often nothing.
            return "CAST(CONVERT(%(expressions)s USING utf8mb4) AS BINARY)"
        return "%(expressions)s"

    def guards(self, values: Values) -> Values:
        return [each.encode() if type(each) is str else each for each in values]

    def portions(self, batch: Batch) -> Iterator[Batch]:
        if sum(map(_weight, batch.columns)) <= self.most_bytes:
            yield batch  # Nearly always.
            return
        start, room = 0, self.most_bytes
        for place, row in enumerate(zip(*batch.columns, strict=True)):
            weight = _weight(row)
            if start < place and weight > room:
                yield batch.having(between(start, place))
                start, room = place, self.most_bytes
            room -= weight
        yield batch.having(between(start, len(batch)))

    def update(self, batch: Batch) -> int:
        source, parameters = self._source(batch)
        _keys, values, _guards = names_of(batch, len(self.keys))
        assigned = ", ".join(
            f"t.{column.quoted} = v.{name}"
            for column, name in zip(batch.kind.changed, values, strict=True)
        )
        sql = f"UPDATE {source} SET {assigned} WHERE {self._guard(batch)}"
        return self.count(sql, parameters)

    def delete(self, batch: Batch) -> int:
        source, parameters = self._source(batch)
        sql = f"DELETE t FROM {source} WHERE {self._guard(batch)}"
        return self.count(sql, parameters)

    def matching(self, batch: Batch) -> list[int]:
        source, parameters = self._source(batch, places=range(len(batch)))
        sql = f"SELECT v.place FROM {source} WHERE {self._guard(batch)} FOR UPDATE"
        return [place for (place,) in self.execute(sql, parameters)]

    def _guard(self, batch: Batch) -> str:
        _keys, _values, guards = names_of(batch, len(self.keys))
        parts = [
            f"{self.bytes_of(column, table='t')} <=> v.{name}"
            for column, name in zip(batch.kind.guarded, guards, strict=True)
        ]
        return " AND ".join(parts) or "1"

    def _source(
        self, batch: Batch, *, places: Sequence[int] = ()
    ) -> tuple[str, list[Any]]:
        """
        Return the changes as a table `v` with the table itself, and parameters.

        With places, the table has them as its first column.
        """
        keys, _values, _guards = names_of(batch, len(self.keys))
        joined = " AND ".join(
            f"t.{self.quote(column)} = {self._in_charset_of(column, f'v.{name}')}"
            for column, name in zip(self.keys, keys, strict=True)
        )
        head, columns = self._head(batch), batch.columns
        if places:
            head, columns = f"0 AS place, {head}", [places, *columns]
        rows = list(zip(*columns, strict=True))
        source = (
            f"(SELECT {head} FROM {self.name} AS t WHERE 0"
            f" UNION ALL VALUES {', '.join(self._listed(columns, rows))}) AS v"
            f" STRAIGHT_JOIN {self.name} AS t ON {joined}"
        )
        return source, list(chain.from_iterable(rows))

    def _listed(
        self, columns: Sequence[Values], rows: Sequence[tuple[Any, ...]]
    ) -> Sequence[str]:
        """Return what stands for each row in a list."""
        if all(len(set(map(type, column))) == 1 for column in columns):
            return [self._placeholders(tuple(map(type, rows[0])))] * len(rows)
        return [self._placeholders(tuple(map(type, row))) for row in rows]

    def _placeholders(self, types: tuple[type, ...]) -> str:
        """Return what stands for a row of values of these types."""
        if (placeholders := self.placeholders.get(types)) is None:
            each = ["_binary %s" if kind is bytes else "%s" for kind in types]
            row_name = "" if self.connection.mysql_is_mariadb else "ROW"
            placeholders = f"{row_name}({', '.join(each)})"
            self.placeholders[types] = placeholders
        return placeholders

    def _head(self, batch: Batch) -> str:
        keys, values, guards = names_of(batch, len(self.keys))
        columns = [*self.keys, *(str(each.field.column) for each in batch.kind.changed)]
        expressions = list(map(self._in_any_charset, columns))
        expressions += [self.bytes_of(each, table="t") for each in batch.kind.guarded]
        named = zip(expressions, [*keys, *values, *guards], strict=True)
        return ", ".join(f"{sql} AS {name}" for sql, name in named)

    def _in_any_charset(self, column: str) -> str:
        """Return a column so that any text can be listed below it."""
        expression = f"t.{self.quote(column)}"
        if self._has_own_charset(column):
            return f"CONVERT({expression} USING utf8mb4)"
        return expression

    def _in_charset_of(self, column: str, expression: str) -> str:
        """Return a key as it must be for the index of a column to find it."""
        if not self._has_own_charset(column):
            return expression
        _kind, charset, collation = self.described[column.lower()]
        return f"CONVERT({expression} USING {charset}) COLLATE {collation}"

    def _has_own_charset(self, column: str) -> bool:
        return self.described[column.lower()][1] not in (None, "utf8mb4")


def _weight(values: Values) -> int:
    """Return how long values can be in a statement, at most."""
    sized = values
    if not SIZED.issuperset(map(type, values)):
        sized = [each for each in values if isinstance(each, str | bytes)]
    return 4 * sum(map(len, sized)) + 40 * len(values)
