"""Unique values that go from one record to another of the same page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError

if TYPE_CHECKING:
    from django.db.models import Model

    from upkeep.execution.updates.changes import Batch, Kind


@contextmanager
def swaps_told(batches: Sequence[Batch]) -> Iterator[None]:
    """Say so where a value is refused because a record of the same page had it."""
    try:
        yield
    except IntegrityError as error:
        model = type(batches[0].records[0])
        updates = [each for each in batches if not each.kind.is_deletion]
        for names in _unique(model):
            if _is_handed_on(names, updates):
                raise IntegrityError(
                    f"{error} In one page, a value of {', '.join(names)} goes from one "
                    f"{model._meta.label} to another, and a database checks what is "
                    "unique row by row: give all of them new values first, in a task "
                    "of its own."
                ) from error
        raise


def _unique(model: type[Model]) -> Iterator[Sequence[str]]:
    """Yield the fields, or groups of them, of which no two records have the same."""
    for field in model._meta.concrete_fields:
        if field.unique:
            yield (field.name,)
    yield from model._meta.unique_together
    for constraint in model._meta.constraints:
        if names := getattr(constraint, "fields", ()):
            yield names


def _is_handed_on(names: Sequence[str], batches: Sequence[Batch]) -> bool:
    """Tell whether a record is to have what another had."""
    had: dict[Any, Model] = {}
    for kind, record, before in _changes(batches):
        if forms := _forms(names, kind, before):
            had[forms] = record
    return any(
        had.get(_forms(names, kind, vars(record)), record) is not record
        for kind, record, _before in _changes(batches)
    )


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
