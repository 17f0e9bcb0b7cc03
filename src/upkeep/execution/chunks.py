"""The items worked on between two checkpoints: page by page, block by block."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.models import Model

from upkeep.databases import is_passing
from upkeep.exceptions import LeaseLost, Skip, TransactionEnded
from upkeep.execution.failures import Failure, Hand
from upkeep.execution.forks import OneProcess
from upkeep.execution.settlement import PassedOver
from upkeep.tasks.base import Job
from upkeep.tasks.policies import Case, PassOver, judge

if TYPE_CHECKING:
    from upkeep.execution.executor import Executor
    from upkeep.execution.updates import Sheet
    from upkeep.runs.dead_letters import DeadLetter
    from upkeep.tasks.collections.base import Cursor, Page

Undoable = Callable[..., AbstractContextManager[object]]

# What an item that fails may undo of the work of its neighbours. A savepoint costs a
# hundredth of that.
BLOCK = 0.02  # seconds

# So many are fetched behind an item that failed, and then twice as many: where there
# are more of them, what lies behind the next one is fetched in vain.
NEAR_A_BAD_ITEM = 32

# So many items are passed over in one chunk: each is kept in memory until its end.
MOST_PASSED_OVER = 100


@dataclass(slots=True)
class Chunk:
    """The items worked on between two checkpoints, and how far that came."""

    cursor: Cursor | None
    items: int = 0
    skipped: int = 0
    failed: int = 0
    executed: int = 0  # Items, as often as process() was called for them.
    changed: int = 0  # Records that were saved, as the task's updates have it.
    created: int = 0  # Rows that were inserted, as the task's creates have it.
    deleted: int = 0  # Records that were deleted, as the task's deletes have it.
    conflicts: int = 0  # Records that others had changed, each as often as they did.
    in_whole_pages: bool = True  # Nothing was fetched in vain.
    is_worked: bool = False  # What follows is the checkpoint and the commit.
    is_last: bool = False  # The collection is at its end.
    hand: Hand | None = None  # The item that process() raised for, or the only one.
    passed_over: list[PassedOver] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)  # Of those passed over.
    failure: Failure | None = None  # Of the item behind it, which is to be settled.
    skips: list[tuple[Cursor, Skip]] = field(default_factory=list)  # in a retrial

    @property
    def done(self) -> int:
        """How many of its items count as done."""
        return self.items - self.skipped - self.failed

    @property
    def attempts(self) -> int:
        """How often the item behind it has failed, as far as is known."""
        return self.failure.attempts if self.failure else 0

    def is_alone(self, *, is_atomic: bool) -> bool:
        """Tell whether an error that ended the chunk is certain to be its item's."""
        if not is_atomic:
            return True  # What came before it is done and saved.
        return self.items == (1 if self.is_worked else 0)


@dataclass(slots=True)
class Block:
    """Items of a page, from a place of it on, that are done or undone together."""

    page: Page[Any]
    start: int
    lines: int  # of the log, before it.
    begun: float
    remembered: Sequence[Sheet] = ()  # What the page's records were, of a saver.
    done: int = 0
    skipped: set[int] = field(default_factory=set)  # places
    changed: int = 0
    created: int = 0
    deleted: int = 0
    conflicts: int = 0
    skips: list[tuple[Cursor, Skip]] = field(default_factory=list)
    is_complete: bool = False  # process() has returned for all that were begun.

    def items(self) -> Sequence[Any]:
        """Return the items from its start on."""
        return self.page.items[self.start :] if self.start else self.page.items

    def sheets(self) -> list[Sheet]:
        """Return what the records of its items were, by their places in it."""
        parts = (each.part(self.start, self.done) for each in self.remembered)
        return [part for part in parts if part.records]

    @property
    def is_spent(self) -> bool:
        """Tell whether the page ends where the block came to: no item was in hand."""
        return self.start + self.done == len(self.page.items)


class _Unsettled(Exception):
    """A record of a batch failed, and its rules want more than to pass it over."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


class Walker:
    """What works on the items of chunk after chunk."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.run = executor.run
        self.task = executor.task
        self.collection = executor.collection
        self.pace = executor.pace
        self.interruption = executor.interruption
        self.rules = executor.rules
        self.saver = executor.saver
        self.process = (self.saver or executor.retrial or executor.task).process
        # Without rules of its own the task ends at the first item that fails.
        self.has_rules = len(self.rules) > 1
        self.block_seconds = BLOCK if self.has_rules else math.inf
        self.careful = sys.maxsize  # The size of a page near items that fail.
        self.is_strict = False  # Blocks show what else only their COMMIT would.
        self.chunk = executor.chunk
        self.one_process = OneProcess(self.interruption)
        self.block: Block | None = None  # What is worked on, for who asks meanwhile.

    def work(
        self, chunk: Chunk, seconds: float, most: int, undoable: Undoable | None
    ) -> None:
        """
        Process page after page until it is over, by time or number, or all is done.

        `undoable` opens a block that is undone if an error leaves it; None is for a
        task that has no transaction, in which whatever was done stays done.
        """
        self.chunk, self.seconds, self.most = chunk, seconds, most
        self.undoable = undoable
        # Where no item is passed over, an error may as well undo the chunk. Behind a
        # savepoint SQLite writes each page that is changed once more.
        self.is_undone_whole = undoable is not None and not self.has_rules
        self.suspect = -1  # The place of an item that was seen to fail among others.
        self.ends: list[int] = []  # Where the next pages have to end, the last first.
        self.begun = monotonic()
        first: Hand | None = None
        while size := self._page_size():
            before, page = chunk.items, self.collection.page(chunk.cursor, size)
            if first is None and page.items:
                first = self._hand(page, 0)
            try:
                self._process(page)
            finally:
                self.block = None
            chunk.in_whole_pages = chunk.items - before == len(page.items)
            if chunk.in_whole_pages and not self.ends:
                self.careful = min(self.careful * 2, sys.maxsize)
            chunk.is_last = page.last and chunk.in_whole_pages
            if chunk.is_last or self._is_over():
                break
        chunk.hand = first if chunk.items == 1 else None
        chunk.is_worked = True

    def next_hand(self, cursor: Cursor | None) -> Hand | None:
        """Return the item behind a place, if there is one."""
        self.chunk = Chunk(cursor)
        page = self.collection.page(cursor, 1)
        return self._hand(page, 0) if page.items else None

    def _page_size(self) -> int:
        """Return how many items to fetch next; 0 where the chunk is full."""
        items, now = self.chunk.items, monotonic()
        size = self.pace.page(items, spent=now - self.begun, left=self.deadline - now)
        while self.ends and self.ends[-1] <= items:
            self.ends.pop()
        end = self.ends[-1] if self.ends else min(items + self.careful, self.most)
        return min(size, end - items)

    @property
    def deadline(self) -> float:
        """The time at which the chunk has to end."""
        return self.begun + self.seconds

    def _is_over(self) -> bool:
        chunk = self.chunk
        if chunk.failure or len(chunk.passed_over) >= MOST_PASSED_OVER:
            return True
        return bool(self.interruption.asked) or monotonic() >= self.deadline

    # Blocks

    def _process(self, page: Page[Any]) -> None:
        """Process the items of a page until the chunk is over, or a block is undone."""
        place, saver = 0, self.saver
        remembered = saver.remember(page.items) if saver else ()
        while place < len(page.items):
            block = self._block(page, place, remembered)
            error = self._attempt(block)
            if error is None:
                self._keep(block)
                place += block.done
            elif self._is_found(block):
                place = self._see_to(error, block)
            else:
                return  # What process() made of the records is not to be built on.
            if self._is_over():
                return

    def _block(self, page: Page[Any], start: int, remembered: Sequence[Sheet]) -> Block:
        if self.saver:
            self.saver.begin()
        lines = len(self.task.log_lines)
        self.block = Block(page, start, lines, monotonic(), remembered)
        return self.block

    def _attempt(self, block: Block) -> BaseException | None:
        """Work on a block; return the error that undid it, if the chunk can go on."""
        try:
            with self._undoing():
                self._run(block)
                if self.saver:
                    self.saver.save(block, skip=self._skip)
                self._look_closer()
        except BaseException as error:  # whatever a task may raise
            # A signal may come behind the last item.
            is_item_s = block.is_complete or not block.is_spent
            if is_item_s and self._is_survived(error):
                return error
            self._give_up(block)
            raise
        return None

    def _undoing(self) -> AbstractContextManager[object]:
        """Open a block, which with rules is undone alone, if anything can be undone."""
        if self.undoable:
            return self.undoable(savepoint=not self.is_undone_whole)
        return nullcontext()

    def _run(self, block: Block) -> None:
        """Process the items of a block until it, or its chunk, has lasted enough."""
        process, interruption = self.process, self.interruption
        deadline = min(self.deadline, block.begun + self.block_seconds)
        try:
            with self.one_process:
                for item in block.items():
                    try:
                        process(item)
                    except Skip as skip:
                        self._skip(block, block.done, skip)
                    block.done += 1
                    if monotonic() >= deadline or interruption.asked:
                        break
            block.is_complete = True
        finally:
            self.chunk.executed += block.done + (not block.is_complete)

    def _skip(self, block: Block, place: int, skip: Skip) -> None:
        """Count an item of a block that wants to be passed over."""
        if isinstance(self.task, Job):
            raise skip  # It has no other, and a rule says how it ends.
        block.skipped.add(place)
        reason, retrial = str(skip), self.executor.retrial
        if not (reason or retrial):
            return
        hand = self._hand(block.page, block.start + place, ahead=place)
        if reason:
            self.task.log(f"Skipped {hand.name}: {reason}")
        if retrial:
            block.skips.append((hand.after, skip))

    def _keep(self, block: Block) -> None:
        """Count the items of a block that are done."""
        if block.done:
            self.chunk.items += block.done
            self.chunk.skipped += len(block.skipped)
            self.chunk.changed += block.changed
            self.chunk.created += block.created
            self.chunk.deleted += block.deleted
            self.chunk.conflicts += block.conflicts
            self.chunk.skips += block.skips
            self.chunk.cursor = block.page.cursor_after(block.start + block.done - 1)

    def _is_survived(self, error: BaseException) -> bool:
        """Tell whether the chunk can go on as if the block had never been."""
        if self.is_undone_whole:
            return False
        if isinstance(error, TransactionEnded | LeaseLost) or is_passing(error):
            return False
        if self.executor.is_end_of_worker(error):
            return False
        # Where even the savepoint was gone, Django has marked what is around it.
        return not (self.undoable and connections[self.executor.alias].needs_rollback)

    def _give_up(self, block: Block) -> None:
        """Note how far the chunk came that ends with its block."""
        if block.is_complete:  # It came to what is done for all of its items at once.
            if self.chunk.items + block.done == 1:
                self.chunk.hand = self._hand(block.page, block.start)
        elif not block.is_spent:
            place = block.start + block.done
            self.chunk.hand = self._hand(block.page, place, ahead=block.done)
        self._keep(block)
        self.chunk.is_worked = block.is_complete

    # Items that fail

    def _is_found(self, block: Block) -> bool:
        """
        Tell whether the item that failed was alone; otherwise close in on it.

        The items before it are done again, and then it alone. Where it is not known
        which item it was, blocks are halved.
        """
        if not self.undoable:
            self._keep(block)
            block.start, block.done = block.start + block.done, 0
            return True
        self.begun += monotonic() - block.begun  # Time for the same once more.
        if block.done == int(block.is_complete):
            return True
        self.careful = NEAR_A_BAD_ITEM
        reached = self.chunk.items + block.done
        if block.is_complete:
            self.ends += [reached, self.chunk.items + block.done // 2]
        else:
            self.suspect = reached
            self.ends += [reached + 1, reached]
        del self.task.log_lines[block.lines :]
        return False

    def _see_to(self, error: BaseException, block: Block) -> int:
        """
        Pass the item over, or leave it to be settled, where more than that is to do.

        Returns the place on the page at which to go on.
        """
        was_seen = self.chunk.items == self.suspect
        before = 0 if self.chunk.items else self.run.item_attempts
        hand = self._hand(block.page, block.start)
        failure = Failure(
            error=error,
            place=hand.name,
            hand=hand,
            attempts=(before or int(was_seen)) + 1,
            rules=self.rules,
        )
        failure = self._judged(failure)
        if not (verdict := _passes_over(failure)):
            self.chunk.failure = failure
        # Without a transaction the good ones would be done again and again.
        elif self.undoable and (halves := self.collection.halves(hand.item)):
            self._process_by_halves(halves, failure, hand)
        else:
            found = PassedOver(failure, hand, verdict, place=self.chunk.cursor)
            self._pass_over(hand, found)
        return block.start + 1

    def _judged(self, failure: Failure) -> Failure:
        """Return the failure with what its rules say, as far as they can be asked."""
        if isinstance(self.task, Job):
            return failure  # What it ends as is more than a count.
        case = Case(
            error=failure.error,
            attempts=failure.attempts,
            failed=self.run.failed + self.chunk.failed,
            items=self.run.reached + self.chunk.items + 1,
        )
        try:
            return replace(failure, decision=judge(failure.rules, case))
        except Exception:  # noqa: BLE001 - a rule's own code, which will say it again
            return failure

    def _pass_over(self, hand: Hand, *found: PassedOver) -> None:
        """Count an item that failed, to be written with the chunk."""
        chunk = self.chunk
        chunk.passed_over += found
        chunk.items += 1
        chunk.cursor = hand.after
        counts_as = {each.verdict.counts_as for each in found}
        if "failed" in counts_as:
            chunk.failed += 1
        elif counts_as:
            chunk.skipped += 1

    # Batches

    def _process_by_halves(
        self, halves: Sequence[Any], failure: Failure, hand: Hand
    ) -> None:
        """Have the good records of a batch done, and pass over those that fail."""
        lines, created = len(self.task.log_lines), self.chunk.created
        try:
            with self._undoing():
                found = list(self._poison_in(halves, failure, hand))
        except _Unsettled as unsettled:
            del self.task.log_lines[lines:]
            self.chunk.created = created
            self.chunk.failure = unsettled.failure
        else:
            self._pass_over(hand, *found)

    def _poison_in(
        self, halves: Sequence[Any], failure: Failure, hand: Hand
    ) -> Iterator[PassedOver]:
        """Process parts of a batch, and yield the records that fail by themselves."""
        parts = [*reversed(halves)]
        while parts:
            part, lines = parts.pop(), len(self.task.log_lines)
            try:
                with self._undoing():
                    created = self._process_part(part)
                    self._look_closer()
                self.chunk.created += created
                continue
            except BaseException as error:  # whatever a task may raise
                if not self._is_survived(error):
                    raise
                failure = replace(failure, error=error)
            if halves := self.collection.halves(part):
                parts += reversed(halves)
                del self.task.log_lines[lines:]
                continue
            failure = self._judged(failure)
            if not (verdict := _passes_over(failure)):
                raise _Unsettled(failure)
            record = self._of_one_record(part, hand)
            yield PassedOver(failure, record, verdict, place=self.chunk.cursor)

    def _process_part(self, part: Any) -> int:
        """Process a part of a batch, and return how many rows the engine inserted."""
        if self.saver:
            self.saver.begin()
        try:
            with self.one_process:
                self.process(part)
        except Skip as skip:
            if reason := str(skip):
                self.task.log(f"Skipped a part of a batch: {reason}")
        return self.saver.insert() if self.saver else 0

    def _of_one_record(self, part: Any, hand: Hand) -> Hand:
        """Return a batch of one record as that record; it may be gone by now."""
        record = part.first()
        if record is None:
            return hand
        name = self._name(record, record.pk, 0)
        return replace(hand, item=record, name=name, kept=record)

    # Errors that only COMMIT shows

    def looks_closer(self) -> bool:
        """Have blocks checked for what COMMIT refused; False where that is no news."""
        connection = connections[self.executor.alias]
        is_news = not self.is_strict and connection.vendor == "postgresql"
        self.is_strict |= is_news
        return is_news

    def _look_closer(self) -> None:
        """Check the constraints that are deferred, where they have been broken."""
        connection = connections[self.executor.alias]
        if self.is_strict and not connection.needs_rollback:  # Or the block says so.
            connection.check_constraints()

    # What items are called

    def _hand(self, page: Page[Any], index: int, ahead: int = 0) -> Hand:
        """Return the item at a place of the page, so many ahead of those counted."""
        item = page.items[index]
        key = _key_at(page, index)
        return Hand(
            item=item,
            name=self._name_at(page, index, ahead),
            kept=_with_key(item, key),
            after=page.cursor_after(index),
            is_last=page.last and index == len(page.items) - 1,
        )

    def in_hand(self) -> tuple[int, str]:
        """
        Return how many items of the chunk are behind it, and the name of the next.

        Asked from another thread, while it works.
        """
        block, reached = self.block, self.chunk.items
        if block is None or block.is_complete:
            return reached, ""
        done = block.done  # Once, for it is counted on meanwhile.
        place = block.start + done
        if place >= len(block.page.items):
            return reached, ""
        return reached + done, self._name_at(block.page, place, done)

    def _name_at(self, page: Page[Any], index: int, ahead: int) -> str:
        if page.names:
            return page.names[index]
        return self._name(page.items[index], _key_at(page, index), ahead)

    def _name(self, item: object, key: object, ahead: int) -> str:
        """Say which item it is: a record by its key, others by their place."""
        if isinstance(self.task, Job):
            return ""  # It has but one step.
        if isinstance(item, Model):
            return f"{item._meta.label} {key}"
        place = self.run.reached + self.chunk.items + ahead + 1
        return f"{self.run.unit} {place:,}"


def _key_at(page: Page[Any], index: int) -> Any:
    """Return the key of a record as it was fetched, and None of any other item."""
    if page.key_of:
        return page.key_of(index)
    return getattr(page.items[index], "pk", None)


def _passes_over(failure: Failure) -> PassOver | None:
    """Return how an item is passed over, if that is what its rules say."""
    verdict = failure.decision.verdict if failure.decision else None
    return verdict if isinstance(verdict, PassOver) else None


def _with_key(item: Any, key: Any) -> Any:
    """Return a record as it was fetched: process() may have copied or deleted it."""
    if not isinstance(item, Model) or item.pk == key:
        return item
    record = copy(item)
    record.pk, record._state.adding = key, False
    return record
