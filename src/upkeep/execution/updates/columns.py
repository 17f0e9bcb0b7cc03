"""The columns of a table, and when two values of one are the same to the database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal, DecimalException
from operator import is_, itemgetter, ne
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.backends.utils import format_number
from django.db.models import DateField, DateTimeField, JSONField, Model, TimeField

from upkeep.exceptions import InvalidUpdate
from upkeep.execution.updates.fields import is_steady
from upkeep.execution.updates.tables.base import plain_types

if TYPE_CHECKING:
    from django.db.models import Field

    from upkeep.execution.updates.changes import Values
    from upkeep.execution.updates.tables.base import Table

# Under such a name the bytes of a column are fetched where its value does not tell all.
BYTES = "_upkeep_bytes_"

IMMUTABLE = frozenset({type(None), bool, int, float, Decimal, str, bytes, UUID})
IMMUTABLE |= {date, datetime, time, timedelta}

STAMPS = frozenset({DateField, DateTimeField, TimeField})

Attributes = dict[str, Any]  # What a record carries: its vars().


@dataclass(frozen=True, slots=True)
class Kept:
    """What is remembered of a value that `process` may change in place."""

    form: Any
    copy: Any  # for a field that never writes a value in the same way twice


class Column:
    """One column of a table, as a record has it and as the database has it."""

    def __init__(self, field: Field[Any, Any], place: int, table: Table) -> None:
        self.field = field
        self.table = table
        self.name = field.name
        self.attribute = field.attname
        self.get = itemgetter(field.attname)
        self.quoted = table.quote(str(field.column))
        self.is_known = table.knows(field)
        """Whether a loaded value tells the bytes that the database has."""

        self.plain = plain_types(field)
        """The types of values that are written as they are."""

        self.is_moment_of_save = type(field) in STAMPS and bool(
            getattr(field, "auto_now", False)
        )
        """Whether it is set to the time of each save(), and to nothing else."""

        self.is_steady = is_steady(field)
        self.memory = self.attribute if self.is_known else f"{BYTES}{place}"
        """Where a record has what its row is recognized by."""

    def kept(self, values: Values) -> Values:
        """Remember values; what can be changed in place, by what is written of it."""
        if IMMUTABLE.issuperset(map(type, values)):
            return values
        return [
            value if type(value) in IMMUTABLE else self._kept(value) for value in values
        ]

    def _kept(self, value: Any) -> Kept:
        form = self.form(value)
        is_same_again = self.is_steady or form == self.form(value)
        return Kept(form=form, copy=None if is_same_again else deepcopy(value))

    def of(self, records: Sequence[Attributes], before: Values) -> Values:
        """Return the values that records have now."""
        try:
            return list(map(self.get, records))
        except KeyError:
            # What was deleted from a record is fetched anew when it is used.
            pairs = zip(records, before, strict=True)
            return [each.get(self.attribute, was) for each, was in pairs]

    def differing(self, before: Values, after: Values) -> Sequence[bool]:
        """Tell which of two columns of values are different ones; () for none."""
        if all(map(is_, before, after)):
            return ()  # Nearly always: nobody has touched the column.
        if self.are_plain(before) and self.are_plain(after):
            flags = list(map(ne, before, after))
        else:
            pairs = zip(before, after, strict=True)
            flags = [now is not was and self.differs(was, now) for was, now in pairs]
        return flags if any(flags) else ()

    def are_plain(self, values: Values) -> bool:
        """Tell whether values are written, and differ, just as they are."""
        return self.plain.issuperset(map(type, values))

    def differs(self, before: Any, after: Any) -> bool:
        """Tell whether the database would keep two values as different ones."""
        form = self.form(after)
        if form == self.form(before):
            return False
        if form == self.form(after):
            return True
        # Each writing is another one, as with a cipher: the values themselves decide.
        return bool(after != (before.copy if isinstance(before, Kept) else before))

    def saved(self, records: Sequence[Model]) -> Values:
        """Return what save() would write of records."""
        if self.is_moment_of_save:
            return self._stamped(records)
        with suppress(KeyError):  # It may not be loaded.
            values = list(map(self.get, map(vars, records)))
            if self.are_plain(values):
                return values
        return list(map(self._saved, records))

    def _stamped(self, records: Sequence[Model]) -> Values:
        """Give records the time of their save, which is one for all."""
        first, *others = records
        prepared, now = self._saved(first), getattr(first, self.attribute)
        for record in others:
            setattr(record, self.attribute, now)
        return [prepared] * len(records)

    def _saved(self, record: Model) -> Any:
        value = self.field.pre_save(record, add=False)
        prepared = self.field.get_db_prep_save(value, self.table.connection)
        match prepared:
            case str():  # Drivers take enumerations and safe texts for other types.
                return str.__str__(prepared)
            case bytearray() | memoryview():
                return bytes(prepared)
        return prepared

    def keys(self, values: Values) -> Values:
        """Return values of a primary key as a condition has them."""
        if self.are_plain(values):
            return values
        prepare = self.field.get_db_prep_save
        return [prepare(value, self.table.connection) for value in values]

    def form(self, value: Any) -> Any:
        """Return what the database would keep of a value, so that it compares."""
        if value is None or isinstance(value, Kept):
            return value and value.form
        if hasattr(value, "resolve_expression"):
            raise InvalidUpdate(
                f"process() set {self.name} of {self.field.model._meta.label} to an "
                "expression, whose result nobody knows before the database does: set "
                "it to a value, or leave it out of updates and use QuerySet.update()."
            )
        if type(self.field) is JSONField:
            return json.dumps(value, cls=self.field.encoder)
        return self._comparable(
            self.field.get_db_prep_save(value, self.table.connection)
        )

    def _comparable(self, prepared: Any) -> Any:
        match prepared:
            case str():
                return str.__str__(prepared)
            case Decimal():
                return self._rounded(prepared)
            case memoryview() | bytearray():
                return bytes(prepared)
            case list() | tuple():
                return tuple(map(self._comparable, prepared))
            case _ if type(prepared) in IMMUTABLE:
                return repr(prepared)  # NaN is like itself, -0.0 is not like 0.0.
        return self.table.literal(prepared)

    def _rounded(self, number: Decimal) -> str:
        """Return a decimal with as many digits as the column has."""
        digits = getattr(self.field, "max_digits", None)
        places = getattr(self.field, "decimal_places", None)
        try:
            return str(format_number(number, digits, places))
        except DecimalException:  # The database is the one to refuse it.
            return repr(number)
