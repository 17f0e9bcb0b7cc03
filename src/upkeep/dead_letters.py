"""
Calls that fail are kept as dead letters: `@dead_letters.on(PaymentError)`.

A letter keeps the path of the function, its arguments and its error, and by
`letter.retry()` a worker makes the call again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial, wraps
from typing import Any, TypeVar

from upkeep.exceptions import InvalidCall
from upkeep.port import port
from upkeep.tasks.calls import (
    KEEPER,
    MARKER,
    Keeper,
    SecondCall,
    call_of,
    in_sync,
    is_django_task,
    keeper_of,
)

__all__ = ["on"]

Target = TypeVar("Target")


def on(
    *errors: type[Exception],
    masked: Collection[str] = (),
    reraise: bool = True,
) -> Callable[[Target], Target]:
    """
    Keep the calls of a function, or of a Django task, that raise one of the errors.

    `masked` names arguments that are not kept. The error goes on to the caller, unless
    `reraise` is False: then the call returns None.
    """
    if not errors or not all(map(_is_error, errors)):
        raise InvalidCall("Name the errors: @dead_letters.on(PaymentError, OSError).")
    if isinstance(masked, str):
        raise InvalidCall(f"Write masked=({masked!r},): it is a list of names.")

    def decorate(target: Target) -> Target:
        if is_django_task(target):
            return replace(target, func=decorate(target.func))  # type: ignore[attr-defined,type-var] # it is a dataclass
        keeper = Keeper(
            function=_function(target),
            errors=errors,
            masked=tuple(masked),
            reraise=reraise,
        )
        return _kept(keeper)  # type: ignore[return-value] # it looks like the function

    return decorate


def _is_error(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Exception)


def _function(target: Any) -> Callable[..., Any]:
    """Return a function that can be found again, or say why it cannot be kept."""
    if isinstance(target, staticmethod | classmethod):
        kind = type(target).__name__
        raise InvalidCall(f"Write @dead_letters.on(…) under @{kind}, not above it.")
    if keeper_of(target):
        raise InvalidCall(
            f"{target.__qualname__} is under @dead_letters.on(…) twice: name all "
            "errors in one of them."
        )
    if not inspect.isfunction(target):
        raise InvalidCall(
            f"@dead_letters.on(…) is for functions, and {target!r} is none."
        )
    if "<" in target.__qualname__:
        raise InvalidCall(
            f"{target.__qualname__} is made inside of a function, where no worker "
            "could find it: write it in a module or in a class."
        )
    if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
        raise InvalidCall(
            f"{target.__qualname__} is a generator, which raises nothing when it is "
            "called: put @dead_letters.on(…) on the function that walks it."
        )
    return target


def _kept(keeper: Keeper) -> Callable[..., Any]:
    kept = _async(keeper) if keeper.is_async else _sync(keeper)
    setattr(kept, KEEPER, keeper)
    return kept


def _sync(keeper: Keeper) -> Callable[..., Any]:
    @wraps(keeper.function)
    def kept(*args: Any, **kwargs: Any) -> Any:
        if MARKER in kwargs:
            return _call_again(keeper, args, kwargs)
        try:
            return keeper.function(*args, **kwargs)
        except keeper.errors as error:
            if not _keep(keeper, args, kwargs, error) or keeper.reraise:
                raise
        return None

    return kept


def _async(keeper: Keeper) -> Callable[..., Any]:
    @wraps(keeper.function)
    async def kept(*args: Any, **kwargs: Any) -> Any:
        if MARKER in kwargs:
            return await in_sync(_call_again, keeper, args, kwargs)
        try:
            return await keeper.function(*args, **kwargs)
        except keeper.errors as error:
            is_kept = await in_sync(_keep, keeper, args, kwargs, error)
            if not is_kept or keeper.reraise:
                raise
        return None

    return kept


def _keep(
    keeper: Keeper, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception
) -> bool:
    return port.keep(call_of(keeper, args, kwargs), error)


def _call_again(keeper: Keeper, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make the call for a letter: whoever is given the marker is its worker."""
    letter, token = kwargs.pop(MARKER)
    make = partial(keeper.call, *args, **kwargs)
    try:
        return port.call_again(SecondCall(letter=letter, token=token, make=make))
    except keeper.errors:
        if keeper.reraise:
            raise
    return None
