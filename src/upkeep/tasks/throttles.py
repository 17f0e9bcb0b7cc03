"""Throttles: conditions under which a run waits, as methods of a task or objects."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from inspect import isfunction
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django import forms
from django.utils.functional import Promise

from upkeep.exceptions import InvalidTask
from upkeep.tasks.methods import is_lazy, takes

if TYPE_CHECKING:
    from upkeep.tasks.base import Task

Method = TypeVar("Method", bound=Callable[..., Any])

Backoff = timedelta | Callable[..., timedelta]

BACKOFF = timedelta(seconds=30)
EVERY = timedelta(seconds=1)

# Nobody means to wait for longer, and databases cannot count to the end of time.
LONGEST_WAIT = timedelta(days=365)

MARK = "_upkeep_throttle"  # of a decorated method


class Throttle:
    """
    A condition under which a run waits.

    Subclass it and put an object into `throttles` of each task that shall heed it.
    """

    name: str = "Throttle"
    """By which people know it; the name of the class where it says nothing else."""

    backoff: Any = BACKOFF
    """
    How long a run waits before it asks again: a timedelta, or what returns one.

    A callable is called anew each time, with the task if it takes an argument.
    """

    every: timedelta = EVERY
    """The shortest time between two times that a run asks, and to wait."""

    do_not_call_in_templates: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in vars(cls):
            cls.name = cls.__name__

    def check(self, task: Any) -> object:
        """
        Say whether the run is to wait.

        Falsy: it goes on. True or a sentence: it waits for the backoff. A timedelta:
        it waits so long.
        """
        raise InvalidTask(f"{type(self).__name__} must define check(task).")


def throttle(
    *misplaced: object, backoff: Backoff = BACKOFF, every: timedelta = EVERY
) -> Callable[[Method], Method]:
    """Let a run wait while the method decorated says so; see `Throttle`."""
    if misplaced:
        raise InvalidTask(
            "Write @throttle(), with parentheses, and name what is in them: "
            "@throttle(backoff=…, every=…)."
        )

    def mark(method: Method) -> Method:
        if not isfunction(method):
            raise InvalidTask(f"@throttle() belongs on a plain method, not {method!r}.")
        setattr(method, MARK, (backoff, every))
        return method

    return mark


class _ByMethod(Throttle):
    """A throttle that a method of the task is."""

    def __init__(self, name: str, backoff: Backoff, every: timedelta) -> None:
        self.name = name
        self.backoff = backoff
        self.every = every

    def check(self, task: Task) -> object:
        return getattr(task, self.name)()


# From the class


def collect(cls: type[Task]) -> list[Throttle]:
    """
    Return the throttles of a task, those of a subclass before those of its parents.

    A method is one only where the class itself has it from its decorated form: one
    that a subclass writes without the decorator, or as None, is gone.
    """
    found: list[Throttle] = []
    seen: set[str] = set()
    for parent in cls.__mro__:
        for name, value in vars(parent).items():
            if name == "throttles":
                found += [each for each in value if not _is_among(each, found)]
            elif name not in seen:
                seen.add(name)
                if marked := _terms(value):
                    found.append(_ByMethod(name, *marked))
    return found


def _is_among(throttle: Throttle, found: Sequence[Throttle]) -> bool:
    return any(throttle is each for each in found)


def _terms(value: object) -> tuple[Backoff, timedelta] | None:
    """Return what the decorator was told, if this wears it."""
    function = getattr(value, "__func__", value)
    terms: tuple[Backoff, timedelta] | None = getattr(function, MARK, None)
    return terms if isfunction(function) else None


def complaints(cls: type[Task], *, reserved: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with the throttles of a task: sentences without its name."""
    for parent in cls.__mro__:
        for name, value in vars(parent).items():
            if name == "throttles":
                yield from _wrong_objects(value)
            elif _terms(value):
                yield from _wrong_method(cls, name, value, reserved)
    names = [each.name for each in collect(cls)]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"throttles has several of the name {name!r}: give each another name."


def _wrong_objects(value: object) -> Iterator[str]:
    if not isinstance(value, list | tuple):
        yield "throttles must be a list of Throttle objects."
        return
    for each in value:
        if isinstance(each, type) and issubclass(each, Throttle):
            yield f"throttles must hold objects: write {each.__name__}(…)."
        elif not isinstance(each, Throttle):
            yield f"throttles must hold Throttle objects, and not {each!r}."
        elif not _is_name(each.name):
            yield f"throttles has a {type(each).__name__} without a name."
        else:
            where = f"throttles: {each.name}"
            yield from _wrong_check(each.check, f"{where}.check(task)")
            yield from _wrong_terms(each.backoff, each.every, where)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _wrong_method(
    cls: type[Task], name: str, value: object, reserved: Collection[str]
) -> Iterator[str]:
    if name in reserved:
        yield f"{name} is what Task itself calls: give the throttle another name."
    if any(isinstance(vars(each).get(name), forms.Field) for each in cls.__mro__):
        yield f"{name} is a parameter and a throttle: give one of them another name."
    if not isfunction(value):
        yield f"{name}(self) must be a plain method to be a throttle."
    elif terms := _terms(value):
        yield from _wrong_check(value, f"{name}(self)")
        yield from _wrong_terms(*terms, name)


def _wrong_check(function: Any, where: str) -> Iterator[str]:
    if is_lazy(function):
        yield (
            f"{where} must be a plain method: called as one, an async function or one "
            "with a yield says nothing."
        )
    elif not takes(function, 1):
        yield f"{where} has the wrong arguments."


def _wrong_terms(backoff: object, every: object, where: str) -> Iterator[str]:
    if isinstance(backoff, timedelta):
        if backoff <= timedelta(0):
            yield f"{where}: backoff must be above zero."
    elif not callable(backoff):
        yield f"{where}: backoff must be a timedelta, or return one."
    elif not takes(backoff, 1) and not takes(backoff, 0):
        yield f"{where}: backoff must take the task, or nothing."
    if not isinstance(every, timedelta) or every < timedelta(0):
        yield f"{where}: every must be a timedelta, and not below zero."


# Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What a throttle says while it holds."""

    by: str
    reason: str
    wait: timedelta


def ask(throttle: Throttle, task: Task) -> Hold | None:
    """
    Ask a throttle, and return what it says; None where the run may go on.

    Raises InvalidTask where it says what nobody understands.
    """
    answer = throttle.check(task)
    if not answer:
        return None
    reason, wait = "", LONGEST_WAIT
    match answer:
        case timedelta():
            wait = answer
            if wait < timedelta(0):  # The moment that it speaks of is past.
                return None
        case str() | Promise():
            reason, wait = str(answer), _backoff(throttle, task)
        case True:
            wait = _backoff(throttle, task)
        case _:
            raise InvalidTask(
                f"The throttle {throttle.name} of {task.label()} returned "
                f"{answer!r}. Return nothing to go on, True or a sentence to wait for "
                "the backoff, or a timedelta to wait so long."
            )
    wait = min(max(wait, throttle.every), LONGEST_WAIT)
    return Hold(by=throttle.name, reason=reason, wait=wait)


def _backoff(throttle: Throttle, task: Task) -> timedelta:
    wait = throttle.backoff
    if callable(wait):
        wait = wait(task) if takes(wait, 1) else wait()
    if not isinstance(wait, timedelta) or wait <= timedelta(0):
        raise InvalidTask(
            f"The backoff of the throttle {throttle.name} of {task.label()} is "
            f"{wait!r}. It must be a timedelta above zero."
        )
    return wait
