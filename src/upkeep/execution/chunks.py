"""The items worked on between two checkpoints: page by page, block by block."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.models import Model

from upkeep.databases import is_passing
from upkeep.exceptions import LeaseLost, Skip, TransactionEnded
from upkeep.execution.failures import Failure, Hand
from upkeep.execution.settlement import PassedOver
from upkeep.tasks.base import Job
from upkeep.tasks.policies import Case, PassOver, judge

if TYPE_CHECKING:
    from upkeep.execution.executor import Executor
    from upkeep.tasks.collections.base import Cursor, Page

Undoable = Callable[[], AbstractContextManager[object]]

# What an item that fails may undo of the work of its neighbours. A savepoint costs a
# hundredth of that.
BLOCK = 0.02  # seconds

# So many items are passed over in one chunk: each is kept in memory until its end.
MOST_PASSED_OVER = 500


@dataclass(slots=True)
class Chunk:
    """The items worked on between two checkpoints, and how far that came."""

    cursor: Cursor | None
    items: int = 0
    skipped: int = 0
    failed: int = 0
    in_whole_pages: bool = True  # Nothing was fetched in vain.
    is_worked: bool = False  # What follows is the checkpoint and the commit.
    is_last: bool = False  # The collection is at its end.
    hand: Hand | None = None  # The item that process() raised for, or the only one.
    passed_over: list[PassedOver] = field(default_factory=list)
    failure: Failure | None = None  # Of the item behind it, which is to be settled.

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
    """Items of a page that are done, or undone, together."""

    items: list[Any]
    lines: int  # of the log, before it.
    begun: float
    done: int = 0
    skipped: int = 0
    is_complete: bool = False  # process() has returned for all that were begun.


class Stretch:
    """
    The blocks of a page: where the next one begins, and where it has to end.

    After an error at place k of a block the k items before it are one block, and then
    the item is alone. Where it is not known which item it was, blocks are halved.
    """

    def __init__(self, page: Page[Any]) -> None:
        self.page = page
        self.here = 0
        self.suspect = -1  # The place of an item that was seen to fail among others.
        self._ends = [len(page.items)]

    @property
    def is_left(self) -> bool:
        """Tell whether there are items before its end."""
        return self.here < len(self.page.items)

    def items(self) -> list[Any]:
        """Return the items of the next block."""
        while self._ends[-1] <= self.here:
            self._ends.pop()
        return list(self.page.items[self.here : self._ends[-1]])

    def close_in(self, block: Block) -> bool:
        """Have the next blocks close in on what failed; tell whether it is alone."""
        if block.is_complete:
            if block.done == 1:
                return True
            self._ends += [self.here + block.done, self.here + block.done // 2]
        elif block.done:
            self.suspect = self.here + block.done
            self._ends += [self.suspect + 1, self.suspect]
        return not block.done


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
        # Without rules of its own the task ends at the first item that fails.
        has_rules = len(self.rules) > 1
        self.block_seconds = BLOCK if has_rules else math.inf

    def work(self, chunk: Chunk, seconds: float, undoable: Undoable | None) -> None:
        """
        Process page after page until the time is up or the collection ends.

        `undoable` opens a block that is undone if an error leaves it; None is for a
        task that has no transaction, in which whatever was done stays done.
        """
        self.chunk, self.seconds = chunk, seconds
        self.undoable = undoable
        self.begun = now = monotonic()
        first: Hand | None = None
        while size := self.pace.page(
            chunk.items, spent=now - self.begun, left=self.deadline - now
        ):
            before, page = chunk.items, self.collection.page(chunk.cursor, size)
            if first is None and page.items:
                first = self._hand(page, 0)
            self._process(page)
            now = monotonic()
            chunk.in_whole_pages = chunk.items - before == len(page.items)
            chunk.is_last = page.last and chunk.in_whole_pages
            if chunk.is_last or self._is_over():
                break
        chunk.hand = first if chunk.items == 1 else None
        chunk.is_worked = True

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
        """Process the items of a page until the chunk is over."""
        stretch = Stretch(page)
        while stretch.is_left:
            block = Block(stretch.items(), len(self.task.log_lines), monotonic())
            try:
                with self.undoable() if self.undoable else nullcontext():
                    self._run(block)
            except BaseException as error:  # whatever a task may raise
                if not self._is_survivable(error):
                    self._give_up(block, stretch)
                    raise
                self._undo(block, stretch)
                if stretch.close_in(block):
                    self._see_to(error, stretch)
                else:  # What it logged will be said once more.
                    del self.task.log_lines[block.lines :]
            else:
                self._keep(block, stretch)
            if self._is_over():
                return

    def _run(self, block: Block) -> None:
        """Process the items of a block until it, or its chunk, has lasted enough."""
        process, interruption = self.task.process, self.interruption
        deadline = min(self.deadline, block.begun + self.block_seconds)
        done = 0
        try:
            for item in block.items:
                try:
                    process(item)
                except Skip as skip:
                    block.done = done
                    self._skip(block, item, skip)
                done += 1
                if monotonic() >= deadline or interruption.asked:
                    break
            block.is_complete = True
        finally:
            block.done = done

    def _skip(self, block: Block, item: object, skip: Skip) -> None:
        """Count an item that wants to be passed over."""
        if isinstance(self.task, Job):
            raise skip  # It has no other, and a rule says how it ends.
        block.skipped += 1
        if reason := str(skip):
            name = self._name(item, self.chunk.items + block.done)
            self.task.log(f"Skipped {name}: {reason}")

    def _keep(self, block: Block, stretch: Stretch) -> None:
        """Count the items of a block that are done."""
        if block.done:
            self.chunk.items += block.done
            self.chunk.skipped += block.skipped
            stretch.here += block.done
            self.chunk.cursor = stretch.page.cursor_after(stretch.here - 1)

    def _undo(self, block: Block, stretch: Stretch) -> None:
        """Forget a block that was undone; without a transaction, its items are done."""
        if not self.undoable:
            self._keep(block, stretch)
            block.done = 0
        else:
            self.begun += monotonic() - block.begun  # Time for the same once more.

    def _is_survivable(self, error: BaseException) -> bool:
        """Tell whether the chunk can go on as if the block had never been."""
        if isinstance(error, TransactionEnded | LeaseLost) or is_passing(error):
            return False
        if self.executor.is_end_of_worker(error):
            return False
        # Where even the savepoint was gone, Django has marked what is around it.
        return not (self.undoable and connections[self.executor.alias].needs_rollback)

    def _give_up(self, block: Block, stretch: Stretch) -> None:
        """Note how far the chunk came that ends with its block."""
        if block.done < len(block.items):  # A signal may come behind the last one.
            place = stretch.here + block.done
            self.chunk.hand = self._hand(stretch.page, place, ahead=block.done)
        self._keep(block, stretch)
        self.chunk.is_worked = block.is_complete

    # Items that fail

    def _see_to(self, error: BaseException, stretch: Stretch) -> None:
        """Pass the next item over; what is more than that is left to be settled."""
        was_seen = stretch.suspect == stretch.here
        before = 0 if self.chunk.items else self.run.item_attempts
        hand = self._hand(stretch.page, stretch.here)
        failure = Failure(
            error=error,
            place=hand.name,
            hand=hand,
            attempts=(before or int(was_seen)) + 1,
            rules=self.rules,
        )
        if verdict := self._verdict(failure):
            self._pass_over(failure, hand, verdict)
            stretch.here += 1
        else:
            self.chunk.failure = failure

    def _verdict(self, failure: Failure) -> PassOver | None:
        """Return how an item is passed over, if that is what its rules say."""
        if isinstance(self.task, Job):
            return None  # What it ends as is more than a count.
        case = Case(
            error=failure.error,
            attempts=failure.attempts,
            failed=self.run.failed + self.chunk.failed,
            items=self.run.reached + self.chunk.items + 1,
        )
        try:
            _rule, verdict = judge(failure.rules, case) or (None, None)
        except Exception:  # noqa: BLE001 - a rule's own code, which will say it again
            return None
        return verdict if isinstance(verdict, PassOver) else None

    def _pass_over(self, failure: Failure, hand: Hand, verdict: PassOver) -> None:
        """Count an item that failed, to be written with the chunk."""
        chunk = self.chunk
        chunk.passed_over.append(PassedOver(failure, hand, verdict, place=chunk.cursor))
        chunk.items += 1
        chunk.cursor = hand.after
        if verdict.counts_as == "failed":
            chunk.failed += 1
        else:
            chunk.skipped += 1

    # What items are called

    def _hand(self, page: Page[Any], index: int, ahead: int = 0) -> Hand:
        """Return the item at a place of the page, so many ahead of those counted."""
        item = page.items[index]
        return Hand(
            item=item,
            name=self._name(item, self.chunk.items + ahead),
            after=page.cursor_after(index),
            is_last=page.last and index == len(page.items) - 1,
        )

    def _name(self, item: object, items_before: int) -> str:
        """Say which item it is: a record by its key, others by their place."""
        if isinstance(self.task, Job):
            return ""  # It has but one step.
        if isinstance(item, Model):
            return f"{item._meta.label} {item.pk}"
        return f"{self.run.unit} {self.run.reached + items_before + 1:,}"
