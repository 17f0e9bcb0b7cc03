"""
The order of a walk over records, and what lies behind a place in it.

A place is the values of the key's columns at a record. What lies behind it is asked for
as one range of an index after the other: first the rows that tie with all columns but
the last, then with all but the last two, and so on. As one condition it would be slow
somewhere: MariaDB scans the table for row values, and PostgreSQL for a chain of ORs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import connections
from django.db.models import DecimalField, F, JSONField, Model, Q, QuerySet

from upkeep.exceptions import InvalidCollection
from upkeep.tasks.values import to_json

if TYPE_CHECKING:
    from django.db.models import Field
    from django.db.models.expressions import OrderBy

# The digits of a decimal that SQLite, which keeps it as a float, gives back unchanged.
SQLITE_DIGITS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a key, and how the rows are ordered by it."""

    name: str
    """As filter() takes it: `created_at`, `author__name`, or an annotation."""

    attribute: str
    """Where a record has the value."""

    descending: bool
    nullable: bool

    nulls_first: bool
    """Whether the database has the rows without a value before the others."""

    @property
    def spelled(self) -> str:
        """The column as `cursor_fields` has it."""
        return f"-{self.name}" if self.descending else self.name

    @property
    def is_annotated(self) -> bool:
        """Tell whether the value must be fetched beside the record."""
        return self.attribute.startswith(FETCHED)

    @property
    def order(self) -> OrderBy:
        """The column for order_by(), which never asks the order of another model."""
        return F(self.name).desc() if self.descending else F(self.name).asc()

    def equal(self, value: Any) -> Q:
        """Return the rows that tie with a value."""
        return Q(
            **{f"{self.name}__isnull": True} if value is None else {self.name: value}
        )

    def beyond(self, value: Any) -> Iterator[Q]:
        """Yield the rows behind a value, in order."""
        if value is not None:
            yield Q(**{f"{self.name}__{'lt' if self.descending else 'gt'}": value})
        without_value = value is None
        if self.nullable and without_value == self.nulls_first:
            yield Q(**{f"{self.name}__isnull": not without_value})


# The name under which a value is fetched that the record itself does not have.
FETCHED = "_upkeep_key_"


class Keyset:
    """The columns by which the records of a QuerySet are walked; the last is unique."""

    def __init__(
        self, queryset: QuerySet[Any], fields: Sequence[str], *, alias: str
    ) -> None:
        self.columns = columns_of(queryset, fields, alias=alias)

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

    def behind(self, values: Sequence[Any]) -> Iterator[Q]:
        """Yield what lies behind a place, in order, each a range of an index."""
        for depth in reversed(range(len(self.columns))):
            ties = [
                column.equal(value)
                for column, value in zip(
                    self.columns[:depth], values[:depth], strict=True
                )
            ]
            for beyond in self.columns[depth].beyond(values[depth]):
                yield reduce(and_, [*ties, beyond])

    def up_to(self, value: Any) -> Q:
        """Return what does not lie behind a value of the first column."""
        column = self.columns[0]
        within = Q(**{f"{column.name}__{'gte' if column.descending else 'lte'}": value})
        if column.nullable and column.nulls_first:
            within |= Q(**{f"{column.name}__isnull": True})
        return within

    def to_json(self, values: Sequence[Any]) -> list[Any]:
        """Return a place as it is stored. Raises InvalidCollection."""
        try:
            return [to_json(value) for value in values]
        except TypeError as error:
            raise InvalidCollection(
                f"A walk by {', '.join(self.spelled)} cannot save its place: {error}"
            ) from error


def columns_of(
    queryset: QuerySet[Any], fields: Sequence[str], *, alias: str
) -> list[Column]:
    """
    Return the columns of a key, with those of the primary key behind them.

    Raises InvalidCollection for a name that is none of the QuerySet's columns.
    """
    key_names = [field.name for field in queryset.model._meta.pk_fields]
    columns: list[Column] = []
    for spelled in [*fields, *key_names]:
        name, descending = spelled.removeprefix("-"), spelled.startswith("-")
        for each in key_names if name == "pk" else [name]:
            column = _column(
                queryset, each, len(columns), descending=descending, alias=alias
            )
            if column.name not in [known.name for known in columns]:
                columns.append(column)
    return columns


def _column(
    queryset: QuerySet[Any], name: str, place: int, *, descending: bool, alias: str
) -> Column:
    path = _path(queryset, name)
    target = path[-1] if path else None
    if target is not None:
        _refuse_unfit(queryset, name, target, alias)
    if len(path) == 1 and _is_loaded(queryset, path[0]):
        name = attribute = path[0].attname
    else:
        attribute = f"{FETCHED}{place}" if path else name
    # PostgreSQL takes NULL for the greatest value, MariaDB and SQLite for the least.
    null_is_greatest = connections[alias].vendor == "postgresql"
    return Column(
        name=name,
        attribute=attribute,
        descending=descending,
        nullable=not path or any(field.null for field in path),
        nulls_first=null_is_greatest == descending,
    )


def _path(queryset: QuerySet[Any], name: str) -> list[Field[Any, Any]]:
    """Return the fields that lead to a column; none for an annotation."""
    if name in queryset.query.annotations:
        return []
    model: type[Model] | None = queryset.model
    path: list[Any] = []
    try:
        for part in name.split("__"):
            if model is None:
                raise FieldDoesNotExist
            field: Any = model._meta.pk if part == "pk" else model._meta.get_field(part)
            path.append(field)
            model = field.related_model
        _refuse_what_is_no_column(queryset, name, path)
    except (FieldDoesNotExist, FieldError) as error:
        raise InvalidCollection(
            f"cursor_fields names {name!r}, but {queryset.model._meta.label} has no "
            f"such field. It has: {', '.join(_names(queryset))}."
        ) from error
    return path


def _refuse_what_is_no_column(
    queryset: QuerySet[Any], name: str, path: Sequence[Any]
) -> None:
    for field in path:
        if field.one_to_many or field.many_to_many:
            raise InvalidCollection(
                f"cursor_fields names {name!r}, which leads from one "
                f"{queryset.model._meta.label} to many rows: a walk needs one value "
                "for each record. Annotate it, for example with Max(…), and name that."
            )
        if not field.concrete and not field.one_to_one:
            raise FieldDoesNotExist
    if not getattr(path[-1], "column", None):
        raise FieldDoesNotExist


def _names(queryset: QuerySet[Any]) -> list[str]:
    fields = [field.name for field in queryset.model._meta.concrete_fields]
    return [*fields, *queryset.query.annotations]


def _refuse_unfit(
    queryset: QuerySet[Any], name: str, field: Field[Any, Any], alias: str
) -> None:
    where = f"cursor_fields names {name!r} of {queryset.model._meta.label}, "
    if isinstance(field, JSONField):
        raise InvalidCollection(
            f"{where}a JSONField, which databases order each in a way of their own. "
            "Annotate the part that you mean, and name that."
        )
    if (
        isinstance(field, DecimalField)
        and connections[alias].vendor == "sqlite"
        and (field.max_digits or SQLITE_DIGITS + 1) > SQLITE_DIGITS
    ):
        raise InvalidCollection(
            f"{where}a decimal of more than {SQLITE_DIGITS} digits, which SQLite "
            "rounds: the place could not be found again. Walk by another field."
        )


def _is_loaded(queryset: QuerySet[Any], field: Field[Any, Any]) -> bool:
    """Tell whether only() and defer() let the records have the field."""
    names, are_deferred = queryset.query.deferred_loading
    is_named = bool({field.name, field.attname} & set(names))
    return field.primary_key or is_named != are_deferred


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
