"""The records of a QuerySet some at a time, each batch a QuerySet of its own."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from django.db import connections
from django.db.models import Manager, QuerySet

from upkeep.tasks.collections.base import Cursor, Page
from upkeep.tasks.collections.keysets import Variable
from upkeep.tasks.collections.querysets import (
    RecordsCollection,
    fetch,
    within,
    without_locks,
)
from upkeep.tasks.collections.sizes import in_batches, rough_size_of

# A batch, the key at its end, and whether none comes after it.
Found = tuple["QuerySet[Any] | None", Any, bool]


class Batches:
    """
    A QuerySet in batches of `size` records, the last one smaller.

    `process` receives a QuerySet for each batch, and progress counts batches.
    A batch is not fetched: `batch.update(…)` or `batch.delete()` is one statement. It
    keeps the conditions of the whole, so records that `process` moves out of the filter
    are gone from the batch, and from no other one.
    """

    def __init__(
        self, queryset: QuerySet[Any] | Manager[Any], size: int = 1000
    ) -> None:
        if isinstance(queryset, Manager):
            queryset = queryset.all()
        if not isinstance(queryset, QuerySet):
            raise TypeError(
                f"Batches() takes a QuerySet, not a {type(queryset).__name__}."
            )
        if size < 1:
            raise ValueError(f"A batch has at least 1 record, not {size}.")
        self.queryset = queryset
        self.size = size


class BatchesCollection(RecordsCollection):
    """Batches in the order of a key; each is known by the keys of its records."""

    kind = "batches"
    unit = "batch"

    def __init__(self, batches: Batches, alias: str, **options: Any) -> None:
        super().__init__(batches.queryset, alias, **options)
        self.size = batches.size
        self._names = [column.name for column in self.keyset.columns]
        key = batches.queryset.model._meta.pk_fields
        self._primary = itemgetter(*[self._names.index(each.attname) for each in key])
        self._last_end = Variable(key[-1])
        self._keys_behind: tuple[Any, QuerySet[Any]] | None = None
        # For an UPDATE in an order MariaDB needs twice the time. It finds a range of
        # keys in their order anyhow; others know no such UPDATE, and find it in any.
        self._is_ordered = connections[alias].vendor != "mysql"
        self._whole = self._in_order(self.records)
        self._keys = self.unlocked.values_list(*self._names, flat=len(self._names) == 1)

    def page(self, cursor: Cursor | None, size: int) -> Page[Any]:
        """Return the next batch, one whatever `size`: it may be work for a chunk."""
        until = self.until(cursor)
        place = self.place(cursor)
        find = self._find_by_range if len(self._names) == 1 else self._find_by_keys
        batch, end, last = find(place, until)
        items = [] if batch is None else [batch]
        return Page(items, last, lambda _index: self.cursor(end, until))

    def halves(self, item: QuerySet[Any]) -> list[QuerySet[Any]]:
        """Return the two halves of a batch, none where it is one record."""
        ordered = without_locks(item).order_by(*self.keyset.order)
        keys = list(ordered.values_list("pk", flat=True))
        middle = len(keys) // 2
        parts = [keys[:middle], keys[middle:]] if middle else []
        return [self._in_order(self.of(part)) for part in parts]

    def count(self) -> int | None:
        """Count the batches, or estimate how many they are."""
        return in_batches(rough_size_of(self.unlocked), self.size)

    def _find_by_range(self, place: list[Any] | None, until: Any) -> Found:
        """Return the records up to the last key, the only one that is fetched."""
        keys = self._keys_of_range(place, until)
        ends = keys[self.size - 1 : self.size + 1] or keys.reverse()[:1]
        if not ends:
            return None, None, True
        ((condition, order),) = self.ranges_behind(place, until)
        batch = within(self._whole, (condition & self.keyset.up_to(ends[0]), order))
        return batch, ends[0], len(ends) == 1

    def _keys_of_range(self, place: list[Any] | None, until: Any) -> QuerySet[Any]:
        """Return the keys behind a place, by a query that is built for all places."""
        if place is None:
            (whole,) = self.ranges_behind(None, until)
            return within(self._keys, whole)
        if self._keys_behind is None or self._keys_behind[0] != until:
            (behind,) = self.ranges_behind([self._last_end], until)
            self._keys_behind = until, within(self._keys, behind)
        (self._last_end.value,) = place
        return self._keys_behind[1]

    def _find_by_keys(self, place: list[Any] | None, until: Any) -> Found:
        """Return the records of certain primary keys, for no one range holds them."""
        ranges = self.ranges_behind(place, until)
        keys = fetch((within(self._keys, each) for each in ranges), self.size + 1)
        last = len(keys) <= self.size
        del keys[self.size :]
        if not keys:
            return None, None, True
        if not last:
            self.check_place(keys[-1])
        batch = self._in_order(self.of(list(map(self._primary, keys))))
        return batch, keys[-1], last

    def _in_order(self, records: QuerySet[Any]) -> QuerySet[Any]:
        """Return records in the order of the walk, where that costs a batch nothing."""
        return records if self._is_ordered else records.order_by()
