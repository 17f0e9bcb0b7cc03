"""The writer of declared updates: what a page was, what `process` made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections, transaction
from django.db.models import BinaryField, F, Func, Model, QuerySet

from upkeep import databases
from upkeep.exceptions import InvalidUpdate
from upkeep.execution.updates.changes import Batch, Kind, alike, where
from upkeep.execution.updates.columns import Column
from upkeep.execution.updates.fields import declared_fields
from upkeep.execution.updates.shapes import Shape
from upkeep.execution.updates.sheets import Sheet
from upkeep.execution.updates.swaps import Swaps
from upkeep.execution.updates.tables import table_of
from upkeep.execution.updates.tables.base import is_integer
from upkeep.tasks.collections.columns import is_loaded


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
        self.swaps = Swaps()
        columns = enumerate(model._meta.concrete_fields)
        self.columns = tuple(Column(field, n, self.table) for n, field in columns)
        self.declared = frozenset(
            each for each in self.columns if each.field in declared
        )
        self.stamps = [each for each in self.columns if _is_stamp(each)]
        keys = model._meta.pk_fields
        self.keys = [each for each in self.columns if each.field in keys]
        self.has_relations = any(
            field.is_relation
            for field in (*model._meta.concrete_fields, *model._meta.private_fields)
        )
        self.shapes: dict[tuple[str, ...], Shape] = {}

    def reading(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return a QuerySet whose records bring along what their rows are known by."""
        columns = [
            each
            for each in self.columns
            if not each.is_known and is_loaded(queryset, each.field)
        ]
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

    def remember(
        self, records: Sequence[Model], places: Sequence[int] | None = None
    ) -> list[Sheet]:
        """Return what records are before `process` has them."""
        places = range(len(records)) if places is None else places
        now, found, writes = list(map(vars, records)), [], self.table.writes()
        for names, pick in alike(now, key=tuple):
            shape = self._shape(names)
            kept = shape.kept(pick(now))
            found.append(Sheet(shape, pick(places), pick(records), kept, writes))
        return found

    def changes(self, sheet: Sheet) -> list[Batch]:
        """
        Return what `process` changed of records, together where it changed the same.

        Raises InvalidUpdate for a change that would be lost.
        """
        if self.has_relations:
            _note_keys_of_relations(sheet.records)
        sheet.shape.refuse_unguarded(sheet.records)
        return [self._change(changed, some) for changed, some in sheet.changed()]

    def _change(self, changed: tuple[Column, ...], sheet: Sheet) -> Batch:
        if not self.declared.issuperset(changed):
            raise self._is_undeclared(sheet, changed)
        stamps = [each for each in self.stamps if each not in changed]
        kind = Kind((*changed, *stamps), sheet.shape.guarded)
        return self._batch(kind, sheet)

    def deletion(self, sheet: Sheet) -> Batch:
        """Return the deletion of records, as they were before `process` had them."""
        sheet.shape.refuse_unguarded(sheet.records)
        return self._batch(sheet.shape.deletion, sheet)

    def _batch(self, kind: Kind, sheet: Sheet) -> Batch:
        before = sheet.before
        guards = [before[each.memory] for each in kind.guarded]
        return Batch(
            kind=kind,
            places=sheet.places,
            records=sheet.records,
            before=before,
            keys=[each.keys(before[each.attribute]) for each in self.keys],
            values=[each.saved(sheet.records) for each in kind.changed],
            guards=list(map(self.table.guards, guards)),
            writes=sheet.writes,
        )

    def write(self, sheets: Sequence[Sheet]) -> Outcome:
        """Write what `process` changed of records, all in one transaction."""
        batches = [batch for sheet in sheets for batch in self.changes(sheet)]
        conflicts = self.save(batches)
        records = {
            place: record
            for sheet in sheets
            for place, record in zip(sheet.places, sheet.records, strict=True)
        }
        changed = sum(map(len, batches))
        return Outcome(
            changed=changed - len(conflicts),
            unchanged=len(records) - changed,
            conflicts=[records[place].pk for place in conflicts],
        )

    def save(self, batches: Sequence[Batch]) -> list[int]:
        """Write batches, and return the places of records in conflict."""
        portions = [part for batch in batches for part in self.table.portions(batch)]
        if not portions:
            return []
        with self.swaps.told(batches):
            if self._are_written(portions):
                return []
            with databases.writing(self.alias):
                return [
                    place
                    for portion in portions
                    for place in self._conflicts_of(portion)
                ]

    def _bytes(self, column: Column) -> Func:
        return Func(
            F(column.attribute),
            template=self.table.template(column.field),
            output_field=BinaryField(),  # No converter touches it.
        )

    # What has changed

    def _shape(self, names: tuple[str, ...]) -> Shape:
        if (shape := self.shapes.get(names)) is None:
            shape = self.shapes[names] = Shape(
                self.columns,
                names,
                untold=[each for each in self.stamps if each not in self.declared],
                # The row is found by it, and there is nothing else to it.
                unguarded=[each for each in self.keys if is_integer(each.field)],
            )
        return shape

    def _is_undeclared(self, sheet: Sheet, changed: Sequence[Column]) -> InvalidUpdate:
        record = sheet.records[0]
        if keys := [each.name for each in self.keys if each in changed]:
            key = ", ".join(str(sheet.before[each.attribute][0]) for each in self.keys)
            return InvalidUpdate(
                f"process() changed {', '.join(keys)} of {record._meta.label} {key}, "
                "by which its row is found: give a new key to a copy of the record, "
                "and to delete one, say deletes = True and return True."
            )
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

    def _are_written(self, portions: Sequence[Batch]) -> bool:
        """Write portions if all rows are as they were loaded, and else nothing."""
        if len(portions) == 1 and self._is_untouched(portions[0]):
            (portion,) = portions
            if self._written(portion) != len(portion):
                raise self._is_kept_off()
            return True
        with databases.writing(self.alias):
            for portion in portions:
                if self._written(portion) != len(portion):
                    transaction.set_rollback(True, using=self.alias)
                    return False
        return True

    def _is_untouched(self, batch: Batch) -> bool:
        """Tell whether nobody can have changed a row since they were read."""
        return batch.writes is not None and batch.writes == self.table.writes()

    def _written(self, batch: Batch) -> int:
        if batch.kind.is_deletion:
            return self.table.delete(batch)
        return self.table.update(batch)

    def _conflicts_of(self, batch: Batch) -> list[int]:
        """Write a batch, and return the places of rows that are not as they were."""
        if self._are_written([batch]):
            return []
        with databases.writing(self.alias):
            matching = set(self.table.matching(batch))
            flags = [n in matching for n in range(len(batch))]
            if matching and not self._are_written([batch.having(where(flags))]):
                raise self._is_kept_off()
        return [place for n, place in enumerate(batch.places) if n not in matching]

    def _is_kept_off(self) -> InvalidUpdate:
        return InvalidUpdate(
            f"Rows of {self.model._meta.label} are there and yet are not written: a "
            "trigger or a rule of the database keeps them from it, or a record came "
            "twice. Use save() or delete() in process()."
        )


def _note_keys_of_relations(records: Sequence[Model]) -> None:
    """See what got its key when it was saved, behind the field that refers to it."""
    for record in records:
        if vars(record._state).get("fields_cache"):  # Asked by its name it is made.
            record._prepare_related_fields_for_save(  # type: ignore[attr-defined]  # noqa: SLF001 - as bulk_update() does
                operation_name="save"
            )


def _is_stamp(column: Column) -> bool:
    """Tell whether a field is set to the time of each save()."""
    return bool(getattr(column.field, "auto_now", False))
