"""What saves the fields that a task has declared as its updates, a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.models import Model

from upkeep.exceptions import Conflict, InvalidCollection, Skip
from upkeep.execution.updates import Updates
from upkeep.tasks.collections.querysets import QuerySetCollection

if TYPE_CHECKING:
    from upkeep.execution.chunks import Block
    from upkeep.execution.updates import Change
    from upkeep.execution.updates.changes import Values
    from upkeep.tasks.base import Task
    from upkeep.tasks.collections.base import Collection

# So often a record is worked on that others change meanwhile.
MOST_TIMES = 3


class Saver:
    """
    Saves what `process` changed of records, where nobody else has changed these.

    What others changed meanwhile is read once more and processed again, so that nothing
    is computed from what is no longer true, and nothing of theirs is overwritten.
    """

    def __init__(self, task: Task, collection: Collection[Any], alias: str) -> None:
        if not isinstance(collection, QuerySetCollection):
            raise InvalidCollection(
                f"{type(task).__name__}.updates saves records, but its collection is "
                f"one of {collection.kind}: return a QuerySet, or leave updates out "
                "and save in process()."
            )
        self.process = task.process
        self.records = collection.records
        self.updates = Updates(self.records.model, task.updates, alias)
        collection.records = self.updates.reading(self.records)

    def remember(self, items: Sequence[Any]) -> list[Values]:
        """Return what records are before `process` has them; {} of what is none."""
        records = [each for each in items if isinstance(each, Model)]
        remembered = self.updates.remember(records)
        if len(records) == len(items):
            return remembered
        values = iter(remembered)
        return [next(values) if isinstance(each, Model) else {} for each in items]

    def save(self, block: Block, *, skip: Callable[[Block, int, Skip], object]) -> None:
        """
        Save what was changed of a block's items, in its transaction.

        Raises what is wrong with one of them, which the block then has in hand.
        """
        if connections[self.updates.alias].needs_rollback:
            return  # process() hid an error, and the end of the block says so.
        items = block.items()[: block.done]
        places = {item.pk: n for n, item in enumerate(items) if isinstance(item, Model)}
        changes = list(self._changes(block, items))
        for _time in range(MOST_TIMES - 1):
            conflicts = self._write(block, changes)
            if not conflicts:
                return
            again = self._again(block, {key: places[key] for key in conflicts}, skip)
            changes = list(again)
        if conflicts := self._write(block, changes):
            place = min(places[key] for key in conflicts)
            with _in_hand(block, place):
                name = f"{items[place]._meta.label} {items[place].pk}"
                raise Conflict.over(name, times=MOST_TIMES)

    def _write(self, block: Block, changes: Sequence[Change]) -> list[Any]:
        """Write changes, and return the keys of those that others were before."""
        conflicts = self.updates.save(changes)
        block.changed += len(changes) - len(conflicts)
        block.conflicts += len(conflicts)
        return conflicts

    def _changes(self, block: Block, items: Sequence[Any]) -> Iterator[Change]:
        for place, item in enumerate(items):
            if before := block.remembered[block.start + place]:
                with _in_hand(block, place):
                    change = self.updates.change(item, before)
                if change:
                    yield change

    def _again(
        self,
        block: Block,
        places: dict[Any, int],
        skip: Callable[[Block, int, Skip], object],
    ) -> Iterator[Change]:
        """Process records as they are now; one that is gone needs nothing."""
        records = self.updates.again(self.records, list(places))
        found = {record.pk: record for record in records}
        for key, place in places.items():
            if (record := found.get(key)) is None:
                skip(block, place, Skip("It is no longer in the collection."))
                continue
            (before,) = self.updates.remember([record])
            with _in_hand(block, place):
                try:
                    self.process(record)
                except Skip as reason:
                    skip(block, place, reason)
                change = self.updates.change(record, before)
            if change:
                yield change


@contextmanager
def _in_hand(block: Block, place: int) -> Iterator[None]:
    """Let an error be that of the item at a place."""
    try:
        yield
    except BaseException:
        block.done, block.is_complete = place, False
        raise
