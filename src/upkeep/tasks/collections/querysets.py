"""The records of a QuerySet, walked by primary key."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from django.db import router
from django.db.models import QuerySet
from django.db.models.query import ModelIterable

from upkeep.databases import home
from upkeep.exceptions import CursorMismatch, InvalidCollection
from upkeep.tasks.collections.base import Collection, Cursor, Page
from upkeep.tasks.values import from_json, to_json


class QuerySetCollection(Collection[Any]):
    """
    The records of a QuerySet in the order of their primary key.

    Each page begins after the key at which the one before ended, so a page costs
    the same at the end of a table as at its start, and rows that are changed,
    deleted or copied on the way move nobody else's place. The default ordering
    of the model plays no part. Records are read from the database `alias`, the
    one that is written, whatever a router says of reads.
    """

    kind = "queryset"

    def __init__(self, queryset: QuerySet[Any], alias: str) -> None:
        check(queryset, alias)
        key = queryset.model._meta.pk
        # A proxy has the records of its table, under another name.
        self.model = queryset.model._meta.concrete_model._meta.label
        self.fields = [key.attname]
        self._keys_of = attrgetter(key.attname)
        self._records = queryset.using(alias).order_by("pk")

    def page(self, cursor: Cursor | None, size: int) -> Page[Any]:
        """Return the next records, with one query."""
        records = self._records if cursor is None else self._after(cursor)
        # One more than asked tells whether these are the last: a run that is paused
        # while its last item is worked on has succeeded.
        items = list(records[: size + 1])
        last = len(items) <= size
        del items[size:]
        # Noted now: a record that is deleted or copied in process loses its key.
        keys = list(map(self._keys_of, items))
        return Page(items, last, lambda index: self._cursor(keys[index]))

    def count(self) -> int:
        """Count with one query."""
        return self._records.count()

    def _after(self, cursor: Cursor) -> QuerySet[Any]:
        self.check_kind(cursor)
        if cursor.get("model", self.model) != self.model:
            raise CursorMismatch(
                f"The run stopped in a walk over {cursor['model']}, but its task now "
                f"walks {self.model}. Bring the former collection back, or cancel the "
                "run and start a new one."
            )
        if cursor["fields"] != self.fields:
            raise CursorMismatch(
                f"The run stopped in a walk by {', '.join(cursor['fields'])}, but "
                f"{self._records.model._meta.label} is now walked by "
                f"{', '.join(self.fields)}. Cancel the run and start a new one."
            )
        (key,) = map(from_json, cursor["values"])
        return self._records.filter(pk__gt=key)

    def _cursor(self, key: Any) -> Cursor:
        return {
            "kind": self.kind,
            "model": self.model,
            "fields": self.fields,
            "values": [to_json(key)],
        }


def check(queryset: QuerySet[Any], alias: str) -> None:
    """Refuse a QuerySet that cannot be walked by key, saying what to write instead."""
    if refusal := next(refusals(queryset, alias), None):
        raise InvalidCollection(
            f"The QuerySet of {queryset.model._meta.label} {refusal}."
        )


def refusals(queryset: QuerySet[Any], alias: str) -> Iterator[str]:
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
    if len(queryset.model._meta.pk_fields) > 1:
        yield (
            "has a composite primary key, and a walk needs a key of one column: "
            "return a list of keys instead"
        )
    elif not in_order_of_key(queryset):
        yield "is ordered, but a walk goes by primary key: leave the ordering out"
    if repeats(queryset):
        yield (
            "joins a relation to many, so that a record comes once for each of the "
            "rows joined: filter with Exists(…) or pk__in=… instead"
        )
    yield from _of_another_database(queryset, alias)


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


def repeats(queryset: QuerySet[Any]) -> bool:
    """Tell whether a record may come more than once, for each row of a join."""
    query = queryset.query
    if query.group_by is not None:
        return False
    joined = (
        each for alias, each in query.alias_map.items() if query.alias_refcount[alias]
    )
    fields = (getattr(each, "join_field", None) for each in joined)
    return any(each and (each.one_to_many or each.many_to_many) for each in fields)


def in_order_of_key(queryset: QuerySet[Any]) -> bool:
    """Tell whether a QuerySet asks for no order, or for that of its primary key."""
    query, key = queryset.query, queryset.model._meta.pk
    if query.extra_order_by or not query.standard_ordering:
        return False
    return not query.order_by or query.order_by[0] in ("pk", key.name, key.attname)
