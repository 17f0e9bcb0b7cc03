"""The records of a QuerySet, walked in the order of a key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from functools import reduce
from itertools import chain
from operator import attrgetter, itemgetter, or_
from typing import Any

from django.db import router
from django.db.models import Model, Q, QuerySet
from django.db.models.base import ModelState
from django.db.models.expressions import Col
from django.db.models.query import ModelIterable

from upkeep import garbage
from upkeep.databases import home
from upkeep.exceptions import CursorMismatch, InvalidCollection
from upkeep.tasks.collections.base import Collection, Cursor, Page
from upkeep.tasks.collections.columns import parts_of
from upkeep.tasks.collections.keysets import Keyset, Range, is_ordered_by
from upkeep.tasks.collections.sizes import size_of
from upkeep.tasks.values import from_json

# What the values of a page may weigh; in memory a record takes some times as much.
PAGE_BYTES = 2 << 20

# Keys of several columns in one condition; SQLite takes a thousand, nested by OR.
MOST_KEYS = 500

# So many records of a page are weighed, to know how many the next one may hold.
WEIGHED = 8
LIGHT = frozenset({type(None), bool, int, float, date, datetime, ModelState})


class RecordsCollection(Collection[Any]):
    """
    Records in the order of a key, from any place on.

    Each page begins after the key at which the one before ended, so a page costs
    the same at the end of a table as at its start, and rows that are changed,
    deleted or copied on the way move nobody else's place. The default ordering
    of the model plays no part. Records are read from the database `alias`, the
    one that is written, whatever a router says of reads.

    `fields` are the columns of the key as `cursor_fields` has them; a `bounded` walk
    ends where the records ended when it began.
    """

    def __init__(
        self,
        queryset: QuerySet[Any],
        alias: str,
        *,
        fields: Sequence[str] = (),
        bounded: bool = False,
        in_transaction: bool = True,
    ) -> None:
        check(queryset, alias, in_transaction=in_transaction)
        self.keyset = Keyset(queryset, fields, alias=alias)
        self.records = queryset.using(alias).order_by(*self.keyset.order)
        _check_order(queryset, self.keyset, alias)
        self.bounded = bounded
        # A proxy has the records of its table, under another name.
        self.model = queryset.model._meta.concrete_model._meta.label

    def count(self) -> int | None:
        """Count with one query, or estimate where that would take long."""
        return size_of(self.unlocked)

    @property
    def unlocked(self) -> QuerySet[Any]:
        """The records, for a query that asks for keys alone and can lock no row."""
        return without_locks(self.records)

    def of(self, keys: Sequence[Any]) -> QuerySet[Any]:
        """Return those of the records that have one of these primary keys."""
        if not keys:
            return self.records.none()
        starts = range(0, len(keys), MOST_KEYS)
        some = (Q(pk__in=keys[start : start + MOST_KEYS]) for start in starts)
        return self.records.filter(reduce(or_, some))

    def after(self, cursor: Cursor | None, until: Any) -> Iterator[QuerySet[Any]]:
        """Yield the records behind a cursor, in order, range by range of an index."""
        for each in self.ranges(cursor, until):
            yield within(self.records, each)

    def ranges(self, cursor: Cursor | None, until: Any) -> Iterator[Range]:
        """Yield what lies behind a cursor; the order is that of the walk if None."""
        return self.ranges_behind(self.place(cursor), until)

    def ranges_behind(self, place: list[Any] | None, until: Any) -> Iterator[Range]:
        """Yield what lies behind the values of a key, and all there is behind None."""
        ranges: Iterable[Range] = [(Q(), None)]
        if place is not None:
            ranges = self.keyset.behind(place)
        if until is None:
            yield from ranges
            return
        bound = self.keyset.up_to(from_json(until))
        for condition, order in ranges:
            yield bound & condition, order

    def until(self, cursor: Cursor | None) -> Any:
        """Return the value of the first column at which the walk ends, as JSON."""
        if cursor is not None:
            return cursor.get("until")
        if not self.bounded:
            return None
        first_column = self.keyset.columns[0].name
        last = self.unlocked.reverse().values_list(first_column, flat=True)[:1]
        return self.keyset.to_json(list(last))[0] if last else None

    def cursor(self, values: Any, until: Any) -> Cursor:
        """Return the place of a record by its values, or by its value of one column."""
        if len(self.keyset.columns) == 1:
            values = (values,)
        bound = {} if until is None else {"until": until}
        return bound | {
            "kind": self.kind,
            "model": self.model,
            "fields": self.keyset.spelled,
            "values": self.keyset.to_json(values),
        }

    def check_place(self, values: Sequence[Any]) -> None:
        """
        Refuse a place that the database does not find again by what it computed.

        It may be computed more precisely than its type tells, or otherwise in a
        condition; a walk would leave out rows, or come to the same ones for ever.
        """
        if not self.keyset.is_computed:
            return
        if self.unlocked.filter(self.keyset.at(values)).exists():
            return
        names = [column.name for column in self.keyset.columns]
        known = {
            column.name: value
            for column, value in zip(self.keyset.columns, values, strict=True)
            if not column.computed and value is not None
        }
        # A row that others changed or deleted in this instant is no sign of anything.
        if list(self.unlocked.filter(**known).values_list(*names)) == [tuple(values)]:
            raise InvalidCollection(
                f"A walk by {', '.join(self.keyset.spelled)} cannot find its place "
                f"again: the database gave {tuple(values)!r} and knows no such row. "
                "Cast what is computed to the type that it really has, or walk by "
                "another column."
            )

    def place(self, cursor: Cursor | None) -> list[Any] | None:
        """Return the values of the key at a cursor. Raises CursorMismatch."""
        if cursor is None:
            return None
        self.check_kind(cursor)
        if cursor.get("model", self.model) != self.model:
            raise CursorMismatch(
                f"The run stopped in a walk over {cursor['model']}, but its task now "
                f"walks {self.model}. Bring the former collection back, or cancel the "
                "run and start a new one."
            )
        if cursor["fields"] != self.keyset.spelled:
            raise CursorMismatch(
                f"The run stopped in a walk by {', '.join(cursor['fields'])}, but "
                f"{self.model} is now walked by {', '.join(self.keyset.spelled)}. "
                "Bring the former cursor_fields back, or cancel the run and start a "
                "new one."
            )
        return [from_json(value) for value in cursor["values"]]


class QuerySetCollection(RecordsCollection):
    """The records of a QuerySet, one at a time; they are fetched page by page."""

    kind = "queryset"

    def __init__(self, queryset: QuerySet[Any], alias: str, **options: Any) -> None:
        super().__init__(queryset, alias, **options)
        self.records = self.records.annotate(**self.keyset.fetched)
        self._values_of = attrgetter(*[each.attribute for each in self.keyset.columns])
        self._fitting: int | None = None  # Records of this kind in PAGE_BYTES.
        names = [each.name for each in self.keyset.columns]
        key = [names.index(each.attname) for each in queryset.model._meta.pk_fields]
        self._is_single, self._primary = len(names) == 1, itemgetter(*key)

    @garbage.not_sought()
    def page(self, cursor: Cursor | None, size: int) -> Page[Any]:
        """Return the next records; a place among ties costs some queries, not one."""
        size = min(size, self._fitting or size)
        until = self.until(cursor)
        # One more than asked tells whether these are the last: a run that is paused
        # while its last item is worked on has succeeded.
        items = fetch(self.after(cursor, until), size + 1)
        last = len(items) <= size
        del items[size:]
        self._fitting = fitting(items)
        # Noted now: a record that is deleted or copied in process loses its key.
        values = list(map(self._values_of, items))
        if values and not last:
            self.check_place(values[-1])
        return Page(
            items,
            last,
            cursor_after=lambda index: self.cursor(values[index], until),
            key_of=lambda index: self._key(values[index]),
        )

    def _key(self, values: Any) -> Any:
        return values if self._is_single else self._primary(values)


def within(records: QuerySet[Any], part: Range) -> QuerySet[Any]:
    """Return those of the records, in the order of the walk, that lie in a range."""
    condition, order = part
    if condition:
        # As filter() does, without a second Q around it, for each page and batch.
        records = records.complex_filter(condition)
    return records if order is None else records.order_by(*order)


def fetch(ranges: Iterable[QuerySet[Any]], number: int) -> list[Any]:
    """Return so many records of the ranges, or fewer where there are no more."""
    items: list[Any] = []
    for records in ranges:
        items += records[: number - len(items)]
        if len(items) == number:
            break
    return items


def without_locks(records: QuerySet[Any]) -> QuerySet[Any]:
    """Return the same records, not to be locked: `of` is for whole ones alone."""
    if not records.query.select_for_update:
        return records
    records = records.all()
    records.query.select_for_update = False
    return records


def fitting(items: Sequence[Any]) -> int | None:
    """Return how many such records a page may hold; None where there is none."""
    some = items[:: len(items) // WEIGHED or 1]
    return max(PAGE_BYTES * len(some) // _weight(some), 1) if some else None


def _weight(records: Sequence[Any]) -> int:
    """Return the bytes of what is large in records, and a little for the rest."""
    weight, unweighed = 0, list(records)
    enough = PAGE_BYTES * len(unweighed)  # A list may hold itself.
    seen: set[int] = set()  # A record that many refer to is there once.
    while unweighed and weight < enough:
        value = unweighed.pop()
        if isinstance(value, str | bytes | memoryview):
            weight += len(value)
            continue
        weight += 8
        if type(value) in LIGHT:  # Nearly all are, and each page is weighed.
            continue
        if isinstance(value, Model):
            if id(value) in seen:
                continue
            seen.add(id(value))
            weight += 100
        unweighed += _parts(value)
    return weight


def _parts(value: Any) -> Iterable[Any]:
    """Return what a value is made of, what was fetched with a record among it."""
    match value:
        case dict():
            return chain(value, value.values())
        case list() | tuple():
            return value
        case Model():
            return (vars(value), value._state.fields_cache)
        case QuerySet():  # One that was prefetched.
            return getattr(value, "_result_cache", None) or ()
    return ()


def check(queryset: QuerySet[Any], alias: str, *, in_transaction: bool) -> None:
    """Refuse a QuerySet that cannot be walked by key, saying what to write instead."""
    locks = _locks(queryset, in_transaction=in_transaction)
    if refusal := next(chain(_refusals(queryset, alias), locks), None):
        raise InvalidCollection(
            f"The QuerySet of {queryset.model._meta.label} {refusal}."
        )


def _refusals(queryset: QuerySet[Any], alias: str) -> Iterator[str]:
    """Yield what stands in the way of walking a QuerySet by its primary key."""
    if queryset.query.combinator:
        yield (
            "is combined by union(), intersection() or difference(), which cannot "
            "be filtered further: combine the conditions with Q() instead"
        )
    if queryset.query.is_sliced:
        yield "is sliced: filter it instead, for example by a range of keys"
    if queryset.query.distinct:
        yield (
            "is distinct(): instead of joining rows that must then be made "
            "distinct, filter with Exists(…) or pk__in=…"
        )
    # Django has no public name for what values() and dates() change.
    if not issubclass(queryset._iterable_class, ModelIterable):  # noqa: SLF001
        yield (
            "gives values() instead of records, and no key to go on from: return "
            "records, with only(…) to load fewer columns"
        )
    if is_windowed(queryset):
        yield (
            "has a window function, which would see nothing but the rows of one page: "
            "put it into a Subquery(…), or filter by pk__in=… of a QuerySet that has it"
        )
    if repeats(queryset):
        yield (
            "joins a relation to many, so that a record comes once for each of the "
            "rows joined: filter with Exists(…) or pk__in=… instead"
        )
    yield from _of_another_database(queryset, alias)


def _locks(queryset: QuerySet[Any], *, in_transaction: bool) -> Iterator[str]:
    if queryset.query.select_for_update_skip_locked:
        yield (
            "leaves out rows that others have locked, and nobody would come back for "
            "them: leave out skip_locked"
        )
    if queryset.query.select_for_update and not in_transaction:
        yield (
            "locks its rows, but its task is not atomic, and without a transaction "
            "nothing holds a lock: leave out select_for_update() or atomic = False, "
            "or lock the row in process(), in a transaction.atomic() of its own"
        )


def _check_order(queryset: QuerySet[Any], keyset: Keyset, alias: str) -> None:
    """Refuse an ordering that is not the one of the walk."""
    if is_ordered_by(queryset, keyset, alias=alias):
        return
    names = [each for each in queryset.query.order_by if isinstance(each, str)]
    wanted = f"cursor_fields = {tuple(names)!r}" if names else "cursor_fields"
    raise InvalidCollection(
        f"The QuerySet of {queryset.model._meta.label} is ordered, but its walk goes "
        f"by {', '.join(keyset.spelled)}: leave the ordering out, or set {wanted} on "
        "the task."
    )


def _of_another_database(queryset: QuerySet[Any], alias: str) -> Iterator[str]:
    chosen = queryset._db  # type: ignore[attr-defined]  # None without using()
    if chosen not in (None, alias):
        yield (
            f"reads from the database {chosen!r}, but its task writes to "
            f"{alias!r}: leave out using(), or set the task's database"
        )
    routed = router.db_for_write(queryset.model)
    if chosen is None and alias == home() and routed != alias:
        yield (
            f"is of the database {routed!r}, as DATABASE_ROUTERS say, but its task "
            f"works on {alias!r}: set the task's database"
        )


def is_windowed(queryset: QuerySet[Any]) -> bool:
    """Tell whether a value of a record depends on which others are asked for."""
    query = queryset.query
    parts: list[Any] = [*query.annotations.values(), query.where]
    return any(part.contains_over_clause for part in parts)


def repeats(queryset: QuerySet[Any]) -> bool:
    """Tell whether a record may come more than once, for each row of a join."""
    query, many = queryset.query, _joined_to_many(queryset)
    if query.group_by is None:
        return bool(many)
    # In groups it comes once, unless they are of something that the join has brought.
    grouped = (each for each in query.annotations.values() if not _is_gathered(each))
    parts = (part for each in grouped for part in parts_of(each))
    return any(isinstance(each, Col) and each.alias in many for each in parts)


def _is_gathered(expression: Any) -> bool:
    return bool(expression.contains_aggregate)


def _joined_to_many(queryset: QuerySet[Any]) -> set[str]:
    """Return the tables that a record may have several rows of."""
    query = queryset.query
    many: set[str] = set()
    for alias, join in query.alias_map.items():  # Parents come first.
        field = getattr(join, "join_field", None)
        is_many = field is not None and (field.one_to_many or field.many_to_many)
        if query.alias_refcount[alias] and (is_many or join.parent_alias in many):
            many.add(alias)
    return many
