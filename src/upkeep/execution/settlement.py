"""What becomes of an item that failed: what the rules of its task say is done."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django.db import connections

from upkeep import databases
from upkeep.execution import waiting
from upkeep.execution.failures import told, trustworthy
from upkeep.execution.forks import OneProcess
from upkeep.execution.reporting import report
from upkeep.runs.dead_letters import DeadLetter, fingerprint_of, payload_of
from upkeep.runs.status import Status
from upkeep.runs.words import duration
from upkeep.tasks.base import Job
from upkeep.tasks.masks import mask_text, mask_value
from upkeep.tasks.policies import Again, Case, Decision, HandOver, PassOver, Rule, judge

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import timedelta

    from upkeep.execution.executor import Executor
    from upkeep.execution.failures import Failure, Hand
    from upkeep.runs.models import Run
    from upkeep.tasks.collections.base import Cursor
    from upkeep.tasks.policies import Rule

logger = logging.getLogger("upkeep")

# Dead letters that one statement carries: the longest fit in what MariaDB takes.
LETTERS_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class PassedOver:
    """An item that failed and behind which its run goes on."""

    failure: Failure
    hand: Hand
    verdict: PassOver
    place: Cursor | None = field(kw_only=True)  # Before the item.

    def letter(self, run: Run, secrets: Collection[str]) -> DeadLetter:
        """Make a dead letter of the item, which nobody has saved."""
        error = self.failure.error
        return DeadLetter(
            run=run,
            item=databases.storable(self.hand.name)[:255],
            payload=mask_value(payload_of(self.hand.kept), secrets),
            cursor=self.place,
            attempts=self.failure.attempts,
            fingerprint=fingerprint_of(error),
            **told(error, secrets),
        )

    def tell(self, run: Run, secrets: Collection[str]) -> None:
        """Say so, now that it is committed; raise nothing."""
        name, error = self.hand.name or "its step", self.failure.error
        reason = mask_text(self.failure.reason, secrets)
        sentence = f"{run}: {name} counts as {self.verdict.counts_as}. {reason}"
        if self.verdict.is_reported:
            report(
                error,
                run=run,
                handled=True,
                item=self.hand.name,
                sentence=sentence,
                secrets=secrets,
            )
        else:
            logger.info("%s", sentence)


def keep(
    run: Run, items: Iterable[PassedOver], secrets: Collection[str]
) -> list[DeadLetter]:
    """Write dead letters of those items that are to be kept, and return them."""
    letters = [each.letter(run, secrets) for each in items if each.verdict.is_kept]
    if connections[databases.home()].features.can_return_rows_from_bulk_insert:
        manager = DeadLetter.objects.using(databases.home())
        return list(manager.bulk_create(letters, LETTERS_AT_ONCE))
    for letter in letters:  # Who is told of them wants to know their keys.
        letter.save(using=databases.home(), force_insert=True)
    return letters


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
            decision = self.failure.decision or judge(self.failure.rules, self._case())
        except Exception as error:  # noqa: BLE001 - whatever a rule's own code may do
            return self.executor.end_as_errored(replace(self.failure, error=error))
        match decision:
            case Decision(verdict=Again() as verdict):
                return self._try_again(verdict.wait)
            case Decision(rule=Rule() as rule, verdict=HandOver() as verdict):
                self._hand_over(rule, verdict.method)
                return self._go_on()
            case Decision(verdict=PassOver() as verdict):
                self._pass_over(verdict)
                return self._go_on()
        return self.executor.end_as_errored(self.failure)

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
        if wait >= waiting.WORTH_A_MESSAGE and not self.executor.to_the_end:
            return self.claim.let_go(
                reason=reason,
                run_after=databases.Now() + wait,
                item_attempts=attempts,
                workers_lost=0,
            )
        self.claim.write(
            *self.executor.log_lines, item_attempts=attempts, workers_lost=0
        )
        self.run.logged += len(self.executor.log_lines)
        self.executor.log_lines.clear()
        self.run.item_attempts, self.executor.failure = attempts, None
        self.run.workers_lost = 0
        with self.executor.pacemaker.watching(looks=False):
            return waiting.wait(wait, stop=self.executor.stop)

    # Handed over

    def _hand_over(self, rule: Rule, method: str) -> None:
        """Have a method of the task see to the item, which is done if it returns."""
        # Should it raise, the executor comes back with that error.
        self.executor.failure = replace(self.failure, handed_to=rule)
        arguments = [] if self.is_job else [self.hand.item]
        alias = self.executor.alias
        is_home = alias == databases.home()
        with self.executor.watched(), ExitStack() as stack:
            if is_home:
                stack.enter_context(self.claim.transaction())
            with (
                self._transaction_of_data(is_home=is_home),
                trustworthy(alias),
                OneProcess(self.executor.interruption),
            ):
                getattr(self.task, method)(self.failure.error, *arguments)
            if not is_home:
                stack.enter_context(self.claim.transaction())
            self._write_behind("done")

    def _transaction_of_data(self, *, is_home: bool) -> ExitStack:
        stack = ExitStack()
        if not is_home:
            alias, token = self.executor.alias, self.claim.token
            stack.enter_context(databases.engine_transaction(alias, marker=token))
        return stack

    # Passed over

    def _pass_over(self, verdict: PassOver) -> None:
        """Go on behind the item, and keep it where that is wanted."""
        passed = PassedOver(self.failure, self.hand, verdict, place=self.run.cursor)
        secrets, letters = self.executor.secrets, []
        with self.claim.transaction():
            # The run's own row first: the other order lets a person's wish die in a
            # deadlock on MariaDB.
            self._write_behind(verdict.counts_as)
            if self.is_job and verdict.discards_job:
                # Not behind the commit: who died between would leave it to succeed.
                self.claim.move(Status.DISCARDED, reason=self._reason)
            if self.executor.retrial is None:
                letters = keep(self.run, [passed], secrets)
        passed.tell(self.run, secrets)
        self.executor.tell_of_letters(letters)

    # And then

    def _write_behind(self, counts_as: str) -> None:
        """Write the place behind the item, with what it counts as."""
        changes: dict[str, Any] = {counts_as: getattr(self.run, counts_as) + 1}
        self.claim.write(
            *self.executor.log_lines,
            cursor=self.hand.after,
            item_attempts=0,
            workers_lost=0,
            time_running=self.run.time_running + self.executor.elapsed(),
            **changes,
        )
        if self.executor.retrial:
            self.executor.retrial.note(counts_as, self.hand.after, self.failure)

    def _go_on(self) -> bool:
        """Go on behind the item, or end where it was the last; tell which."""
        self.executor.go_on_behind()
        if self.hand.is_last and self.run.is_active:
            self.claim.end(Status.SUCCEEDED)
        if self.hand.is_last:
            logger.info("%s is %s.", self.run, self.run.status)
        return self.hand.is_last
