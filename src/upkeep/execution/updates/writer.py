"""The writer of declared updates: what a page was, what `process` made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections, transaction
from django.db.models import BinaryField, F, Func, Model, QuerySet

from upkeep import databases
from upkeep.exceptions import InvalidUpdate
from upkeep.execution.updates.changes import Batch, Change, Values, batches_of
from upkeep.execution.updates.columns import IMMUTABLE, Column
from upkeep.execution.updates.fields import declared_fields
from upkeep.execution.updates.shapes import Shape
from upkeep.execution.updates.swaps import swaps_told
from upkeep.execution.updates.tables import table_of
from upkeep.execution.updates.tables.base import is_integer
from upkeep.tasks.collections.columns import is_loaded

Snapshot = list[Values]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a page: how many records, and the keys of those in conflict."""

    changed: int
    unchanged: int
    conflicts: list[Any]
    """Records that were changed or deleted since they were read; nothing of them is
    written."""


class Updates:
    """
    Saves the declared fields of records, where nobody else has changed these.

    `reading` a QuerySet once, then for each page: `remember`, process, `write`. Raises
    InvalidTask for fields that cannot be declared.
    """

    def __init__(self, model: type[Model], fields: Sequence[str], alias: str) -> None:
        declared = declared_fields(model, fields)
        self.model = model
        self.alias = alias
        self.table = table_of(model, alias)
        columns = enumerate(model._meta.concrete_fields)
        self.columns = tuple(Column(field, n, self.table) for n, field in columns)
        self.declared = frozenset(
            each for each in self.columns if each.field in declared
        )
        self.stamps = [each for each in self.columns if _is_stamp(each)]
        keys = model._meta.pk_fields
        self.keys = [each for each in self.columns if each.field in keys]
        self.changeable = [each for each in self.columns if not each.is_known]
        self.shapes: dict[tuple[str, ...], Shape] = {}

    def reading(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return a QuerySet whose records bring along what their rows are known by."""
        columns = [each for each in self.changeable if is_loaded(queryset, each.field)]
        known_by: QuerySet[Any] = queryset.annotate(
            **{each.memory: self._bytes(each) for each in columns}
        )
        return known_by

    def again(self, queryset: QuerySet[Any], keys: Sequence[Any]) -> QuerySet[Any]:
        """
        Return the records that were in conflict, as they are now, and still wanted.

        In a transaction they are locked: nobody changes them a second time, and MariaDB
        reads what is there and not what was there when the transaction began.
        """
        features = connections[self.alias].features
        found = self.reading(queryset.filter(pk__in=keys))
        can_lock = features.has_select_for_update and queryset.query.group_by is None
        if not can_lock or not connections[self.alias].in_atomic_block:
            return found
        return found.select_for_update(
            of=("self",) if features.has_select_for_update_of else ()
        )

    def remember(self, records: Sequence[Model]) -> Snapshot:
        """Return what records are before `process` has them."""
        snapshot = [record.__dict__.copy() for record in records]
        for column in self.changeable:
            name = column.attribute
            for before in snapshot:
                if type(before.get(name)) not in IMMUTABLE:
                    before[name] = column.kept(before[name])
        return snapshot

    def change(self, record: Model, before: Values) -> Change | None:
        """
        Return what `process` changed of a record, if it did.

        Raises InvalidUpdate for a change that would be lost. May be called right after
        `process`, so that an error is certain to be of this record.
        """
        shape = self._shape(record, before)
        if record._state.fields_cache:
            # A related object may have got its key when it was saved, behind the field.
            record._prepare_related_fields_for_save(  # type: ignore[attr-defined]  # noqa: SLF001 - as bulk_update() does
                operation_name="save"
            )
        changed = shape.touched(record, before)
        if not changed:
            return None
        if not self.declared.issuperset(changed):
            raise self._is_undeclared(record, changed)
        kind = shape.kind(changed, self.stamps)
        row = [each.key(before[each.attribute]) for each in self.keys]
        row += [each.saved(record) for each in kind.changed]
        row += self.table.guards(shape.guards(before))
        return Change(record, before, kind, tuple(row))

    def write(self, records: Sequence[Model], snapshot: Snapshot) -> Outcome:
        """Write what `process` changed of records, all in one transaction."""
        pairs = zip(records, snapshot, strict=True)
        found = [self.change(record, before) for record, before in pairs]
        changes = [change for change in found if change is not None]
        conflicts = self.save(changes)
        return Outcome(
            changed=len(changes) - len(conflicts),
            unchanged=len(records) - len(changes),
            conflicts=conflicts,
        )

    def save(self, changes: Sequence[Change]) -> list[Any]:
        """Write changes, and return the keys of those in conflict."""
        if not changes:
            return []
        conflicts: list[Change] = []
        with databases.writing(self.alias), swaps_told(changes):
            for batch in batches_of(changes):
                for portion in self.table.portions(batch):
                    conflicts += self._write(portion)
        return [change.record.pk for change in conflicts]

    def _bytes(self, column: Column) -> Func:
        return Func(
            F(column.attribute),
            template=self.table.template(column.field),
            output_field=BinaryField(),  # No converter touches it.
        )

    # What has changed

    def _shape(self, record: Model, before: Values) -> Shape:
        names = tuple(before)
        if (shape := self.shapes.get(names)) is None:
            self._refuse_loaded_apart(record, before)
            shape = self.shapes[names] = Shape(
                self.columns,
                before,
                untold=[each for each in self.stamps if each not in self.declared],
                # The row is found by it, and there is nothing else to it.
                unguarded=[each for each in self.keys if is_integer(each.field)],
            )
        return shape

    def _refuse_loaded_apart(self, record: Model, before: Values) -> None:
        """Refuse a column that came with another query than the one of `reading`."""
        for column in self.changeable:
            if column.attribute in before and column.memory not in before:
                raise InvalidUpdate(
                    f"{column.name} of {record._meta.label} {record.pk} was not loaded "
                    "by the collection but apart from it, so that nobody would notice "
                    f"if somebody else changed it: add {column.name!r} to only(), or "
                    "take it out of defer()."
                )

    def _is_undeclared(self, record: Model, changed: Sequence[Column]) -> InvalidUpdate:
        names = [each.name for each in changed if each not in self.declared]
        all_names = [
            each.name
            for each in self.columns
            if each in self.declared or each in changed
        ]
        return InvalidUpdate(
            f"process() changed {', '.join(names)} of {record._meta.label} {record.pk},"
            " which is not among the task's updates and would not be saved: write "
            f"updates = {tuple(all_names)!r}, or leave the field as it is."
        )

    # Writing

    def _write(self, batch: Batch) -> list[Change]:
        """Write a batch, and return the changes whose rows are not as they were."""
        if self._is_written(batch):
            return []
        with databases.writing(self.alias):
            places = set(self.table.matching(batch))
            rest = [each for n, each in enumerate(batch.changes) if n in places]
            if rest and not self._is_written(batch.having(rest)):
                raise InvalidUpdate(
                    f"Rows of {self.model._meta.label} are there and yet are not "
                    "written: a trigger or a rule of the database keeps them from it, "
                    "or a record came twice. Use save() instead of updates."
                )
        return [each for n, each in enumerate(batch.changes) if n not in places]

    def _is_written(self, batch: Batch) -> bool:
        """Write a batch if all its rows are as they were loaded, and else nothing."""
        with databases.writing(self.alias):
            matched = self.table.update(batch)
            if matched != len(batch):
                transaction.set_rollback(True, using=self.alias)
        return matched == len(batch)


def _is_stamp(column: Column) -> bool:
    """Tell whether a field is set to the time of each save()."""
    return bool(getattr(column.field, "auto_now", False))
