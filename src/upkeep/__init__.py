"""
Long, dangerous work beside a Django project's requests, done safely.

Names are looked up when they are asked for: `import upkeep` needs no settings.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upkeep import dead_letters
    from upkeep.exceptions import (
        AlreadyActive,
        InvalidParameters,
        InvalidTransition,
        Skip,
        UpkeepError,
    )
    from upkeep.runs.models import Run
    from upkeep.tasks.base import Job, Task
    from upkeep.tasks.collections.batches import Batches
    from upkeep.tasks.collections.sizes import Estimate
    from upkeep.tasks.creates import Creates
    from upkeep.tasks.parameters import parameter
    from upkeep.tasks.policies import (
        Discard,
        Handle,
        Quarantine,
        Report,
        Retry,
        constant,
        exponential,
        linear,
        polynomial,
    )
    from upkeep.tasks.throttles import Throttle, throttle

__version__ = "0.1.0"

__all__ = [
    # What developers write
    "Batches",
    "Creates",
    "Estimate",
    "Job",
    "Task",
    "parameter",
    # What becomes of an item that fails
    "Discard",
    "Handle",
    "Quarantine",
    "Report",
    "Retry",
    "Skip",
    "constant",
    "exponential",
    "linear",
    "polynomial",
    # What becomes of a call that fails
    "dead_letters",
    # When a run waits
    "Throttle",
    "throttle",
    # How runs are started
    "enqueue",
    # What can go wrong
    "AlreadyActive",
    "InvalidParameters",
    "InvalidTransition",
    "UpkeepError",
]

_HOMES = {
    "Batches": "upkeep.tasks.collections.batches",
    "Creates": "upkeep.tasks.creates",
    "Estimate": "upkeep.tasks.collections.sizes",
    "Job": "upkeep.tasks.base",
    "Task": "upkeep.tasks.base",
    "parameter": "upkeep.tasks.parameters",
    "Discard": "upkeep.tasks.policies",
    "Handle": "upkeep.tasks.policies",
    "Quarantine": "upkeep.tasks.policies",
    "Report": "upkeep.tasks.policies",
    "Retry": "upkeep.tasks.policies",
    "Skip": "upkeep.exceptions",
    "constant": "upkeep.tasks.policies",
    "exponential": "upkeep.tasks.policies",
    "linear": "upkeep.tasks.policies",
    "polynomial": "upkeep.tasks.policies",
    "Throttle": "upkeep.tasks.throttles",
    "throttle": "upkeep.tasks.throttles",
    "AlreadyActive": "upkeep.exceptions",
    "InvalidParameters": "upkeep.exceptions",
    "InvalidTransition": "upkeep.exceptions",
    "UpkeepError": "upkeep.exceptions",
}

# Those that are used by their own name: `@dead_letters.on(OSError)`.
_MODULES = {"dead_letters"}


def enqueue(label: str, /, **parameters: Any) -> Run:
    """Start the task with that label; see `Task.enqueue`. Raises TaskNotFound too."""
    from upkeep.tasks import registry

    return registry.get(label).enqueue(**parameters)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"upkeep.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
