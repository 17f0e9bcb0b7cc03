"""Unique values that go from one record to another of the same page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError

if TYPE_CHECKING:
    from django.db.models import Model

    from upkeep.execution.updates.changes import Batch, Kind


class Swaps:
    """
    Says so where a value is refused because a record of the same page had it.

    Such a page is done again in halves, until the record is alone. By then its page
    is not there to be asked, so it is remembered who wanted what another had.
    """

    def __init__(self) -> None:
        self.seen: dict[Any, Sequence[str]] = {}

    @contextmanager
    def told(self, batches: Sequence[Batch]) -> Iterator[None]:
        """Have what the database refuses say of which fields a value was handed on."""
        try:
            yield
        except IntegrityError as error:
            if not (names := self._names(batches)):
                raise
            label = batches[0].records[0]._meta.label
            raise IntegrityError(
                f"{str(error).rstrip(' .')}. In one page, a value of "
                f"{', '.join(names)} goes from one {label} to another, and a database "
                "checks what is unique row by row: give all of them new values first, "
                "in a task of its own."
            ) from error

    def _names(self, batches: Sequence[Batch]) -> Sequence[str]:
        """Return the fields of which a value is handed on; none where none is."""
        keys = [record.pk for batch in batches for record in batch.records]
        if not any(key in self.seen for key in keys):
            self.seen = _handed_on(batches)  # Of another page.
        return next((self.seen[key] for key in keys if key in self.seen), ())


def _handed_on(batches: Sequence[Batch]) -> dict[Any, Sequence[str]]:
    """Return the keys of records that want what another had, with its fields."""
    updates = [each for each in batches if not each.kind.is_deletion]
    return {
        record.pk: names
        for names in _unique(type(batches[0].records[0]))
        for record in _heirs(names, updates)
    }


def _unique(model: type[Model]) -> Iterator[Sequence[str]]:
    """Yield the fields, or groups of them, of which no two records have the same."""
    for field in model._meta.concrete_fields:
        if field.unique:
            yield (field.name,)
    yield from model._meta.unique_together
    for constraint in model._meta.constraints:
        if names := getattr(constraint, "fields", ()):
            yield names


def _heirs(names: Sequence[str], batches: Sequence[Batch]) -> Iterator[Model]:
    """Yield the records that are to have what another had."""
    had: dict[Any, Model] = {}
    for kind, record, before in _changes(batches):
        if forms := _forms(names, kind, before):
            had[forms] = record
    for kind, record, _before in _changes(batches):
        if had.get(_forms(names, kind, vars(record)), record) is not record:
            yield record


def _changes(batches: Sequence[Batch]) -> Iterator[tuple[Kind, Model, dict[str, Any]]]:
    """Yield each record that changed with what it was."""
    for batch in batches:
        rows = zip(*batch.before.values(), strict=True)
        for record, row in zip(batch.records, rows, strict=True):
            yield batch.kind, record, dict(zip(batch.before, row, strict=True))


def _forms(
    names: Sequence[str], kind: Kind, values: dict[str, Any]
) -> tuple[Any, ...] | None:
    """Return values that together are unique; None where not all are known or there."""
    columns = {each.name: each for each in (*kind.guarded, *kind.changed)}
    if not columns.keys() >= set(names):
        return None
    found = [values.get(columns[name].attribute) for name in names]
    if any(value is None for value in found):
        return None
    return tuple(
        columns[name].form(value) for name, value in zip(names, found, strict=True)
    )
