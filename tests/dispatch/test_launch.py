"""A worker process looks whether its supervisor is there before it begins."""

import os
import subprocess
import sys

import pytest

from upkeep.dispatch.launch import PARENT


def launched(parent: int | None, *command: str) -> subprocess.CompletedProcess[str]:
    """Start a command as the supervisor of that process id would."""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    environment.pop(PARENT, None)
    if parent is not None:
        environment[PARENT] = str(parent)
    launch = [sys.executable, "-m", "upkeep.dispatch.launch"]
    return subprocess.run(
        [*launch, *(command or ["version"])],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("parent", [os.getpid(), None])
def test_begins_where_it_is(parent: int | None) -> None:
    done = launched(parent)
    assert (done.returncode, done.stderr) == (0, "")


def test_ends_where_it_died_before_the_kernel_could_be_asked() -> None:
    done = launched(1)
    assert done.returncode == 1
    assert "The supervisor of this worker is gone." in done.stderr


def test_has_what_it_loaded_looked_at_for_garbage_no_more() -> None:
    code = "import gc; print(gc.isenabled(), gc.get_freeze_count() > 10_000)"
    done = launched(None, "shell", "--no-imports", "-c", code)
    assert (done.stdout, done.stderr) == ("True True\n", "")
