"""Commands that run as processes of their own, and end with their test."""

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.management import commands

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(transactional_db: None) -> Iterator[Start]:
    """Return what starts a command as a process on the database of the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(*words: Any, **options: Any) -> subprocess.Popen[str]:
        processes.append(commands.started(*words, **options))
        return processes[-1]

    yield start
    for process in processes:
        commands.end(process)


@pytest.fixture
def worker(start: Start) -> subprocess.Popen[str]:
    """Return `upkeep worker`, working on the database of the test."""
    return start("worker", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
