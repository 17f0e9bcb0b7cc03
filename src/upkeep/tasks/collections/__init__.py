"""What a task can walk, and the choice of the collection that walks it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Manager, QuerySet

from upkeep.exceptions import InvalidCollection
from upkeep.tasks.collections.base import Collection, Cursor, Page
from upkeep.tasks.collections.files import FileBatches, FileCollection, RowsFile
from upkeep.tasks.collections.once import Once
from upkeep.tasks.collections.querysets import QuerySetCollection
from upkeep.tasks.collections.sequences import SequenceCollection

__all__ = ["Collection", "Cursor", "Once", "Page", "collect"]


def collect(value: object, *, alias: str) -> Collection[Any]:
    """
    Return the collection that walks what a task's `collection()` returned.

    Records are read from the database `alias`. Raises InvalidCollection for what
    cannot be walked from the middle.
    """
    match value:
        case Collection():
            return value
        case Manager():
            return QuerySetCollection(value.all(), alias)
        case QuerySet():
            return QuerySetCollection(value, alias)
        case RowsFile():
            return FileCollection(value)
        case FileBatches():
            return FileCollection(value.file, batch=value.size)
        case str() | bytes() | bytearray() | memoryview():
            raise InvalidCollection(refusal(value))
        case Sequence():
            return SequenceCollection(value)
    raise InvalidCollection(refusal(value))


def refusal(value: object) -> str:
    """Say why a value cannot be walked, and what can."""
    found = "None" if value is None else f"a value of type {type(value).__name__}"
    return (
        f"collection() returned {found}, which cannot be walked. Return a QuerySet, "
        "a list or another sequence, or a CSV or other file parameter or its "
        "in_batches(size)."
    )
