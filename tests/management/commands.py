"""The command line, called in this process or run as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from time import monotonic, sleep
from typing import Any

from django.core.management import CommandError, call_command


@dataclass
class Outcome:
    """What a command left behind."""

    status: int
    out: str
    err: str


def upkeep(*words: Any) -> Outcome:
    """Give a command in this process, its output being a pipe."""
    out, err, status = StringIO(), StringIO(), 0
    try:
        call_command("upkeep", *map(str, words), stdout=out, stderr=err)
    except CommandError as error:
        status = error.returncode
        err.write(f"{type(error).__name__}: {error}")
    return Outcome(status, out.getvalue(), err.getvalue())


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> None:
    """Wait for what must come about; the limit is for when it does not."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "It did not happen in time."
        sleep(0.02)


def started(
    *words: Any, environment: dict[str, str] | None = None, **options: Any
) -> subprocess.Popen[str]:
    """Start a command as a process on the database of the test."""
    return subprocess.Popen(
        [sys.executable, "-m", "django", "upkeep", *map(str, words)],
        env=os.environ
        | {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONUNBUFFERED": "1"}
        | (environment or {}),
        text=True,
        start_new_session=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
    )


def next_line(process: subprocess.Popen[str]) -> str:
    """Wait for a line of a process, and return it."""
    assert process.stdout
    return process.stdout.readline()


def end(process: subprocess.Popen[str]) -> None:
    """See that nothing of it is left, whatever it is doing."""
    process.terminate()
    try:
        process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
