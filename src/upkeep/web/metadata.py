"""What a project attaches to the runs that are started on its pages."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.db import connections, transaction
from django.utils.module_loading import import_string

from upkeep.conf import conf
from upkeep.databases import home, storable
from upkeep.execution.failures import told
from upkeep.execution.reporting import report, secrets_of_run
from upkeep.runs.events import Event
from upkeep.tasks.masks import FILTERED, masked_names

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager

    from django.http import HttpRequest

    from upkeep.runs.models import Run
    from upkeep.tasks.base import Task


@dataclass(frozen=True, slots=True)
class Metadata:
    """What `UPKEEP["METADATA"]` says of a request, or the error that it met."""

    data: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None

    @classmethod
    def of(cls, request: HttpRequest, task: type[Task]) -> Metadata:
        """
        Ask for what is attached to a run of a task.

        Only PermissionDenied refuses the run. Whoever starts one in an emergency is not
        kept from it by a slip in what merely tells of it.
        """
        try:
            return cls(_as_kept(_found(request), task.masked))
        except PermissionDenied:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the host's code may raise
            return cls(error=error)

    def tell(self, run: Run) -> None:
        """Report the error, if there was one, and say so in the story of the run."""
        if self.error is None:
            return
        secrets = secrets_of_run(run)
        message = told(self.error, secrets)["error_message"]
        sentence = (
            f"It has no metadata, for UPKEEP['METADATA'] failed: "
            f"{type(self.error).__name__}: {message}"
        )
        run.tell(Event.Kind.NOTE, sentence)
        report(
            self.error,
            run=run,
            handled=True,
            sentence=f"{run}: {sentence}",
            secrets=secrets,
        )


def _found(request: HttpRequest) -> dict[str, Any]:
    """Return what the host's callable says, as JSON has it."""
    ask: Any = conf.METADATA
    if ask is None:
        return {}
    if isinstance(ask, str):
        ask = import_string(ask)
    with _unharmed():
        found = ask(request)
    if not isinstance(found, dict):
        raise TypeError(f"It must return a dict, and not {type(found).__name__}.")
    stored: dict[str, Any] = json.loads(json.dumps(found, allow_nan=False))
    return stored


def _unharmed() -> AbstractContextManager[object]:
    """Keep an error of the database from spoiling a transaction around the request."""
    if connections[home()].in_atomic_block:
        return transaction.atomic(using=home())
    return nullcontext()


def _as_kept(value: Any, masked: Collection[str]) -> Any:
    """Return JSON as every database takes it, without what its names say is secret."""
    if isinstance(value, str):
        return storable(value, at_most=len(value))
    if isinstance(value, list):
        return [_as_kept(each, masked) for each in value]
    if not isinstance(value, dict):
        return value
    hidden = masked_names(value, masked)
    return {
        _as_kept(name, masked): FILTERED if name in hidden else _as_kept(each, masked)
        for name, each in value.items()
    }
