"""What can be told of a method without calling it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def is_lazy(function: object) -> bool:
    """Tell whether a call does nothing yet: it is async, or has a yield."""
    return (
        inspect.isgeneratorfunction(function)
        or inspect.iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
    )


def is_generator(function: object) -> bool:
    """Tell whether a call gives what it yields."""
    return inspect.isgeneratorfunction(function)


def takes(function: Callable[..., Any], arguments: int) -> bool:
    """Tell whether it can be called with so many; False where nobody can know."""
    try:
        inspect.signature(function).bind(*range(arguments))
    except (TypeError, ValueError):
        return False
    return True
