"""Which fields of a model can be declared as updates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist

from upkeep.exceptions import InvalidTask

if TYPE_CHECKING:
    from django.db.models import Field, Model

# Where the fields are of which we know how they write. What they write is cast to the
# type of its column, so that they need no expression of their own for it.
_DJANGO = ("django.db.models.", "django.contrib.postgres.")
_EXPRESSIONS = ("get_placeholder", "get_placeholder_sql")


def declared_fields(model: type[Model], names: Sequence[str]) -> list[Field[Any, Any]]:
    """Return the fields of these names, or raise InvalidTask with what to do."""
    found = [_field(model, name) for name in names]
    if refusal := next(_refusals(model, found), None):
        raise InvalidTask(f"updates of {model._meta.label} {refusal}.")
    return found


def _field(model: type[Model], name: str) -> Any:
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist:
        names = [each.name for each in model._meta.concrete_fields]
        raise InvalidTask(
            f"updates names {name!r}, but {model._meta.label} has no such field. It "
            f"has: {', '.join(names)}."
        ) from None


def _refusals(model: type[Model], fields: Sequence[Any]) -> Iterator[str]:
    if any(
        each.model._meta.db_table != model._meta.db_table
        for each in model._meta.concrete_fields
    ):
        yield (
            "cannot be saved in one statement, for its fields lie in several tables: "
            "walk the parent model, or save() in process() and leave updates out"
        )
    for field in fields:
        name = f"names {field.name!r}, "
        if not field.concrete or field.many_to_many or field.column is None:
            yield f"{name}which has no column of its own: change it in process()"
        elif field.primary_key or field in model._meta.pk_fields:
            yield (
                f"{name}of the primary key, by which a row is found: it cannot change"
            )
        elif field.generated:
            yield f"{name}which the database computes itself: leave it out"
        elif _writes_by_expression(field):
            yield (
                f"{name}which is written by an expression of its own: save() in "
                "process() and leave updates out"
            )


def _writes_by_expression(field: Any) -> bool:
    methods = [getattr(type(field), name, None) for name in _EXPRESSIONS]
    return any(each and not each.__module__.startswith(_DJANGO) for each in methods)


def is_steady(field: Field[Any, Any]) -> bool:
    """Tell whether a field is known to write a value in the same way each time."""
    inner = getattr(field, "base_field", field)
    if inner is not field:
        return is_steady(inner)
    return type(field).__module__.startswith(_DJANGO)
