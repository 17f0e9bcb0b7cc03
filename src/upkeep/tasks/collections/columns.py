"""The columns by which records can be walked, and the order that each gives them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import connections
from django.db.models import (
    DateTimeField,
    DecimalField,
    F,
    JSONField,
    Model,
    Q,
    QuerySet,
)
from django.db.models.expressions import Col
from django.db.models.functions.datetime import TruncBase

from upkeep.exceptions import InvalidCollection

if TYPE_CHECKING:
    from django.db.models import Field
    from django.db.models.expressions import OrderBy

# The digits of a decimal that SQLite, which keeps it as a float, gives back unchanged.
SQLITE_DIGITS = 15

# The name under which a value is fetched that the record itself does not have.
FETCHED = "_upkeep_key_"


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

    computed: bool
    """Whether the database computes the value, which Python may see rounded."""

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
        return (
            self.has_value(is_there=False) if value is None else Q(**{self.name: value})
        )

    def beyond(self, value: Any) -> Q:
        """Return the rows behind a value that have one themselves."""
        return Q(**{f"{self.name}__{'lt' if self.descending else 'gt'}": value})

    def up_to(self, value: Any) -> Q:
        """Return the rows that have a value which is not behind this one."""
        return Q(**{f"{self.name}__{'gte' if self.descending else 'lte'}": value})

    def has_value(self, *, is_there: bool) -> Q:
        """Return the rows with a value, or those without."""
        return Q(**{f"{self.name}__isnull": not is_there})


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
    expression = None if path else queryset.query.annotations[name]
    computed = expression is not None and not isinstance(expression, Col)
    target = path[-1] if expression is None else expression.output_field
    _refuse_unfit(queryset, name, target, alias, computed=computed)
    if computed:
        _refuse_other_zone(queryset, name, expression, alias)
    if len(path) == 1 and is_loaded(queryset, path[0]):
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
        computed=computed,
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
    queryset: QuerySet[Any],
    name: str,
    field: Field[Any, Any],
    alias: str,
    *,
    computed: bool,
) -> None:
    where = f"cursor_fields names {name!r} of {queryset.model._meta.label}, "
    if isinstance(field, JSONField):
        raise InvalidCollection(
            f"{where}a JSONField, which databases order each in a way of their own. "
            "Annotate the part that you mean, and name that."
        )
    if not isinstance(field, DecimalField) or connections[alias].vendor != "sqlite":
        return
    if computed:
        raise InvalidCollection(
            f"{where}a computed decimal, which SQLite rounds: the place could not be "
            "found again. Cast it to a FloatField()."
        )
    if (field.max_digits or SQLITE_DIGITS + 1) > SQLITE_DIGITS:
        raise InvalidCollection(
            f"{where}a decimal of more than {SQLITE_DIGITS} digits, which SQLite "
            "rounds: the place could not be found again. Walk by another field."
        )


def _refuse_other_zone(
    queryset: QuerySet[Any], name: str, expression: Any, alias: str
) -> None:
    """Refuse a moment cut off in a time zone that the database does not compare in."""
    ours = connections[alias].timezone_name
    if any(
        isinstance(each, TruncBase)
        and isinstance(each.output_field, DateTimeField)
        and each.get_tzname() not in (None, ours)
        for each in parts_of(expression)
    ):
        raise InvalidCollection(
            f"cursor_fields names {name!r} of {queryset.model._meta.label}, a moment "
            f"that is cut off in another time zone than {ours}, the one in which the "
            "database compares it. Walk by the moment itself, or by TruncDate(…)."
        )


def parts_of(expression: Any) -> Iterator[Any]:
    """Yield an expression and all that it is made of; conditions cannot flatten()."""
    yield expression
    for part in getattr(expression, "get_source_expressions", tuple)():
        yield from parts_of(part)


def is_loaded(queryset: QuerySet[Any], field: Field[Any, Any]) -> bool:
    """Tell whether only() and defer() let the records have the field."""
    names, are_deferred = queryset.query.deferred_loading
    if not are_deferred:  # only("author__name") has the records have their author.
        names = {name.partition("__")[0] for name in names}
    is_named = bool({field.name, field.attname} & set(names))
    return field.primary_key or is_named != are_deferred
