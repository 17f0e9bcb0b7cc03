"""
A worker process as the supervisor starts it: `python -m upkeep.dispatch.launch`.

It ends when its supervisor dies, even by SIGKILL: without one nobody would watch over
the runs, start it again, or stop it at the next deploy. And it tells of its runs.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Sequence

import django
from django.core.management import execute_from_command_line

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

PARENT = "UPKEEP_SUPERVISOR"  # its process id, in the environment


def main(arguments: Sequence[str]) -> None:
    """Be the worker that a `manage.py` command is."""
    end_with_parent()
    django.setup()
    tell_of_runs()
    execute_from_command_line(["manage.py", *arguments])


def end_with_parent() -> None:
    """Have the kernel send SIGTERM when the parent dies; only Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # It may have died before it came to that.
    parent = os.environ.get(PARENT)
    if parent and int(parent) != os.getppid():
        sys.exit("The supervisor of this worker is gone.")


def tell_of_runs() -> None:
    """Write what happens to runs to the terminal, unless the host has its own way."""
    logger = logging.getLogger("upkeep")
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


if __name__ == "__main__":
    main(sys.argv[1:])
