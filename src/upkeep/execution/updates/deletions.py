"""Which models have rows that one statement may delete, and nobody hears of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Model, deletion
from django.db.models.signals import post_delete, pre_delete

from upkeep.exceptions import InvalidTask

# From Django 6.1 on, a database may see to the rows that refer to another.
_LEFT_TO_DATABASE = tuple(
    getattr(deletion, name, deletion.DO_NOTHING)
    for name in ("DO_NOTHING", "DB_CASCADE", "DB_SET_NULL", "DB_SET_DEFAULT")
)


def refuse_followers(model: type[Model]) -> None:
    """Raise InvalidTask where delete() would do more than to delete the row."""
    if more := next(_more_than_the_row(model), None):
        raise InvalidTask(
            f"deletes: {model._meta.label} {more}, which one statement for a page of "
            "rows cannot see to: call record.delete() in process(), and leave deletes "
            "out."
        )


def _more_than_the_row(model: type[Model]) -> Iterator[str]:
    meta = model._meta
    if any(each._meta.parents for each in (model, *meta.get_parent_list())):
        yield "lies in several tables"
    for name, signal in [("pre_delete", pre_delete), ("post_delete", post_delete)]:
        if signal.has_listeners(model):
            yield f"has receivers of {name}"
    for field in meta.private_fields:
        if hasattr(field, "bulk_related_objects"):  # A GenericRelation.
            yield f"has related objects by {field.name}"
    for relation in meta.get_fields(include_hidden=True):
        if _is_followed(relation):
            yield f"is what {_label(relation)} refers to"


def _is_followed(relation: Any) -> bool:
    """Tell whether rows refer to this one, and the ORM sees to them."""
    if not relation.auto_created or relation.concrete:
        return False
    if not (relation.one_to_one or relation.one_to_many):
        return False
    if getattr(relation, "parent_link", False):
        return True
    return relation.on_delete not in _LEFT_TO_DATABASE


def _label(relation: Any) -> str:
    return f"{relation.related_model._meta.label}.{relation.field.name}"
