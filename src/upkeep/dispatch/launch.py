"""
A worker process as the supervisor starts it: `python -m upkeep.dispatch.launch`.

It ends when its supervisor dies, even by SIGKILL: without one nobody would watch over
the runs, start it again, or stop it at the next deploy. And it tells of its runs.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import django
from django.core.management import execute_from_command_line

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

PARENT = "UPKEEP_SUPERVISOR"  # its process id, in the environment


def main(arguments: Sequence[str]) -> None:
    """Be the worker that a `manage.py` command is."""
    end_with_parent()
    django.setup()
    gc.freeze()  # What is loaded now stays: no search for garbage need look at it.
    tell_of_runs()
    execute_from_command_line(["manage.py", *arguments])


def end_with_parent() -> None:
    """Be told to stop when the parent dies; only on Linux does anybody tell."""
    parent = os.environ.get(PARENT)
    if sys.platform == "linux":
        signal.signal(signal.SIGUSR2, _stop_when_orphaned)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGUSR2)
    # It may have died before it came to that.
    if parent and int(parent) != os.getppid():
        sys.exit("The supervisor of this worker is gone.")


def _stop_when_orphaned(number: int, _frame: FrameType | None) -> None:
    """
    Say SIGTERM, once: to a worker a second one says that it is to stop at once.

    The kernel tells of each thread of the parent that dies, behind the last of which we
    have another parent.
    """
    if str(os.getppid()) != os.environ.get(PARENT):
        signal.signal(number, signal.SIG_IGN)
        os.kill(os.getpid(), signal.SIGTERM)


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
