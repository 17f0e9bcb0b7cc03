"""What is in a database, to be compared with what is there later."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Self

from django.apps import apps
from django.db import connections, router
from django.db.models import Field, Model
from django.db.models.fields import AutoFieldMixin

Row = dict[str, Any]
Rows = dict[Any, Row]

# What runs and queues write is no effect of a task.
OURS = {"upkeep", "django_tasks_database"}


@dataclass(frozen=True, slots=True)
class Picture:
    """The rows of all models in a database, but those of Upkeep and of its queue."""

    tables: dict[type[Model], Rows]

    @classmethod
    def of(cls, alias: str, *, ignore: Collection[str] = ()) -> Self:
        """
        Read them all; `ignore` names fields to leave out, as `app_label.Model.field`.

        Fields with `auto_now` tell when a row was written, and are left out always.
        """
        ignored = {_field(name) for name in ignore}
        return cls({model: _read(model, alias, ignored) for model in _models_in(alias)})

    def since(self, before: Picture) -> Picture:
        """
        Return the same with new rows known by their order instead of by their keys.

        No rollback gives back a key that the database has counted, and so two runs
        that do the same give other keys to what they add.
        """
        names = {
            model: _new_names(model, rows, before.tables.get(model, {}))
            for model, rows in self.tables.items()
        }
        return Picture(
            {
                model: _by_their_names(model, rows, names)
                for model, rows in self.tables.items()
            }
        )

    def differences(self, later: Picture) -> list[str]:
        """Return a sentence for each row that is not the same in both."""
        return [
            f"{model._meta.label} {key} {what}"
            for model, rows in self.tables.items()
            for key, what in _changes(rows, later.tables.get(model, {}))
        ]


def _models_in(alias: str) -> Iterator[type[Model]]:
    tables = set(connections[alias].introspection.table_names())
    for model in apps.get_models(include_auto_created=True):
        options = model._meta
        if (
            not options.proxy
            and options.app_label not in OURS
            and options.db_table in tables
            and router.allow_migrate_model(alias, model)
        ):
            yield model


def _field(name: str) -> Field[Any, Any]:
    label, _, field = name.rpartition(".")
    found: Field[Any, Any] = apps.get_model(label)._meta.get_field(field)
    return found


def _read(model: type[Model], alias: str, ignored: set[Field[Any, Any]]) -> Rows:
    names = [
        field.attname
        for field in model._meta.local_concrete_fields
        if field not in ignored and not getattr(field, "auto_now", False)
    ]
    rows = model._base_manager.using(alias).order_by("pk")
    return {
        key: dict(zip(names, values, strict=True))
        for key, *values in rows.values_list("pk", *names)
    }


# Rows that are new

Names = dict[type[Model], dict[Any, str]]


def _new_names(model: type[Model], rows: Rows, before: Rows) -> dict[Any, str]:
    """
    Return what others are to call the rows that were not there before.

    Where keys are counted that is their order; where they are made up, as UUIDs are,
    nothing tells one from the other.
    """
    new = [key for key in rows if key not in before]
    if _is_counted(model._meta.pk):
        return {key: _number(index) for index, key in enumerate(new)}
    if _is_made_up(model._meta.pk):
        return dict.fromkeys(new, "(new)")
    return {}


def _number(index: int) -> str:
    return f"(new, no. {index + 1})"


def _by_their_names(model: type[Model], rows: Rows, names: Names) -> Rows:
    """Return rows that are called, and call others, by their names."""
    new = names[model]
    renamed = {
        key: _renamed(model, row, names, is_new=key in new) for key, row in rows.items()
    }
    known = {key: row for key, row in renamed.items() if key not in new}
    added = [row for key, row in renamed.items() if key in new]
    if not _is_counted(model._meta.pk):
        added.sort(key=repr)
    return known | {_number(index): row for index, row in enumerate(added)}


def _renamed(model: type[Model], row: Row, names: Names, *, is_new: bool) -> Row:
    """Return a row that refers to new rows by what they are called."""
    renamed: Row = {}
    for field in model._meta.local_concrete_fields:
        name = field.attname
        is_own = _is_made_up(field) or (field.primary_key and _is_counted(field))
        if name not in row or (is_new and is_own):
            continue  # It is left out, or was made up for this row.
        called: dict[Any, str] = {}
        if field.remote_field:
            target: Any = field.remote_field.model._meta.concrete_model
            called = names.get(target, {})
        renamed[name] = called.get(row[name], row[name]) if called else row[name]
    return renamed


def _is_counted(field: Any) -> bool:
    """Tell whether the database counts the values, here or in a parent's table."""
    return isinstance(_origin(field), AutoFieldMixin)


def _is_made_up(field: Any) -> bool:
    """Tell whether a new row has a value of its own each time, such as a UUID."""
    if field.primary_key:
        field = _origin(field)
    has_maker = field.has_default() and callable(field.default)
    return has_maker or getattr(field, "auto_now_add", False)


def _origin(field: Any) -> Any:
    """Return the field from which a key comes that is a key of another table."""
    while field.remote_field is not None:
        field = field.target_field
    return field


# Comparing


def _changes(before: Rows, after: Rows) -> Iterator[tuple[Any, str]]:
    for key in before.keys() | after.keys():
        if key not in after:
            yield key, "is gone"
        elif key not in before:
            yield key, f"was added: {_shortly(after[key])}"
        elif before[key] != after[key]:
            yield key, _changed(before[key], after[key])


def _changed(before: Row, after: Row) -> str:
    return ", ".join(
        f"{name}: {_short(before[name])} became {_short(after[name])}"
        for name in before
        if before[name] != after[name]
    )


def _shortly(row: Row) -> str:
    return ", ".join(f"{name}={_short(value)}" for name, value in row.items())


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
