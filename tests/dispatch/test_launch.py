"""A worker process looks whether its supervisor is there before it begins."""

import os
import subprocess
import sys

import pytest

from upkeep.dispatch.launch import PARENT


def launched(parent: int | None) -> subprocess.CompletedProcess[str]:
    """Start a command as the supervisor of that process id would."""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    environment.pop(PARENT, None)
    if parent is not None:
        environment[PARENT] = str(parent)
    command = [sys.executable, "-m", "upkeep.dispatch.launch", "version"]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("parent", [os.getpid(), None])
def test_begins_where_it_is(parent: int | None) -> None:
    done = launched(parent)
    assert (done.returncode, done.stderr) == (0, "")


def test_ends_where_it_died_before_the_kernel_could_be_asked() -> None:
    done = launched(1)
    assert done.returncode == 1
    assert "The supervisor of this worker is gone." in done.stderr
