"""What becomes of an item that failed: what the rules of its task say is done."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from upkeep import databases
from upkeep.execution.failures import told, trustworthy
from upkeep.execution.letters import tell_of
from upkeep.execution.reporting import report
from upkeep.runs.dead_letters import DeadLetter, fingerprint_of, payload_of
from upkeep.runs.status import Status
from upkeep.runs.words import duration
from upkeep.tasks.base import Job
from upkeep.tasks.masks import mask_text, mask_value
from upkeep.tasks.policies import Again, Case, HandOver, PassOver, judge

if TYPE_CHECKING:
    from upkeep.execution.executor import Executor
    from upkeep.execution.failures import Failure, Hand
    from upkeep.tasks.collections.base import Cursor
    from upkeep.tasks.policies import Rule

logger = logging.getLogger("upkeep")

# Who waits longer gives the worker back.
LONGEST_WAIT_IN_PLACE = timedelta(seconds=5)

# How often a worker that waits asks if somebody wants it to stop.
ASK_EVERY = timedelta(seconds=0.5)


class Settlement:
    """The end of a failure; whatever is written has the executor's claim behind it."""

    def __init__(self, executor: Executor, failure: Failure, hand: Hand) -> None:
        self.executor = executor
        self.claim, self.run, self.task = executor.claim, executor.run, executor.task
        self.is_job = isinstance(executor.task, Job)
        self.failure = failure
        self.hand = hand

    def reach(self) -> bool:
        """Do what the first rule says that decides; tell whether the run stops."""
        try:
            decision = judge(self.failure.rules, self._case())
        except Exception as error:  # noqa: BLE001 - whatever a rule's own code may do
            return self.executor.end_as_errored(replace(self.failure, error=error))
        if decision is None:
            return self.executor.end_as_errored(self.failure)
        rule, verdict = decision
        match verdict:
            case Again():
                return self._try_again(verdict.wait)
            case HandOver():
                self._hand_over(rule, verdict.method)
                return self._go_on()
            case PassOver():
                self._pass_over(verdict)
                return self._go_on()

    def _case(self) -> Case:
        return Case(
            error=self.failure.error,
            attempts=self.failure.attempts,
            failed=self.run.failed,
            items=self.run.reached + 1,
        )

    @property
    def _reason(self) -> str:
        return mask_text(self.failure.reason, self.executor.secrets)

    # Again

    def _try_again(self, wait: timedelta) -> bool:
        """Wait before the item is executed again: here, or with the next message."""
        attempts = self.failure.attempts
        name = self.hand.name or "Its step"
        reason = f"{name} is tried again after {duration(wait)}. {self._reason}"
        logger.info("%s: attempt %s failed. %s", self.run, attempts, reason)
        if wait > LONGEST_WAIT_IN_PLACE and not self.executor.to_the_end:
            return self.claim.let_go(
                reason=reason,
                run_after=databases.Now() + wait,
                item_attempts=attempts,
            )
        self.claim.write(*self.executor.log_lines, item_attempts=attempts)
        self.run.logged += len(self.executor.log_lines)
        self.executor.log_lines.clear()
        self.run.item_attempts, self.executor.failure = attempts, None
        return self._rest(wait)

    def _rest(self, wait: timedelta) -> bool:
        """Wait with the lease kept; tell whether somebody wanted the run to stop."""
        until = time.monotonic() + wait.total_seconds()
        with self.executor.pacemaker.watching():
            while (rest := until - time.monotonic()) > 0:
                if self.executor.stop():
                    return True
                time.sleep(min(rest, ASK_EVERY.total_seconds()))
        return False

    # Handed over

    def _hand_over(self, rule: Rule, method: str) -> None:
        """Have a method of the task see to the item, which is done if it returns."""
        rules = tuple(each for each in self.failure.rules if each is not rule)
        # Should it raise, the executor comes back with that error and these rules.
        self.executor.failure = replace(self.failure, rules=rules, is_handed_over=True)
        arguments = [] if self.is_job else [self.hand.item]
        alias = self.executor.alias
        is_home = alias == databases.home()
        with self.executor.watched(), ExitStack() as stack:
            if is_home:
                stack.enter_context(self.claim.transaction())
            with self._transaction_of_data(is_home=is_home), trustworthy(alias):
                getattr(self.task, method)(self.failure.error, *arguments)
            if not is_home:
                stack.enter_context(self.claim.transaction())
            self._write_behind(done=1)

    def _transaction_of_data(self, *, is_home: bool) -> ExitStack:
        stack = ExitStack()
        if not is_home:
            alias, token = self.executor.alias, self.claim.token
            stack.enter_context(databases.engine_transaction(alias, marker=token))
        return stack

    # Passed over

    def _pass_over(self, verdict: PassOver) -> None:
        """Go on behind the item, and keep it where that is wanted."""
        place = self.run.cursor
        letter: DeadLetter | None = None
        with self.claim.transaction():
            # The run's own row first: the other order lets a person's wish die in a
            # deadlock on MariaDB.
            self._write_behind(**{verdict.counts_as: 1})
            if self.is_job and verdict.discards_job:
                # Not behind the commit: who died between would leave it to succeed.
                self.claim.move(Status.DISCARDED, reason=self._reason)
            if verdict.is_kept:
                letter = self._keep(place)
        if letter is not None:
            self._tell_of(letter)
        name = self.hand.name or "its step"
        sentence = f"{self.run}: {name} counts as {verdict.counts_as}. {self._reason}"
        if not verdict.is_reported:
            logger.info("%s", sentence)
            return
        report(
            self.failure.error,
            run=self.run,
            handled=True,
            item=self.hand.name,
            sentence=sentence,
            secrets=self.executor.secrets,
        )

    def _tell_of(self, letter: DeadLetter) -> None:
        """Tell who listens of a letter, behind the commit, with the lease kept."""
        with self.executor.pacemaker.watching():
            tell_of(letter, secrets=self.executor.secrets)

    def _keep(self, place: Cursor | None) -> DeadLetter:
        """Make a dead letter of the item."""
        error, secrets = self.failure.error, self.executor.secrets
        return DeadLetter.objects.using(databases.home()).create(
            run=self.run,
            item=databases.storable(self.hand.name)[:255],
            payload=mask_value(payload_of(self.hand.item), secrets),
            cursor=place,
            attempts=self.failure.attempts,
            fingerprint=fingerprint_of(error),
            **told(error, secrets),
        )

    # And then

    def _write_behind(self, **counts: int) -> None:
        """Write the place behind the item, with what it counts as."""
        changes: dict[str, Any] = {
            name: getattr(self.run, name) + number for name, number in counts.items()
        }
        self.claim.write(
            *self.executor.log_lines,
            cursor=self.hand.after,
            item_attempts=0,
            time_running=self.run.time_running + self.executor.elapsed(),
            **changes,
        )

    def _go_on(self) -> bool:
        """Go on behind the item, or end where it was the last; tell which."""
        self.executor.go_on_behind()
        if self.hand.is_last and self.run.is_active:
            self.claim.end(Status.SUCCEEDED)
        if self.hand.is_last:
            logger.info("%s is %s.", self.run, self.run.status)
        return self.hand.is_last
