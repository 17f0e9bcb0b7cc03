"""Runs that a test works off itself, as far as it wants to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from django.core.files.uploadedfile import SimpleUploadedFile

from upkeep.databases import home
from upkeep.dispatch import messages
from upkeep.dispatch.enqueue import advance_here, refuse_transaction, write_for_here
from upkeep.execution.interruption import Interruption
from upkeep.port import port
from upkeep.runs.models import Run
from upkeep.runs.status import Status
from upkeep.tasks.base import Task
from upkeep.testing.throttles import stops_when_throttled


def run_inline(
    task: type[Task] | Run, /, *, stop_after: int | None = None, **parameters: Any
) -> Run:
    """
    Run a task here, or go on with a run, and return the run as it is then.

    With `stop_after` it stops after so many items, as a run does whose worker is told
    to stop; give the run that is returned once more, and it goes on. It also stops
    where a throttle holds for 5 seconds or more. Raises what `run_now` raises, and
    InvalidTransition for a run that is over.
    """
    given: object = task
    if isinstance(given, Task):
        name = type(given).__name__
        raise TypeError(
            f"run_inline() takes the class, and its parameters: run_inline({name}, …)."
        )
    if stop_after is not None and stop_after < 0:
        raise ValueError(f"stop_after must be 0 or more, not {stop_after}.")
    with (
        mock.patch.object(port, "call_worker", messages.expect),  # Nobody else works.
        stops_when_throttled(),
    ):
        if isinstance(task, Run):
            run = _taken_up(task, parameters)
        else:
            run = write_for_here(replace(task.using(), given=parameters))
        return _advance(run, stop_after)


def _taken_up(run: Run, parameters: dict[str, Any]) -> Run:
    if parameters:
        raise TypeError(
            f"{run} has its parameters already; give a class with new ones."
        )
    refuse_transaction(run.task_class)
    run.refresh_from_db(using=home())
    if run.status != Status.ENQUEUED:
        run.resume(by="a test")
    return run


def _advance(run: Run, stop_after: int | None) -> Run:
    if stop_after is None:
        return advance_here(run)
    return advance_here(run, interruption=StopAfter(run, stop_after))


class StopAfter(Interruption):
    """Wants a run to stop when so many more items of it are done."""

    def __init__(self, run: Run, items: int) -> None:
        super().__init__()
        self.run = run
        self.goal = run.done + items

    @property
    def left(self) -> int:
        """How many are to be done until then, by what is durable."""
        rows = Run.objects.using(home()).filter(pk=self.run.pk)
        return max(self.goal - rows.values_list("done", flat=True).get(), 0)

    def most(self) -> int:
        """Return how many items the next chunk may have."""
        return max(self.left, 1)

    def reason(self) -> str:
        """Return why to stop, or an empty string."""
        if not self.left:
            self.ask_to_stop("The test told it to stop.")
        return super().reason()


def upload(content: str | bytes | Path, *, name: str = "") -> SimpleUploadedFile:
    """
    Return a file to give to a task, or to post to its form: of a text, bytes or a path.

    Its name is that of the path, and "upload" where there is none.
    """
    if isinstance(content, Path):
        name = name or content.name
        content = content.read_bytes()
    data = content.encode() if isinstance(content, str) else content
    return SimpleUploadedFile(name or "upload", data)
