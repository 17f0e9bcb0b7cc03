"""Machines that run `upkeep worker`, and whose service manager starts it again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import IO

from tests.servers import STOP_TIMEOUT, end_with_parent

ROOT = Path(__file__).resolve().parent.parent.parent


class Machine:
    """A supervisor with its workers, as a host runs it."""

    def __init__(
        self, environment: dict[str, str], log: IO[bytes], *, workers: int = 1
    ) -> None:
        self.environment = environment
        self.log = log
        self.command = ["upkeep", "worker", f"--workers={workers}"]
        self.start()

    def start(self) -> None:
        """Start the supervisor; it ends with this process, whatever ends that."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "django", *self.command],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
            preexec_fn=end_with_parent(signal.SIGTERM),  # noqa: PLW1509 - it allocates nothing
        )

    def keep_up(self) -> None:
        """Start the supervisor again if it has ended."""
        if self.process.poll() is not None:
            self.start()

    def workers(self) -> list[int]:
        """Return its worker processes, of which one may just be missing."""
        return children(self.process.pid)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def stop(self) -> float:
        """Stop it as a deploy does, and return how many seconds that took."""
        begun = monotonic()
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.end()
            raise
        return monotonic() - begun

    def end(self) -> None:
        """End all of it at once."""
        for pid in [self.process.pid, *self.workers()]:
            send(pid, signal.SIGKILL)
        self.process.wait()


def children(pid: int) -> list[int]:
    """Return the processes that the main thread of a process has started."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:  # It has just ended.
        return []
    return [int(word) for word in text.split()]


def parent(pid: int) -> int:
    """Return the process that has started another."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended meanwhile."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
