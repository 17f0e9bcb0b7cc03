"""What every database is asked of a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import Field, Model

    from upkeep.execution.updates.changes import Batch, Values
    from upkeep.execution.updates.columns import Column

FieldClasses = frozenset[type[Any]]

INTEGERS: FieldClasses = frozenset(
    {
        models.AutoField,
        models.BigAutoField,
        models.BigIntegerField,
        models.IntegerField,
        models.PositiveBigIntegerField,
        models.PositiveIntegerField,
        models.PositiveSmallIntegerField,
        models.SmallAutoField,
        models.SmallIntegerField,
    }
)
TEXTS: FieldClasses = frozenset(
    {
        models.CharField,
        models.EmailField,
        models.FilePathField,
        models.SlugField,
        models.TextField,
        models.URLField,
    }
)


class Table(ABC):
    """
    The table of a model: how its rows are recognized, and how they are written.

    A row is recognized by its bytes. Of a few types of Django's own the value that
    Python has tells them. With all others, and with fields that a host wrote, the
    bytes are fetched beside the value: Python would write JSON, a decimal, a moment in
    SQLite in another way than it was written by whoever wrote it.
    """

    known: ClassVar[FieldClasses]
    """The classes of fields whose values tell all; not their subclasses."""

    def __init__(self, model: type[Model], connection: BaseDatabaseWrapper) -> None:
        self.model = model
        self.connection: Any = connection
        self.name = self.quote(model._meta.db_table)
        self.keys = [str(field.column) for field in model._meta.pk_fields]

    def knows(self, field: Field[Any, Any]) -> bool:
        """Tell whether a loaded value tells the bytes that the database has."""
        return type(_target(field)) in self.known

    @abstractmethod
    def template(self, field: Field[Any, Any]) -> str:
        """Return the SQL for the bytes of a column: `%(expressions)s` is the column."""

    @abstractmethod
    def update(self, batch: Batch) -> int:
        """Write the rows that are as they were loaded, and return how many are."""

    @abstractmethod
    def delete(self, batch: Batch) -> int:
        """Delete the rows that are as they were loaded, and return how many are."""

    @abstractmethod
    def matching(self, batch: Batch) -> list[int]:
        """Lock the rows that are as they were loaded, and return their places."""

    def writes(self) -> int | None:
        """Return how many rows were written; None where others can write, too."""
        return None

    def portions(self, batch: Batch) -> Iterator[Batch]:
        """Yield parts of a batch that a statement can hold; mostly it is one."""
        yield batch

    def literal(self, value: Any) -> Any:
        """Return a prepared value so that it can be compared with others."""
        return repr(value)

    def guards(self, values: Values) -> Values:
        """Return what rows are known by as parameters that are compared with bytes."""
        return values

    def bytes_of(self, column: Column, *, table: str) -> str:
        """Return the SQL for the bytes of a column in a statement."""
        expression = f"{table}.{column.quoted}"
        return self.template(column.field) % {"expressions": expression}

    def quote(self, name: str) -> str:
        """Return a name for a statement."""
        quoted: str = self.connection.ops.quote_name(name)
        return quoted

    def execute(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the rows of a statement that gives some."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def count(self, sql: str, parameters: Sequence[Any]) -> int:
        """Return how many rows a statement has written."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            matched: int = cursor.rowcount
            return matched


def names_of(batch: Batch, keys: int) -> tuple[list[str], list[str], list[str]]:
    """Return what the keys, the new values and the guards are called in a statement."""
    return (
        [f"k{n}" for n in range(keys)],
        [f"n{n}" for n in range(len(batch.kind.changed))],
        [f"g{n}" for n in range(len(batch.kind.guarded))],
    )


def plain_types(field: Field[Any, Any]) -> frozenset[type]:
    """Return the types of values that Django writes as they are, if there are any."""
    if type(field) in TEXTS:
        return frozenset({str, NoneType})
    return frozenset({int, NoneType} if is_integer(field) else ())


def is_integer(field: Field[Any, Any]) -> bool:
    """Tell whether equal values of a field are the same."""
    return type(_target(field)) in INTEGERS


def _target(field: Field[Any, Any]) -> Field[Any, Any]:
    """Return the field that a column is written by: of a relation, the one beyond."""
    while type(field) in (models.ForeignKey, models.OneToOneField):
        field = field.target_field  # type: ignore[attr-defined]  # a relation's
    return field
