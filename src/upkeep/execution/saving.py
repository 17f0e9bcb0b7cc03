"""What writes the rows that a task leaves to the engine, a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.models import Model

from upkeep import garbage
from upkeep.exceptions import Conflict, InvalidCollection, InvalidResult, Skip
from upkeep.execution import engines
from upkeep.execution.creating import Creator
from upkeep.execution.updates import Updates, refuse_followers
from upkeep.execution.updates.changes import alike
from upkeep.tasks.collections.querysets import QuerySetCollection
from upkeep.tasks.creates import Creates

if TYPE_CHECKING:
    from upkeep.execution.chunks import Block
    from upkeep.execution.updates import Batch, Sheet
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
            f"{type(task).__name__}.{name} {verb} records, but its collection is of "
            f"kind {collection.kind!r}: return a QuerySet, or leave {name} out and "
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

    @garbage.not_sought()
    def remember(self, items: Sequence[Any]) -> list[Sheet]:
        """Return what the records among items are before `process` has them."""
        if not self.updates:
            return []
        if all(map(isinstance, items, repeat(Model))):  # Nearly always.
            return self.updates.remember(items)
        places = [n for n, item in enumerate(items) if isinstance(item, Model)]
        return self.updates.remember([items[n] for n in places], places)

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

    @garbage.not_sought()
    def insert(self) -> int:
        """Insert the objects that were returned, and say how many rows that wrote."""
        made = [each for _item, objects in self.made for each in objects]
        return self.creator.insert(made) if self.creator else 0

    def _save_records(self, block: Block, updates: Updates, skip: OnSkip) -> None:
        conflicts = self._write(block, block.sheets(), updates)
        for _time in range(MOST_TIMES - 1):
            if not conflicts:
                return
            sheets = self._again(block, conflicts, updates, skip)
            conflicts = self._write(block, sheets, updates)
        if conflicts:
            place = min(conflicts)
            with _in_hand(block, place):
                record = block.items()[place]
                name = f"{record._meta.label} {record.pk}"
                raise Conflict.over(name, times=MOST_TIMES)

    @garbage.not_sought()
    def _write(
        self, block: Block, sheets: Sequence[Sheet], updates: Updates
    ) -> list[int]:
        """Write what changed, and return the places of what others changed before."""
        batches = self._batches(block, sheets, updates)
        conflicts = updates.save(batches)
        for batch in batches:
            written = len(batch) - len(set(conflicts).intersection(batch.places))
            if batch.kind.is_deletion:
                block.deleted += written
            else:
                block.changed += written
        block.conflicts += len(conflicts)
        return conflicts

    def _batches(
        self, block: Block, sheets: Sequence[Sheet], updates: Updates
    ) -> list[Batch]:
        """Return what is to be written; an error in it is that of one record."""
        try:
            return self._batches_of(sheets, updates)
        except Exception:  # of a field or a value of the host's: of whose, is sought
            for one in chain.from_iterable(sheet.one_by_one() for sheet in sheets):
                with _in_hand(block, one.places[0]):
                    self._batches_of([one], updates)
            raise

    def _batches_of(self, sheets: Sequence[Sheet], updates: Updates) -> list[Batch]:
        going, staying = self._parted(sheets) if self.doomed else ([], sheets)
        # What is deleted comes first: another record may want a unique value of it.
        batches = [updates.deletion(sheet) for sheet in going]
        if self.can_update:
            for sheet in staying:
                batches += updates.changes(sheet)
        return batches

    def _parted(self, sheets: Sequence[Sheet]) -> tuple[list[Sheet], list[Sheet]]:
        """Return the records that are to be deleted, and the others."""
        doomed = set(map(id, self.doomed))
        parts: tuple[list[Sheet], list[Sheet]] = ([], [])
        for sheet in sheets:
            for stays, pick in alike(
                sheet.records, lambda each: id(each) not in doomed
            ):
                parts[stays].append(sheet.having(pick))
        return parts

    # What others changed meanwhile

    def _again(
        self, block: Block, conflicts: Sequence[int], updates: Updates, skip: OnSkip
    ) -> list[Sheet]:
        """Process records as they are now; one that is gone needs nothing."""
        items = block.items()
        places = {items[place].pk: place for place in conflicts}
        self.made = [(item, made) for item, made in self.made if item.pk not in places]
        self.doomed = []
        found = {each.pk: each for each in updates.again(self.records, list(places))}
        records = {places[key]: found[key] for key in places if key in found}
        sheets = updates.remember(list(records.values()), list(records))
        for place in conflicts:
            if place in records:
                self._process_again(block, place, records[place], skip)
            else:
                skip(block, place, Skip("It is no longer in the collection."))
        return sheets

    def _process_again(
        self, block: Block, place: int, record: Model, skip: OnSkip
    ) -> None:
        with _in_hand(block, place):
            try:
                self.process(record)
            except Skip as reason:
                skip(block, place, reason)


@contextmanager
def _in_hand(block: Block, place: int) -> Iterator[None]:
    """Let an error be that of the item at a place."""
    try:
        yield
    except BaseException:
        block.done, block.is_complete = place, False
        raise
