"""A run that is wanted, before there is one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from upkeep.port import port

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from upkeep.runs.models import Run
    from upkeep.tasks.base import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A run that is wanted: its task, its parameters, and how to queue it."""

    task: type[Task]
    queue: str
    priority: int
    backend: str
    run_after: datetime | None
    by: AbstractBaseUser | str | None
    metadata: dict[str, Any]
    given: dict[str, Any] = field(default_factory=dict)

    def enqueue(self, **given: Any) -> Run:
        """Write the row of a run, for a worker to find."""
        return port.enqueue(replace(self, given=given))

    def run_now(self, **given: Any) -> Run:
        """Run here, in this process, to the end."""
        return port.run_now(replace(self, given=given))
