"""A page of records, as the engine works on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.models import Model, QuerySet

from upkeep.execution.updates import Outcome, Updates


def nothing() -> None:
    """Do nothing."""


def work(
    queryset: QuerySet[Any],
    *fields: str,
    process: Callable[[Any], Any],
    meanwhile: Callable[[], Any] = nothing,
) -> Outcome:
    """Read a page, process each record, and write it after what others do meanwhile."""
    writer = Updates(queryset.model, fields, "default")
    records = list(writer.reading(queryset))
    sheets = writer.remember(records)
    for record in records:
        process(record)
    meanwhile()
    return writer.write(sheets)


def setter(**values: Any) -> Callable[[Model], None]:
    """Return a process() that sets fields."""

    def process(record: Model) -> None:
        for name, value in values.items():
            setattr(record, name, value)

    return process


def raw(model: type[Model], pk: Any, column: str) -> Any:
    """Return what a column holds, past all converters of Django and the driver."""
    return raws(model)[pk][column]


def raws(model: type[Model]) -> dict[Any, dict[str, Any]]:
    """Return what all rows hold, by their key and the names of the fields."""
    fields: Any = [each for each in model._meta.concrete_fields if not each.primary_key]
    key: Any = model._meta.pk
    quote = connection.ops.quote_name
    form = {
        "postgresql": "{}::text",
        "mysql": "HEX(CAST({} AS BINARY))",
        "sqlite": "typeof({0}) || quote({0})",
    }[connection.vendor]
    names = [field.attname for field in fields]
    held = ", ".join(form.format(quote(field.column)) for field in fields)
    keys = model.objects.order_by("pk").values_list("pk", flat=True)  # type: ignore[attr-defined]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {held} FROM {quote(model._meta.db_table)}"
            f" ORDER BY {quote(key.column)}"
        )
        return {
            pk: dict(zip(names, row, strict=True))
            for pk, row in zip(keys, cursor.fetchall(), strict=True)
        }


def put(model: type[Model], pk: Any, column: str, sql: str, *parameters: Any) -> None:
    """Write SQL into a column, as somebody does who knows nothing of Django."""
    field: Any = model._meta.get_field(column)
    key: Any = model._meta.pk
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {quote(model._meta.db_table)}"
            f" SET {quote(field.column)} = {sql} WHERE {quote(key.column)} = %s",
            [*parameters, pk],
        )
