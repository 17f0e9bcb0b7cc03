"""Throttles that hold because a test wants them to, and those that should hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

from upkeep.execution.throttling import Throttling
from upkeep.execution.waiting import WORTH_A_MESSAGE
from upkeep.runs.words import duration
from upkeep.tasks import throttles
from upkeep.tasks.base import Task
from upkeep.tasks.throttles import Hold, Throttle


@contextmanager
def throttled(task: type[Task] | Task, /, reason: str | None = None) -> Iterator[None]:
    """
    Have the throttles of a task hold in here, whatever they would say themselves.

    Runs of a class, or of one made with the same parameters, stop before the next item
    and wait for the backoff, with `reason` as what is told. Nothing sleeps:
    `run_inline` and `run_now` return the run as interrupted.
    """
    _must_have_throttles(task)
    ask = throttles.ask

    def held(throttle: Throttle, asking: Task) -> Hold | None:
        return ask(Held(throttle, reason) if _is(task, asking) else throttle, asking)

    with mock.patch.object(throttles, "ask", held), stops_when_throttled():
        yield


class Held(Throttle):
    """A throttle as it is while it holds."""

    def __init__(self, throttle: Throttle, reason: str | None) -> None:
        self.name = throttle.name
        self.backoff = throttle.backoff
        # Nobody is to wait in place for a throttle that does not let go by itself.
        self.every = max(throttle.every, WORTH_A_MESSAGE)
        self.reason = reason

    def check(self, task: Any) -> object:
        return self.reason or True


def _is(wanted: type[Task] | Task, asking: Task) -> bool:
    """Tell whether the task that asks is the one that was meant."""
    if isinstance(wanted, type):
        return isinstance(asking, wanted)
    return type(asking) is type(wanted) and asking.values == wanted.values


def stops_when_throttled() -> AbstractContextManager[Callable[..., bool]]:
    """Have runs stop for a throttle that holds for long, even those run in place."""

    def is_long(_: Throttling, hold: Hold) -> bool:
        return hold.wait >= WORTH_A_MESSAGE

    return mock.patch.object(Throttling, "is_left_to_a_message", is_long)


def assert_throttled(task: type[Task] | Task, /, *, reason: str | None = None) -> None:
    """
    Ask the throttles of a task as a run does, and fail if none of them holds now.

    With `reason`, what the first one that holds tells must contain it.
    """
    _must_have_throttles(task)
    answers: list[str] = []
    hold = _ask_all(task() if isinstance(task, type) else task, answers)
    if hold is None:
        complaint = "is not throttled"
    elif reason is not None and reason not in hold.reason:
        complaint = f"is throttled, but not because of {reason!r}"
    else:
        return
    raise AssertionError("\n  ".join([f"{_name(task)} {complaint}:", *answers]))


def _ask_all(task: Task, answers: list[str]) -> Hold | None:
    """Ask one throttle after the other until one holds; note what they answered."""
    for each in throttles.collect(type(task)):
        hold = throttles.ask(each, task)
        answers.append(f"{each.name} {_answer(hold)}")
        if hold:
            return hold
    return None


def _answer(hold: Hold | None) -> str:
    if hold is None:
        return "lets it go on"
    said = f"says {hold.reason!r}" if hold.reason else "gives no reason"
    return f"holds for {duration(hold.wait)} and {said}"


def _must_have_throttles(task: type[Task] | Task) -> None:
    if not throttles.collect(task if isinstance(task, type) else type(task)):
        raise AssertionError(
            f"{_name(task)} has no throttles. Decorate a method with @throttle(), or "
            "put Throttle objects into its throttles."
        )


def _name(task: type[Task] | Task) -> str:
    return (task if isinstance(task, type) else type(task)).__name__
