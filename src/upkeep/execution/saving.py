"""What writes the rows that a task leaves to the engine, a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.models import Model

from upkeep.exceptions import Conflict, InvalidCollection, InvalidResult, Skip
from upkeep.execution import engines
from upkeep.execution.creating import Creator
from upkeep.execution.updates import Updates, refuse_followers
from upkeep.tasks.collections.querysets import QuerySetCollection
from upkeep.tasks.creates import Creates

if TYPE_CHECKING:
    from upkeep.execution.chunks import Block
    from upkeep.execution.updates import Change
    from upkeep.execution.updates.changes import Values
    from upkeep.tasks.base import Task
    from upkeep.tasks.collections.base import Collection

Process = Callable[[Any], Any]
OnSkip = Callable[["Block", int, Skip], object]

# So often a record is worked on that others change meanwhile.
MOST_TIMES = 3


class Saver:
    """
    Saves what `process` changed of records and what it returned, a block at a time.

    Of records nothing is written that somebody else has changed. What others changed
    meanwhile is read once more and processed again, so that nothing is computed from
    what is no longer true, and nothing of theirs is overwritten.
    """

    def __init__(self, task: Task, collection: Collection[Any], alias: str) -> None:
        self.alias = alias
        self.updates: Updates | None = None
        self.creator: Creator | None = None
        self.can_update, self.can_delete = bool(task.updates), task.deletes
        if task.updates or task.deletes:
            self.records = self._records(task, collection).records
            if task.deletes:
                refuse_followers(self.records.model)
            name = "updates" if task.updates else "deletes"
            engines.refuse(self.records.model, f"{type(task).__name__}.{name}", alias)
            self.updates = Updates(self.records.model, task.updates, alias)
            collection.records = self.updates.reading(self.records)  # type: ignore[attr-defined]  # as _records() has seen
        if task.creates is not None:
            declared = Creates.of(task.creates)
            engines.refuse(declared.model, f"{type(task).__name__}.creates", alias)
            self.creator = Creator(declared, alias, at_once=task.batch_size)
        self.process = self._taking_from(task.process)

    def _records(self, task: Task, collection: Collection[Any]) -> QuerySetCollection:
        if isinstance(collection, QuerySetCollection):
            return collection
        name = "updates" if task.updates else "deletes"
        verb, instead = ("saves", "save") if task.updates else ("deletes", "delete")
        raise InvalidCollection(
            f"{type(task).__name__}.{name} {verb} records, but its collection is one "
            f"of {collection.kind}: return a QuerySet, or leave {name} out and "
            f"{instead} in process()."
        )

    # What process() returns

    def _taking_from(self, process: Process) -> Process:
        """Return `process` so that what it returns is kept for the end of its block."""
        if self.creator:
            return self._keeping_made(process, self.creator)
        return self._keeping_doomed(process) if self.can_delete else process

    def _keeping_made(self, process: Process, creator: Creator) -> Process:
        def kept(item: Any) -> None:
            if (returned := process(item)) is not None:
                self.made.append((item, creator.made(returned)))

        return kept

    def _keeping_doomed(self, process: Process) -> Process:
        def kept(item: Any) -> None:
            if (returned := process(item)) is True:
                self.doomed.append(item)
            elif returned:
                raise InvalidResult(
                    f"process() returned a value of type {type(returned).__name__}, "
                    "but its task deletes: return True for a record to delete, and "
                    "False or nothing for one that stays."
                )

        return kept

    def begin(self) -> None:
        """Forget what was returned before; a block begins, or begins anew."""
        self.made: list[tuple[Any, Sequence[Model]]] = []
        self.doomed: list[Model] = []

    def retry(self, process: Process) -> None:
        """Have a retrial look at items first."""
        self.process = self._taking_from(process)

    # A block

    def remember(self, items: Sequence[Any]) -> list[Values]:
        """Return what records are before `process` has them; {} of what is none."""
        if not self.updates:
            return []
        records = [each for each in items if isinstance(each, Model)]
        remembered = self.updates.remember(records)
        if len(records) == len(items):
            return remembered
        values = iter(remembered)
        return [next(values) if isinstance(each, Model) else {} for each in items]

    def save(self, block: Block, *, skip: OnSkip) -> None:
        """
        Save what became of a block's items, in its transaction.

        Raises what is wrong with one of them, which the block then has in hand.
        """
        if connections[self.alias].needs_rollback:
            return  # process() hid an error, and the end of the block says so.
        if self.updates:
            self._save_records(block, self.updates, skip)
        block.created += self.insert()

    def insert(self) -> int:
        """Insert the objects that were returned, and say how many rows that wrote."""
        made = [each for _item, objects in self.made for each in objects]
        return self.creator.insert(made) if self.creator else 0

    def _save_records(self, block: Block, updates: Updates, skip: OnSkip) -> None:
        items = block.items()[: block.done]
        changes = self._changes(block, items, updates)
        for _time in range(MOST_TIMES - 1):
            conflicts = self._write(block, changes, updates)
            if not conflicts:
                return
            places = _places(items)
            again = {key: places[key] for key in conflicts}
            changes = list(self._again(block, again, updates, skip))
        if conflicts := self._write(block, changes, updates):
            places = _places(items)
            place = min(places[key] for key in conflicts)
            with _in_hand(block, place):
                name = f"{items[place]._meta.label} {items[place].pk}"
                raise Conflict.over(name, times=MOST_TIMES)

    def _write(
        self, block: Block, changes: Sequence[Change], updates: Updates
    ) -> list[Any]:
        """Write changes, and return the keys of those that others were before."""
        conflicts = updates.save(changes)
        if conflicts:
            changes = [each for each in changes if each.record.pk not in conflicts]
        deleted = sum(each.kind.is_deletion for each in changes)
        block.deleted += deleted
        block.changed += len(changes) - deleted
        block.conflicts += len(conflicts)
        return conflicts

    def _changes(
        self, block: Block, items: Sequence[Any], updates: Updates
    ) -> list[Change]:
        doomed, found = set(map(id, self.doomed)), []
        remembered = islice(block.remembered, block.start, None)
        try:
            for item, before in zip(items, remembered, strict=False):
                is_doomed = id(item) in doomed
                if before and (is_doomed or self.can_update):
                    change = updates.deletion if is_doomed else updates.change
                    found.append(change(item, before))
                else:
                    found.append(None)
        except BaseException:
            _take_in_hand(block, len(found))
            raise
        return [change for change in found if change is not None]

    def _change(
        self, updates: Updates, item: Model, before: Values, *, is_doomed: bool
    ) -> Change | None:
        if is_doomed:
            return updates.deletion(item, before)
        return updates.change(item, before) if self.can_update else None

    # What others changed meanwhile

    def _again(
        self, block: Block, places: dict[Any, int], updates: Updates, skip: OnSkip
    ) -> Iterator[Change]:
        """Process records as they are now; one that is gone needs nothing."""
        self.made = [(item, made) for item, made in self.made if item.pk not in places]
        self.doomed = []
        records = updates.again(self.records, list(places))
        found = {record.pk: record for record in records}
        for key, place in places.items():
            if (record := found.get(key)) is None:
                skip(block, place, Skip("It is no longer in the collection."))
                continue
            (before,) = updates.remember([record])
            with _in_hand(block, place):
                try:
                    self.process(record)
                except Skip as reason:
                    skip(block, place, reason)
                is_doomed = any(each is record for each in self.doomed[-1:])
                change = self._change(updates, record, before, is_doomed=is_doomed)
            if change:
                yield change


@contextmanager
def _in_hand(block: Block, place: int) -> Iterator[None]:
    """Let an error be that of the item at a place."""
    try:
        yield
    except BaseException:
        _take_in_hand(block, place)
        raise


def _take_in_hand(block: Block, place: int) -> None:
    block.done, block.is_complete = place, False


def _places(items: Sequence[Any]) -> dict[Any, int]:
    """Return where the records among some items are, by their keys."""
    return {item.pk: n for n, item in enumerate(items) if isinstance(item, Model)}
