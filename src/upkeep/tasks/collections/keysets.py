"""
The order of a walk over records, and what lies behind a place in it.

A place is the values of the key's columns at a record. What lies behind it is asked for
as one range of an index after the other: first the rows that tie with all columns but
the last, then with all but the last two, and so on. As one condition it would be slow
somewhere: MariaDB scans the table for row values, and PostgreSQL for a chain of ORs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.models import BooleanField, F, Func, Q, QuerySet, Value
from django.db.models.lookups import Exact, GreaterThan, Lookup

from upkeep.exceptions import InvalidCollection
from upkeep.tasks.collections.columns import columns_of
from upkeep.tasks.values import to_json

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import Field
    from django.db.models.expressions import OrderBy
    from django.db.models.sql.compiler import SQLCompiler, _AsSqlType

# What lies in it, and its order, where that is not the one of the walk.
Range = tuple[Q, "list[OrderBy] | None"]


# Note [The index of the walk]. Of a column that is equal to a value PostgreSQL takes no
# heed in ORDER BY, and then any index that begins with the next column gives the right
# order, too. For ties that is the one of the primary key, and to look there for rows
# that tie may mean to read the table. Both expressions say the same without "equal",
# so that only the index of the walk will do: Pair where two columns go the same way,
# and Tie, for the first column alone, where they do not. (Behind an ANY in a further
# column no index is in order.)


class Tie(Exact):
    """Equality that PostgreSQL does not call so: see Note [The index of the walk]."""

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> _AsSqlType:
        """Return SQL that names an array of one value."""
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        kind = _without_limits(self.lhs.output_field.cast_db_type(connection))
        sql = f"{left} = ANY (ARRAY[{right}]::{kind}[])"
        return sql, (*left_params, *right_params)


def _without_limits(kind: str | None) -> str:
    """Return a type that cuts off nothing: what is computed may not keep its limits."""
    return re.sub(r"^(numeric|varchar)\(.*\)$", r"\1", str(kind))


class Pair(Func):
    """Two columns beyond two values, as one row: see Note [The index of the walk]."""

    output_field = BooleanField()

    def __init__(self, *lookups: Lookup[Any], descending: bool = False) -> None:
        super().__init__(*lookups)
        self.descending = descending

    def as_sql(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        *args: Any,
        **extra_context: Any,
    ) -> _AsSqlType:
        """Return SQL that compares two rows."""
        lookups: list[Any] = self.get_source_expressions()
        left = [lookup.process_lhs(compiler, connection) for lookup in lookups]
        right = [lookup.process_rhs(compiler, connection) for lookup in lookups]
        sign = "<" if self.descending else ">"
        rows = [", ".join(sql for sql, _ in side) for side in (left, right)]
        params = [value for _, params in [*left, *right] for value in params]
        return f"({rows[0]}) {sign} ({rows[1]})", tuple(params)


class Variable(Value):
    """A value in a query that is built once, and asked anew with each value it has."""

    def __init__(self, output_field: Field[Any, Any]) -> None:
        self._held: list[Any] = []  # A query has a copy of us, which holds the same.
        super().__init__(None, output_field=output_field)

    @property
    def value(self) -> Any:
        """The value that the query is asked with next."""
        return self._held[0]

    @value.setter
    def value(self, value: Any) -> None:
        self._held[:] = [value]


class Keyset:
    """The columns by which the records of a QuerySet are walked; the last is unique."""

    def __init__(
        self, queryset: QuerySet[Any], fields: Sequence[str], *, alias: str
    ) -> None:
        self.columns = columns_of(queryset, fields, alias=alias)
        self.is_postgresql = connections[alias].vendor == "postgresql"

    @property
    def spelled(self) -> list[str]:
        """The columns as `cursor_fields` has them, those that were added among them."""
        return [column.spelled for column in self.columns]

    @property
    def order(self) -> list[OrderBy]:
        """What order_by() takes."""
        return [column.order for column in self.columns]

    @property
    def fetched(self) -> dict[str, F]:
        """What annotate() takes: the values that the records themselves do not have."""
        return {
            column.attribute: F(column.name)
            for column in self.columns
            if column.is_annotated
        }

    @property
    def is_computed(self) -> bool:
        """Whether the database computes a value by which the records are walked."""
        return any(column.computed for column in self.columns)

    def at(self, values: Sequence[Any]) -> Q:
        """Return the one row that a place is of."""
        return self._ties(values)

    def behind(self, values: Sequence[Any]) -> Iterator[Range]:
        """Yield what lies behind a place, in order, each a range of an index."""
        for depth, value in reversed(list(enumerate(values))):
            column = self.columns[depth]
            if value is not None:
                yield self._range(self._beyond(values[: depth + 1]), constant=depth)
            if not column.nullable:
                continue
            ties = self._ties(values[:depth])
            if value is None and column.nulls_first:
                yield self._range(
                    ties & column.has_value(is_there=True), constant=depth
                )
            if value is not None and not column.nulls_first:
                rest = ties & column.has_value(is_there=False)
                yield self._range(rest, constant=depth + 1)

    def _ties(self, values: Sequence[Any]) -> Q:
        """Return the rows that tie with the values of the first columns."""
        pairs = list(zip(self.columns, values, strict=False))
        ties = [column.equal(value) for column, value in pairs]
        if self.is_postgresql and ties and values[0] is not None:
            ties[0] = Q(Tie(F(self.columns[0].name), values[0]))
        return reduce(and_, ties, Q())

    def _beyond(self, values: Sequence[Any]) -> Q:
        """Return the rows that tie with all values but the last, and lie beyond it."""
        *before, column = self.columns[: len(values)]
        if not before:
            return column.beyond(values[-1])
        last = before[-1]
        same_way = last.descending == column.descending
        if not (self.is_postgresql and same_way) or values[-2] is None:
            return self._ties(values[:-1]) & column.beyond(values[-1])
        lookups = [
            GreaterThan(F(each.name), value)
            for each, value in zip((last, column), values[-2:], strict=True)
        ]
        pair = Q(Pair(*lookups, descending=column.descending))
        return self._ties(values[:-2]) & pair & last.up_to(values[-2])

    def _range(self, condition: Q, *, constant: int) -> Range:
        """
        Return rows of which so many columns are the same in all.

        MariaDB must not be asked to order by these: by a descending column that is
        empty in all rows it sorts them, although the index has them in order.
        PostgreSQL must be: it would not know the index by the other columns alone.
        """
        if self.is_postgresql or not constant:
            return condition, None
        return condition, [column.order for column in self.columns[constant:]]

    def up_to(self, value: Any) -> Q:
        """Return what does not lie behind a value of the first column."""
        column = self.columns[0]
        within = column.up_to(value)
        if column.nullable and column.nulls_first:
            within |= column.has_value(is_there=False)
        return within

    def to_json(self, values: Sequence[Any]) -> list[Any]:
        """Return a place as it is stored. Raises InvalidCollection."""
        try:
            return [to_json(value) for value in values]
        except TypeError as error:
            raise InvalidCollection(
                f"A walk by {', '.join(self.spelled)} cannot save its place: {error}"
            ) from error


def is_ordered_by(queryset: QuerySet[Any], keyset: Keyset, *, alias: str) -> bool:
    """Tell whether a QuerySet asks for no order, or for that of the walk."""
    query = queryset.query
    names = [each for each in query.order_by if isinstance(each, str)]
    if query.extra_order_by or not query.standard_ordering:
        return False
    try:
        asked = columns_of(queryset, names, alias=alias)
    except InvalidCollection:
        return False
    is_same = [each.spelled for each in asked] == keyset.spelled
    return not query.order_by or (is_same and len(names) == len(query.order_by))
