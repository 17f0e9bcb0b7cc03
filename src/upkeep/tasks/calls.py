"""Calls of functions, as they are kept where they fail and made again later."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async

from upkeep.compat import contexts, django_tasks
from upkeep.databases import storable
from upkeep.exceptions import InvalidCall
from upkeep.tasks.masks import FILTERED, mask_text, mask_value, masked_names, secrets_of
from upkeep.tasks.values import from_json, show, tag_of, to_storable

# What a second call is given beside its arguments; it may lie in users' queues.
MARKER = "upkeep_second_call"

# By this attribute what was decorated tells what is kept of its calls.
KEEPER = "_upkeep_keeper"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """A function, and which of its calls are kept, with what left out."""

    function: Callable[..., Any]
    errors: tuple[type[Exception], ...]
    masked: tuple[str, ...]
    reraise: bool

    @property
    def path(self) -> str:
        """The dotted path by which the function is found again."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    @property
    def is_async(self) -> bool:
        """Tell whether a call of it has to be awaited."""
        return inspect.iscoroutinefunction(self.function)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function as it was before it was decorated, and wait for it."""
        call = async_to_sync(self.function) if self.is_async else self.function
        return call(*args, **kwargs)

    def names(self, count: int) -> list[str]:
        """Return the names of so many arguments that are given by position."""
        known = inspect.signature(self.function).parameters.values()
        names = [each.name for each in known if each.kind in _BY_POSITION]
        rest = [each.name for each in known if each.kind == each.VAR_POSITIONAL]
        return [*names, *(rest or ["args"]) * max(count - len(names), 0)][:count]


_BY_POSITION = {
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
}


async def in_sync(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function which waits for the database, from one that must not."""
    return await sync_to_async(function)(*args)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call with what may be kept of its arguments."""

    path: str
    item: str  # The call in a line, for people.
    payload: dict[str, Any]
    obstacle: str  # Why it cannot be made again; "" if it can.
    secrets: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondCall:
    """A call that a worker makes for a dead letter, if nobody else has begun to."""

    letter: int
    token: str
    make: Callable[[], Any]


def call_of(keeper: Keeper, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
    """Return the call as it is kept, masked; raises nothing for what is in it."""
    given = list(_arguments(keeper, args, kwargs))
    # One by one: a function that takes any number of arguments has a name twice.
    secrets = frozenset[str]().union(
        *(_secrets(name, value, keeper.masked) for name, value, _ in given)
    )
    stored: list[tuple[str, bool, Any]] = []
    obstacles: list[str] = []
    for name, value, is_positional in given:
        data, obstacle = _kept(name, value, keeper.masked, secrets)
        stored.append((name, is_positional, data))
        obstacles += [obstacle] if obstacle else []
    payload = {
        "args": [data for _, is_positional, data in stored if is_positional],
        "kwargs": {
            name: data for name, is_positional, data in stored if not is_positional
        },
    }
    return Call(
        path=keeper.path,
        item=f"{keeper.function.__qualname__}({', '.join(_shown(stored))})",
        payload=payload,
        obstacle=mask_text(" ".join(obstacles), secrets),
        secrets=secrets,
    )


def _arguments(
    keeper: Keeper, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[tuple[str, Any, bool]]:
    """Yield each argument with its name, and whether it is given by position."""
    for name, value in zip(keeper.names(len(args)), args, strict=True):
        if not isinstance(value, contexts()):  # A Django task is given it anew.
            yield name, value, True
    for name, value in kwargs.items():
        yield storable(name), value, False


def _secrets(name: str, value: Any, masked: Collection[str]) -> frozenset[str]:
    try:
        return secrets_of({name: value}, masked)
    except Exception:  # noqa: BLE001 - what cannot be written as text is in no text
        return frozenset()


def _kept(
    name: str, value: Any, masked: Collection[str], secrets: Collection[str]
) -> tuple[Any, str]:
    """Return what is stored of an argument, and why it is not the whole."""
    if masked_names([name], masked):
        return FILTERED, f"Its argument {name} is masked, so it was not kept."
    try:
        # As the item of a list, which it will be: each database nests so deep.
        (data,) = to_storable([value])
    except Exception as error:  # noqa: BLE001 - whatever the host's objects may do
        kind = type(value).__qualname__
        why = str(error) if isinstance(error, TypeError) else type(error).__name__
        return f"[{kind}]", f"Its argument {name} was not kept. {why}"
    shown = mask_value(data, secrets)
    if shown != data:
        return shown, f"Its argument {name} holds what is masked, so it was not kept."
    return data, ""


def _shown(stored: list[tuple[str, bool, Any]]) -> Iterator[str]:
    for name, is_positional, data in stored:
        yield show(data) if is_positional else f"{name}={show(data)}"


# Found again


def keeper_of(found: Any) -> Keeper | None:
    """Return what is kept of the calls of a function or Django task, if anything is."""
    function = found.func if is_django_task(found) else found
    keeper = getattr(function, KEEPER, None)
    return keeper if isinstance(keeper, Keeper) else None


def find(path: str) -> Any:
    """
    Return what lies at the path: a decorated function, or a Django task of one.

    Raises InvalidCall for anything else: what a row names is not called for that alone.
    """
    try:
        found = pkgutil.resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidCall(f"{path} is not there any more: {error}.") from error
    if keeper_of(found) is None:
        raise InvalidCall(
            f"{path} is not under @dead_letters.on() any more. Put it back, or discard "
            "the letter."
        )
    return found


def is_django_task(found: object) -> bool:
    """Tell whether a function was made a task of Django's."""
    return isinstance(found, django_tasks())


def is_plain(data: Any) -> bool:
    """Tell whether what is stored is JSON as it stands, which any queue carries."""
    if isinstance(data, dict):
        return tag_of(data) is None and all(map(is_plain, data.values()))
    return not isinstance(data, list) or all(map(is_plain, data))


def arguments_of(payload: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments that were stored, records among them fetched afresh."""
    args = [from_json(data) for data in payload["args"]]
    return args, {name: from_json(data) for name, data in payload["kwargs"].items()}
