"""Runs that a test works off itself, as far as it wants to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
    stop = StopAfter(run, stop_after)
    with stop.counting():
        return advance_here(run, interruption=stop)


class StopAfter(Interruption):
    """Wants a run to stop when so many more items of it are done."""

    def __init__(self, run: Run, items: int) -> None:
        super().__init__()
        self.run = run
        self.goal = run.done + items
        self.done = run.done

    def reason(self) -> str:
        """Count anew from what is durable, for a chunk may have been rolled back."""
        rows = Run.objects.using(home()).filter(pk=self.run.pk)
        self.done = rows.values_list("done", flat=True).get()
        self._look()
        return super().reason()

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Look at each item that `process` is done with."""
        task = self.run.task_class
        process = task.process

        def counted(instance: Task, item: Any) -> None:
            process(instance, item)
            self.done += 1
            self._look()

        with mock.patch.object(task, "process", counted):
            yield

    def _look(self) -> None:
        if self.done >= self.goal:
            self.ask_to_stop("The test told it to stop.")


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
