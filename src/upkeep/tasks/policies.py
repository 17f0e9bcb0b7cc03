"""
What becomes of an item that fails: the rules of a task's `on_error`.

They are asked in order, those of a subclass before those of its parents, and the first
that fits the error and has a verdict decides. Where none has, the run stops as errored.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from upkeep.exceptions import InvalidTask

if TYPE_CHECKING:
    from upkeep.tasks.base import Task

Wait = Callable[[int], timedelta]

# From so many items on a share of failures means something.
ENOUGH_FOR_A_SHARE = 50

A_DAY = timedelta(days=1)


# How long to wait before an item is tried again


def constant(attempt: int) -> timedelta:  # noqa: ARG001 - one of a family
    """Wait 3 seconds, whichever attempt it was."""
    return timedelta(seconds=3)


def linear(attempt: int) -> timedelta:
    """Wait 3, 6, 9, 12 … seconds."""
    return timedelta(seconds=3 * attempt)


def exponential(attempt: int) -> timedelta:
    """Wait 2, 4, 8, 16 … seconds, a day at most."""
    return min(timedelta(seconds=2 ** min(attempt, 20)), A_DAY)


def polynomial(attempt: int) -> timedelta:
    """Wait 3, 18, 83, 258 … seconds, the fourth power of the attempt and 2."""
    return min(timedelta(seconds=min(attempt, 20) ** 4 + 2), A_DAY)


# What is decided


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An item that failed, as far as a rule has to know it."""

    error: BaseException
    attempts: int
    """How often the item was executed, this time included."""

    failed: int
    """How many items of the run have failed and were passed over, without this one."""

    items: int
    """How many items the run has behind it, this one included."""


@dataclass(frozen=True, slots=True)
class Again:
    """Execute the item again after so long."""

    wait: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOver:
    """Go on behind the item; a Job, which has no other, ends."""

    counts_as: str
    """The column of the run that counts it: "skipped" or "failed"."""

    is_reported: bool = False
    is_kept: bool = False
    """Whether it becomes a dead letter."""

    discards_job: bool = False
    """Whether a Job ends as discarded; otherwise as succeeded."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """Let a method of the task see to it."""

    method: str


Verdict = Again | PassOver | HandOver


# The rules


class Rule(ABC):
    """What becomes of an item that fails with one of these errors."""

    def __init__(self, *errors: object) -> None:
        name = type(self).__name__
        if not errors:
            raise InvalidTask(
                f"{name}() needs the errors that it is for, such as {name}(OSError)."
            )
        for error in errors:
            if not (isinstance(error, type) and issubclass(error, Exception)):
                raise InvalidTask(
                    f"{name}() takes classes of errors, and {error!r} is none."
                )
        self.errors = cast("tuple[type[Exception], ...]", errors)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(e.__name__ for e in self.errors)})"

    def fits(self, error: BaseException) -> bool:
        """Tell whether the rule is for this error."""
        return isinstance(error, self.errors)

    @abstractmethod
    def verdict(self, case: Case) -> Verdict | None:
        """Return what is to be done; None leaves it to the rules that follow."""


class Retry(Rule):
    """
    Execute the item again.

    `attempts` counts executions, the first included; `wait` is a timedelta, or called
    with the number of the attempt that failed; `jitter` adds up to that share of it at
    random. Once they are used up, the rules that follow decide.
    """

    def __init__(
        self,
        *errors: type[Exception],
        attempts: int = 5,
        wait: timedelta | Wait = polynomial,
        jitter: float = 0.15,
    ) -> None:
        super().__init__(*errors)
        if attempts < 1:
            raise InvalidTask(f"Retry(attempts={attempts}) must be 1 or more.")
        if not isinstance(wait, timedelta) and not callable(wait):
            raise InvalidTask(
                f"Retry(wait={wait!r}) must be a timedelta, or called with the number "
                "of the attempt, such as polynomial."
            )
        if not 0 <= jitter <= 1:
            raise InvalidTask(f"Retry(jitter={jitter}) must be from 0 to 1.")
        self.attempts = attempts
        self.wait = wait
        self.jitter = jitter

    def verdict(self, case: Case) -> Again | None:
        if case.attempts >= self.attempts:
            return None
        wait = self.wait if isinstance(self.wait, timedelta) else self._asked(case)
        return Again(wait * (1 + self.jitter * random.random()))  # noqa: S311 - no secret

    def _asked(self, case: Case) -> timedelta:
        wait: object = self.wait(case.attempts)  # type: ignore[operator]
        if not isinstance(wait, timedelta):
            raise InvalidTask(f"Retry(wait=…) returned {wait!r}, and no timedelta.")
        return wait


class Discard(Rule):
    """Pass the item over, and count it as skipped; a Job ends as discarded."""

    def verdict(self, case: Case) -> PassOver:
        return PassOver(counts_as="skipped", discards_job=True)


class Report(Rule):
    """Report the error and go on, and count the item as failed."""

    def verdict(self, case: Case) -> PassOver:
        return PassOver(counts_as="failed", is_reported=True)


class Quarantine(Rule):
    """
    Keep the item as a dead letter and go on, and count it as failed.

    `at_most` is the number of items that may fail in a run or, as a float, their share
    of the items so far, which counts from 50 on; past it the run stops as errored.
    A Job ends as discarded.
    """

    def __init__(
        self, *errors: type[Exception], at_most: int | float | None = None
    ) -> None:
        super().__init__(*errors)
        is_share = isinstance(at_most, float)
        if at_most is not None and (at_most < 0 or (is_share and at_most > 1)):
            raise InvalidTask(
                f"Quarantine(at_most={at_most}) must be a number of items, such as "
                "100, or a share of them, such as 0.01."
            )
        self.at_most = at_most

    def verdict(self, case: Case) -> PassOver | None:
        if self._is_full(case):
            case.error.add_note(
                f"{case.failed:,} of {case.items:,} items have failed already, and "
                f"Quarantine(at_most={self.at_most}) allows no more."
            )
            return None
        return PassOver(counts_as="failed", is_kept=True, discards_job=True)

    def _is_full(self, case: Case) -> bool:
        if self.at_most is None:
            return False
        failed = case.failed + 1
        if isinstance(self.at_most, float):
            return (
                case.items >= ENOUGH_FOR_A_SHARE and failed > self.at_most * case.items
            )
        return failed > self.at_most


class Otherwise(Quarantine):
    """Keep whatever item no other rule decides: the last rule where none may end it."""

    def __init__(self) -> None:
        super().__init__(Exception)

    def fits(self, error: BaseException) -> bool:
        """Tell that the rule is for any error."""
        return True


class Handle(Rule):
    """
    Let a method see to it: `Handle(StockError, "backorder")`.

    It is called with the error and the item (in a Job with the error alone), in a
    transaction of its own. If it returns, the item is done; what it raises goes through
    the rules that follow.
    """

    def __init__(self, *errors_and_method: type[Exception] | str) -> None:
        *errors, method = errors_and_method or ("",)
        if not isinstance(method, str) or not method:
            raise InvalidTask(
                "Handle() needs the name of a method behind the errors, such as "
                'Handle(OSError, "try_elsewhere").'
            )
        super().__init__(*errors)
        self.method = method

    def verdict(self, case: Case) -> HandOver:
        return HandOver(self.method)


def rules_of(task: type[Task]) -> list[Rule]:
    """Return the rules of a task, with those of its parents behind them."""
    return [
        rule for parent in task.__mro__ for rule in vars(parent).get("on_error", ())
    ]


def rules_without_end(task: type[Task]) -> list[Rule]:
    """Return the rules of a task so that no item ends the run, however many fail."""
    rules = [copy(rule) for rule in rules_of(task)]
    for rule in rules:
        if isinstance(rule, Quarantine):
            rule.at_most = None
    return [*rules, Otherwise()]


@dataclass(frozen=True, slots=True)
class Decision:
    """What the rules say of a case: the first that decides it, and what."""

    rule: Rule | None = None  # None where none does.
    verdict: Verdict | None = None


def judge(rules: Iterable[Rule], case: Case) -> Decision:
    """Return what the first rule says that decides the case."""
    for rule in rules:
        if rule.fits(case.error) and (verdict := rule.verdict(case)):
            return Decision(rule, verdict)
    return Decision()


def refusals(task: type[Task]) -> Iterator[str]:
    """Yield what is wrong with the rules that a class declares itself."""
    own = vars(task).get("on_error", [])
    if not isinstance(own, list | tuple) or not all(isinstance(r, Rule) for r in own):
        yield "on_error must be a list of rules, such as [Retry(OSError)]."
        return
    for rule in own:
        if isinstance(rule, Handle) and not callable(getattr(task, rule.method, None)):
            yield f"on_error hands errors to {rule.method}(), which it does not have."
