"""Keep the workers of all queues alive, and watch over the runs meanwhile."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic
from types import FrameType

from django.conf import settings

from upkeep.compat import task_backends
from upkeep.dispatch.brokers import broker
from upkeep.dispatch.launch import PARENT
from upkeep.dispatch.recovery import watch
from upkeep.exceptions import QueueRefused

logger = logging.getLogger("upkeep")

LOOK_EVERY = timedelta(seconds=0.2)
FIRST_RESTART_AFTER = timedelta(seconds=1)
LONGEST_RESTART_AFTER = timedelta(seconds=30)
STEADY_AFTER = timedelta(seconds=10)  # Who lived so long does not fail at its start.


def worker_commands(queues: Sequence[str] = ()) -> list[list[str]]:
    """
    Return the command of one worker for each backend of `TASKS` that can have one.

    Raises QueueRefused where none can, or where no backend serves a queue.
    """
    served = {alias: broker(alias) for alias in task_backends.settings}
    usable = {alias: one for alias, one in served.items() if one.has_worker}
    if not usable:
        next(iter(served.values())).worker_command(queues)  # It says why.
    commands = []
    for one in usable.values():
        its_queues = [
            queue
            for queue in queues
            if not one.backend.queues or queue in one.backend.queues
        ]
        if its_queues or not queues:
            commands.append(one.worker_command(its_queues))
    if not commands:
        known = dict.fromkeys(q for one in usable.values() for q in one.backend.queues)
        raise QueueRefused(
            f"No backend of TASKS serves {', '.join(queues)}. "
            f"They serve {', '.join(known)}."
        )
    return commands


class Worker:
    """A worker process that is started again when it dies, with growing waits."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = list(command)
        self.process: subprocess.Popen[bytes] | None = None
        self._start_at = 0.0
        self._started_at = 0.0
        self._wait = FIRST_RESTART_AFTER

    def keep_alive(self) -> None:
        """Start the process if it is not there and its time has come."""
        if self.process is not None and self.process.poll() is not None:
            self._note_death(self.process.returncode)
        if self.process is None and monotonic() >= self._start_at:
            self._start()

    def _start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "upkeep.dispatch.launch", *self.command],
            env=_environment(),
            # Its own group: Ctrl-C in the terminal reaches it through us, once.
            start_new_session=True,
        )
        self._started_at = monotonic()
        logger.info("Worker %s started: %s", self.process.pid, " ".join(self.command))

    def _note_death(self, status: int) -> None:
        lived = timedelta(seconds=monotonic() - self._started_at)
        if lived > STEADY_AFTER:
            self._wait = FIRST_RESTART_AFTER
        self._start_at = monotonic() + self._wait.total_seconds()
        logger.warning(
            "A worker ended with status %s; another starts in %s s.",
            status,
            self._wait.total_seconds(),
        )
        self._wait = min(self._wait * 2, LONGEST_RESTART_AFTER)
        self.process = None

    def signal(self, number: int) -> None:
        """Pass a signal on."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def wait(self) -> None:
        """Wait until the process has ended."""
        if self.process is not None:
            self.process.wait()


class Supervisor:
    """
    N workers for each command, and a watcher beside them.

    The first SIGTERM or Ctrl-C lets each worker finish the item in hand; a second one
    ends them at once, and their chunks are rolled back.
    """

    def __init__(self, commands: Sequence[Sequence[str]], *, workers: int = 1) -> None:
        self.workers = [Worker(command) for command in commands for _ in range(workers)]
        self._is_stopping = False

    def run(self) -> None:
        """Keep the workers alive until told to stop, then see them end."""
        with self._listening(), _watching():
            try:
                while not self._is_stopping:
                    for worker in self.workers:
                        worker.keep_alive()
                    time.sleep(LOOK_EVERY.total_seconds())
            finally:
                self._signal()
                for worker in self.workers:
                    worker.wait()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        numbers = [signal.SIGTERM, signal.SIGINT]
        if hasattr(signal, "SIGHUP") and not _outlives_terminal():
            numbers.append(signal.SIGHUP)
        previous = {number: signal.signal(number, self._stop) for number in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        # The first is passed on by run(): here a worker may be about to be born, and
        # would not hear of it. No lock may be taken here, nor an Event set.
        if self._is_stopping:
            self._signal()
        self._is_stopping = True

    def _signal(self) -> None:
        for worker in self.workers:
            worker.signal(signal.SIGTERM)


def _outlives_terminal() -> bool:
    """Tell whether `nohup` or a service manager wants us to live without a terminal."""
    return signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


@contextmanager
def _watching() -> Iterator[None]:
    stop = threading.Event()
    watcher = threading.Thread(
        target=watch, args=[stop], name="upkeep-watcher", daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join(timeout=5)


def _environment() -> dict[str, str]:
    """Have the workers find this project's settings and modules."""
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE,
        PARENT: str(os.getpid()),
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
    }
