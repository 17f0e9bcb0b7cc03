"""Advance a run from its place, chunk by chunk, until it ends or something stops it."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import Error, connections

from upkeep import databases
from upkeep.conf import conf
from upkeep.exceptions import (
    LeaseLost,
    Skip,
    TaskNotFound,
    TransactionEnded,
    WorkerLost,
)
from upkeep.execution import engines
from upkeep.execution.announcements import announce, announce_what_is_left_of
from upkeep.execution.chunks import Chunk, Walker
from upkeep.execution.claim import Claim
from upkeep.execution.failures import (
    DATABASE_PATIENCE,
    LEAST_TRIES,
    PATIENCE,
    Failure,
    Patience,
    told,
    trustworthy,
)
from upkeep.execution.interruption import Interruption
from upkeep.execution.letters import tell_of
from upkeep.execution.pace import Pace
from upkeep.execution.pacemaker import Pacemaker
from upkeep.execution.reporting import report
from upkeep.execution.retrial import Retrial
from upkeep.execution.saving import Saver
from upkeep.execution.settlement import Settlement, keep
from upkeep.execution.throttling import Throttling
from upkeep.runs.retried_letters import RetriedLetters
from upkeep.runs.status import Status
from upkeep.runs.words import counted
from upkeep.tasks.base import Job, Task
from upkeep.tasks.collections.sizes import Estimate
from upkeep.tasks.masks import mask_value, secrets_in
from upkeep.tasks.policies import Discard, rules_of, rules_without_end

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from upkeep.execution.chunks import Undoable
    from upkeep.runs.dead_letters import DeadLetter
    from upkeep.runs.models import Run
    from upkeep.tasks.collections.base import Collection
    from upkeep.tasks.policies import Rule
    from upkeep.tasks.throttles import Hold

logger = logging.getLogger("upkeep")

# So many workers may fall silent at one place: a machine that lost its power is none
# of the item's fault.
MOST_WORKERS_LOST = 5


def execute(
    run_id: int,
    token: str,
    *,
    interruption: Interruption | None = None,
    to_the_end: bool = False,
) -> Run | None:
    """
    Claim a run and advance it; return it as it was left, or None where it is not ours.

    Not ours is a run whose message is stale, or that another worker took over.
    `to_the_end` sets no limit to the time.
    """
    claim = Claim.take(run_id, token)
    if claim is None:
        logger.info("A message for run %s is stale; there is nothing to do.", run_id)
        return None
    logger.info("%s goes on here.", claim.run)
    executor = Executor(claim, interruption or Interruption(), to_the_end=to_the_end)
    try:
        executor.run_to_a_stop()
    except LeaseLost as error:
        logger.warning("%s", error)
        return None
    except (SystemExit, KeyboardInterrupt):
        with suppress(Error, LeaseLost):
            claim.let_go(reason="Its worker was ended at once.")
        raise
    return claim.run


class Executor:
    """What a worker does with a run that it has claimed."""

    task: Task
    collection: Collection[Any]
    walker: Walker
    throttling: Throttling
    pace: Pace
    alias: str
    is_sqlite: bool

    def __init__(
        self, claim: Claim, interruption: Interruption, *, to_the_end: bool
    ) -> None:
        self.claim = claim
        self.run = claim.run
        self.interruption = interruption
        self.to_the_end = to_the_end
        self.is_prepared = False
        self.chunk = Chunk(cursor=self.run.cursor)
        self.failure: Failure | None = None
        self.rules: tuple[Rule, ...] = ()
        self.retrial: Retrial | None = None  # Of a run that retries dead letters.
        self.saver: Saver | None = None  # Of a task that leaves writing to us.
        self.log_lines: list[str] = []
        self.secrets = frozenset[str]()
        self.patience = Patience(PATIENCE, tries=LEAST_TRIES)
        self.since = monotonic()

    def run_to_a_stop(self) -> None:
        """Take one step after the other until one is the last."""
        with Pacemaker(self) as self.pacemaker:
            try:
                while not self._step():
                    pass
            finally:
                if self.is_prepared:
                    self.collection.close()

    def _step(self) -> bool:
        """Take the next step, and tell whether it was the last."""
        try:
            if self.failure is not None:
                return self._settle(self.failure)
            return self.stop() or self._walk_on()
        except LeaseLost:
            raise
        except BaseException as error:  # whatever a task may raise
            if self.is_end_of_worker(error):
                raise
            self._recover(error)
            return False

    def is_end_of_worker(self, error: BaseException) -> bool:
        """
        Tell whether an error ends the worker at once, and is none of the task's.

        A worker is told to stop before it is ended. Without that, sys.exit() is what
        the task does, and would do again with each message.
        """
        if isinstance(error, KeyboardInterrupt) and self.to_the_end:
            return True  # Ctrl-C where nobody listens for it: in run_now().
        is_exit = isinstance(error, SystemExit | KeyboardInterrupt)
        return is_exit and bool(self.interruption.asked)

    def stop(self, *, is_held: bool = False) -> bool:
        """Let the run go if a person, the worker or the clock wants it to stop."""
        if self.patience.is_tried and not is_held:
            # That its time is up must not let the patience begin anew and never end.
            reason = self.interruption.asked
        else:
            reason = self.interruption.reason()
        has_stopped = self.claim.let_go(reason=reason)
        if has_stopped:
            logger.info("%s is %s. %s", self.run, self.run.status, self.run.reason)
            self._announce()
        return has_stopped

    def _walk_on(self) -> bool:
        """Work on the next chunk; after the last one the run has succeeded."""
        if self.run.workers_lost > MOST_WORKERS_LOST:
            # Not the item ends them, but what it takes to come to it.
            self.failure = self._failure_of_lost_workers()
            return False
        if not self.is_prepared:
            self._prepare()
            self._announce_start()
        if self.run.workers_lost == MOST_WORKERS_LOST:
            self.failure = self._failure_of_lost_workers()
            return False
        chunk = self.chunk = Chunk(cursor=self.run.cursor)
        if hold := self._hold():
            return self._wait(hold)
        begun = monotonic()
        try:
            with self.watched():
                self._work_on_chunk()
        finally:
            self.throttling.rate.worked_on(chunk.executed, since=begun)
        spent = timedelta(seconds=monotonic() - begun)
        self._accept(chunk)
        if chunk.is_last:
            self.claim.end(Status.SUCCEEDED, **self._true_total())
            logger.info(
                "%s succeeded: %s done.", self.run, counted(self.run.done, "item")
            )
            self._announce()
        elif not chunk.failure:
            self._breathe(chunk, spent)
        return chunk.is_last

    def _true_total(self) -> dict[str, Any]:
        """Return what an estimate turned out to be."""
        if not self.run.is_total_estimated:
            return {}
        return {"total": self.run.reached, "is_total_estimated": False}

    # Throttles

    def _hold(self) -> Hold | None:
        """Return what a throttle says, if one holds; an error in it is no item's."""
        with self.pacemaker.watching():
            return self.throttling.ask()

    def _wait(self, hold: Hold) -> bool:
        """Wait, which is no time of the run's own; True if it is not ours any more."""
        begun = monotonic()
        try:
            with self.pacemaker.watching(looks=False):
                is_over = self.throttling.wait(hold)
        finally:
            self.since += (waited := monotonic() - begun)
            self.patience.put_off(waited)
        if is_over:
            self._announce()
        return is_over

    # At the start

    def _prepare(self) -> None:
        """Make the task and its collection from what the run's row says."""
        with self.pacemaker.watching():
            task_class = self._find_task()
            # An error may tell of them before there is a task.
            self.secrets = secrets_in(self.run.parameters, task_class.masked)
            self.task = task_class.restore(self.run.parameters, run=self.run)
            self.log_lines = self.task.log_lines
            self.secrets |= self.task.secrets
            self.alias = self.task.database or databases.home()
            self.is_sqlite = connections[self.alias].vendor == "sqlite"
            self.rules = (Discard(Skip), *rules_of(task_class))
            self.pace = Pace(self.task.batch_size)
            if self.run.workers_lost:
                self.pace.failed_somewhere(items=1)  # To know over which item.
            self.throttling = Throttling(
                self.task,
                self.claim,
                stop=partial(self.stop, is_held=True),
                keeps_worker=self.to_the_end,
            )
            self.collection = self.task.walk()
            if self.task.left_to_engine():
                self.saver = Saver(self.task, self.collection, self.alias)
            if self.run.parent_id is not None:
                self._retry_letters()
            self.walker = Walker(self)
            if self.run.total is None and self.run.cursor is None:
                self._note_beginning()
        if not self.to_the_end:
            self.interruption.limit_to(self.task.time_budget or conf.TIME_BUDGET)
        self.is_prepared = True

    def _note_beginning(self) -> None:
        """Write what is known once the collection is: its size, and what to beware."""
        self.run.total = total = self.task.count()
        self.run.is_total_estimated = isinstance(total, Estimate)
        self.run.unit = self.collection.unit
        warnings = engines.warnings(self.task, self.collection, self.alias)
        self.claim.write(
            *warnings,
            total=total,
            is_total_estimated=self.run.is_total_estimated,
            unit=self.run.unit,
        )
        self.run.logged += len(warnings)
        for warning in warnings:
            logger.warning("%s: %s", self.run, warning)

    def _retry_letters(self) -> None:
        """Walk dead letters instead of what they come from; none ends the run."""
        self.collection = RetriedLetters(self.run, self.collection)
        self.retrial = Retrial(self.run, self.task, self.secrets)
        if self.saver:
            self.saver.retry(self.retrial.process)
        self.rules = (Discard(Skip), *rules_without_end(type(self.task)))

    def _find_task(self) -> type[Task]:
        try:
            return self.run.task_class
        except TaskNotFound as error:
            raise TaskNotFound(
                f"{error} If it is newer than this worker, restart the workers and "
                "resume the run."
            ) from None

    # A chunk

    def _work_on_chunk(self) -> None:
        """Work on a chunk and save the place reached: together, where they can be."""
        if not self.task.atomic:
            self._work_without_transaction()
        elif self.alias == databases.home():
            with self.claim.transaction():
                with trustworthy(self.alias) as undoable:
                    self._work(undoable)
                self._checkpoint()
        else:
            with (
                databases.engine_transaction(self.alias, marker=self.claim.token),
                trustworthy(self.alias) as undoable,
            ):
                self._work(undoable)
            self._save_place()

    def _work_without_transaction(self) -> None:
        try:
            self._work(undoable=None)
        except BaseException as error:
            if self.chunk.items and not self.is_end_of_worker(error):
                self._save_place()
                self._accept(self.chunk)
            raise
        self._save_place()

    def _work(self, undoable: Undoable | None) -> None:
        # It ends when a throttle is due: outside of it that is asked.
        seconds = min(self._chunk_seconds(), self.throttling.seconds_left())
        most = min(
            self.throttling.rate.most(self._chunk_seconds()), self.interruption.most()
        )
        self.walker.work(self.chunk, seconds, most, undoable)

    def _chunk_seconds(self) -> float:
        if not self.task.atomic:
            return conf.CHECKPOINT_EVERY.total_seconds()
        length = self.task.chunk or conf.CHUNK
        if self.is_sqlite:
            length = min(length, databases.SQLITE_CHUNK)
        return length.total_seconds()

    def _save_place(self) -> None:
        with self.claim.transaction():
            self._checkpoint()

    def _checkpoint(self) -> None:
        """Make the place durable, with the counts, the lease and the log."""
        chunk = self.chunk
        self.claim.write(
            *self.log_lines,
            cursor=chunk.cursor,
            done=self.run.done + chunk.done,
            failed=self.run.failed + chunk.failed,
            skipped=self.run.skipped + chunk.skipped,
            changed=self.run.changed + chunk.changed,
            created=self.run.created + chunk.created,
            deleted=self.run.deleted + chunk.deleted,
            conflicts=self.run.conflicts + chunk.conflicts,
            item_attempts=chunk.attempts,
            workers_lost=0,  # Even if it failed: its worker lives.
            time_running=self.run.time_running + self.elapsed(),
            **self._result(),
        )
        # The run's own row first: the other order lets a person's wish die in a
        # deadlock on MariaDB.
        if self.retrial:
            self.retrial.settle(self.run.cursor, chunk)
        else:
            chunk.letters = keep(self.run, chunk.passed_over, self.secrets)

    def _result(self) -> dict[str, Any]:
        """Return what a Job returned, if it is this worker that has performed it."""
        if isinstance(self.task, Job) and self.chunk.items:
            return {"result": mask_value(self.task.result, self.secrets)}
        return {}

    def _accept(self, chunk: Chunk) -> None:
        """Believe what a chunk did, now that it is committed."""
        self.run.cursor = chunk.cursor
        self.run.done += chunk.done
        self.run.failed += chunk.failed
        self.run.skipped += chunk.skipped
        self.run.changed += chunk.changed
        self.run.created += chunk.created
        self.run.deleted += chunk.deleted
        self.run.conflicts += chunk.conflicts
        self.run.item_attempts = chunk.attempts
        self.run.workers_lost = 0
        self.run.time_running += self.elapsed()
        self.since = monotonic()
        self.run.logged += len(self.log_lines)
        self.log_lines.clear()
        self.failure = chunk.failure
        self.pace.completed(items=chunk.items, in_whole_pages=chunk.in_whole_pages)
        self.patience.reset()
        self._tell_of_passed_over(chunk)
        if settings.DEBUG:  # Django notes every query then, and nobody forgets them.
            for alias in {self.alias, databases.home()}:
                connections[alias].queries_log.clear()

    def _tell_of_passed_over(self, chunk: Chunk) -> None:
        while chunk.passed_over:
            chunk.passed_over.pop(0).tell(self.run, self.secrets)
        self.tell_of_letters(chunk.letters)

    def tell_of_letters(self, letters: list[DeadLetter]) -> None:
        """Tell who listens of dead letters, behind the commit, with the lease kept."""
        with self.pacemaker.watching():
            while letters:
                tell_of(letters.pop(0), secrets=self.secrets)

    def elapsed(self) -> timedelta:
        """Return the time since the last write."""
        return timedelta(seconds=monotonic() - self.since)

    def watched(self) -> AbstractContextManager[None]:
        """Have the pacemaker watch, and write except where it could not."""
        # There, the write lock is lease enough.
        is_locked_out = self.is_sqlite and self.alias == databases.home()
        return self.pacemaker.watching(writes=not (self.task.atomic and is_locked_out))

    def in_hand(self) -> tuple[int, str]:
        """
        Return the number of the step in hand, and the item, where it is of one.

        Asked from another thread, while it works.
        """
        if (failure := self.failure) is not None:
            return 0, failure.place
        return self.walker.in_hand() if self.is_prepared else (0, "")

    def _breathe(self, chunk: Chunk, spent: timedelta) -> None:
        """Leave SQLite's only write lock to others, who have no queue for it."""
        is_single_item_of_redo = self.pace.is_careful and chunk.items <= 1
        if self.task.atomic and self.is_sqlite and not is_single_item_of_redo:
            time.sleep(databases.gap_after(spent).total_seconds())

    # Failures

    def _recover(self, error: BaseException) -> None:
        """
        Find out where the run really is, and what to do about an error.

        The cursor in memory is void from here on: the chunk may have been committed
        although its COMMIT failed.
        """
        if self.failure and self.failure.is_last and not databases.is_passing(error):
            raise error  # It cannot even be told: another worker may try.
        # To discard a Job reads the row before its COMMIT, which may not have happened.
        chunk, place = self.chunk, (self.chunk if self.failure else self.run).cursor
        self._renew(error)
        is_committed = self.run.cursor != place
        if is_committed:
            self._tell_of_passed_over(chunk)
        self.chunk = Chunk(cursor=self.run.cursor)
        if self.failure is None:
            self._recover_from(error, chunk, is_committed=is_committed)
        else:
            self._recover_settlement(self.failure, error, is_committed=is_committed)

    def _recover_from(
        self, error: BaseException, chunk: Chunk, *, is_committed: bool
    ) -> None:
        """Go on after an error of a chunk, or make a failure of it."""
        is_noted = self._has_noted(chunk, is_committed=is_committed)
        if is_noted and databases.is_passing(error):
            self.log_lines.clear()  # They were written, and only the answer was lost.
            self.failure = chunk.failure
            return
        if databases.is_passing(error):
            goes_on = self._wait_and_try_again(chunk)
        elif is_committed:
            self._note_commit(error)
            goes_on = False
        else:
            goes_on = self._close_in_on_item(chunk, error)
        if goes_on:
            self.log_lines.clear()
        else:
            is_own = not is_committed and not isinstance(error, TransactionEnded)
            self.failure = self._failure(error, chunk, is_own=is_own)

    def _has_noted(self, chunk: Chunk, *, is_committed: bool) -> bool:
        """
        Tell whether the row counts the last attempt at the item behind a chunk.

        As many at the item that the chunk began with are not those, so a chunk that has
        come further must have moved the row's cursor.
        """
        if chunk.failure is None or is_committed != bool(chunk.items):
            return False
        return self.run.item_attempts == chunk.failure.attempts

    def _recover_settlement(
        self, failure: Failure, error: BaseException, *, is_committed: bool
    ) -> None:
        """Go on after an error that came while a failure was settled."""
        is_passing = databases.is_passing(error)
        if is_committed and is_passing:
            self.go_on_behind()  # It was seen to, and only the answer was lost.
        elif is_passing and self._wait_and_try_again(self.chunk):
            self.log_lines.clear()
        elif failure.is_last:
            raise error  # Nor can it be told by now: another worker may try.
        elif failure.handed_to and not (is_committed or is_passing):
            self.failure = failure.raised_by_method(error)
        else:
            # What is done with the item fails itself, and would do so again.
            if is_committed:
                self._note_commit(error)
            self.failure = Failure(error=error, place=failure.place, is_last=True)

    def _note_commit(self, error: BaseException) -> None:
        error.add_note("Its chunk had been committed; resume goes on behind it.")
        self.log_lines.clear()  # They were, too.

    def _failure(self, error: BaseException, chunk: Chunk, *, is_own: bool) -> Failure:
        place = chunk.hand.name if chunk.hand else ""
        if not (is_own and chunk.hand and chunk.is_alone(is_atomic=self.task.atomic)):
            return Failure(error=error, place=place)
        return Failure(
            error=error,
            place=place,
            hand=chunk.hand,
            attempts=self.run.item_attempts + 1,
            rules=self.rules,
        )

    def _failure_of_lost_workers(self) -> Failure:
        """Return the failure of the item over which workers fall silent."""
        lost = self.run.workers_lost
        error = WorkerLost(
            f"{lost} workers fell silent over it, one after the other. It may need "
            "more memory than there is, or end the process."
        )
        is_known = lost == MOST_WORKERS_LOST and self.is_prepared
        hand = self.walker.next_hand(self.run.cursor) if is_known else None
        if hand is None:
            return Failure(error=error)
        return Failure(
            error=error, place=hand.name, hand=hand, attempts=lost, rules=self.rules
        )

    def _renew(self, error: BaseException) -> None:
        """Take a new token, and wait for a database that is away."""
        patience = Patience(DATABASE_PATIENCE)
        while True:
            if databases.is_passing(error):
                databases.forget_lost_connection(databases.home())
                if self.is_prepared:
                    databases.forget_lost_connection(self.alias)
            try:
                return self.claim.renew()
            except Error as another:
                wait = patience.wait()
                if not databases.is_passing(another) or wait is None:
                    raise
                error = another
                time.sleep(wait)

    def _wait_and_try_again(self, chunk: Chunk) -> bool:
        """Give a lock or a restart time to pass; False when there was enough of it."""
        wait = self.patience.wait()
        if wait is None:
            return False
        if self.is_prepared:
            self.pace.failed_somewhere(items=chunk.items)
        time.sleep(wait)
        return True

    def _close_in_on_item(self, chunk: Chunk, error: BaseException) -> bool:
        """Arrange smaller chunks, until an error is one item's own: then False."""
        if not self.is_prepared or not self.task.atomic:
            return False  # What came before the item is done and saved.
        if isinstance(error, TransactionEnded):
            return False  # Each attempt would have its effects once more.
        if not chunk.is_worked and chunk.items:
            self.pace.failed_behind(chunk.items)
            return True
        if chunk.is_worked and self.walker.looks_closer():
            return True
        if chunk.is_worked and chunk.items > 1:
            self.pace.failed_somewhere(items=chunk.items)
            return True
        return False

    def _settle(self, failure: Failure) -> bool:
        """Do with a failure what the rules of the task say; without one, end."""
        if failure.hand is None:
            return self.end_as_errored(failure)
        stops = Settlement(self, failure, failure.hand).reach()
        if stops:
            self._announce(failure.error)
        return stops

    def go_on_behind(self) -> None:
        """Believe that an item that failed was seen to, now that it is committed."""
        self.failure = None
        self.run.refresh_from_db(using=databases.home())
        self.chunk = Chunk(cursor=self.run.cursor)
        self.since = monotonic()
        self.log_lines.clear()
        self.patience.reset()

    def end_as_errored(self, failure: Failure) -> bool:
        """Stop at the item that failed, and tell of it."""
        error = failure.error
        story = told(error, self.secrets)
        where = f" (at {failure.place})" if failure.place else ""
        reason = f"{type(error).__name__}: {story['error_message']}{where}"
        self.claim.write(
            *self.log_lines, time_running=self.run.time_running + self.elapsed()
        )
        place = databases.storable(failure.place)[:255]
        self.claim.end(
            Status.ERRORED, reason=reason, error_at=place, item_attempts=0, **story
        )
        self.log_lines.clear()
        done = counted(self.run.done, "item")
        report(
            error,
            run=self.run,
            handled=False,
            item=self.run.error_at,
            sentence=f"{self.run} errored, {done} done. {reason}",
            secrets=self.secrets,
        )
        self._announce(error)
        return True

    # What others are told

    def _announce_start(self) -> None:
        """Call the hooks of a first start, or those that the last worker died over."""
        with self.pacemaker.watching():
            if self.claim.untold:
                self._announce()
            else:
                announce_what_is_left_of(self.run)

    def _announce(self, error: BaseException | None = None) -> None:
        """Call the hooks and signals of the moves made here, which are committed."""
        task = self.task if self.is_prepared else None
        while self.claim.untold:
            announce(self.claim.untold.pop(0), task=task, error=error)
