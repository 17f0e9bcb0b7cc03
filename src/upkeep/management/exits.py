"""How a command ends other than well; the name of each stands before its sentence."""

from __future__ import annotations

from typing import Any

from django.core.management import CommandError


class Exit(CommandError):
    """An end whose exit status belongs to its kind."""

    status = 1

    def __init__(self, *args: Any) -> None:
        super().__init__(*args, returncode=self.status)


class Failed(Exit):
    """What was asked for did not come about."""


class Paused(Exit):
    """The run that was watched keeps its place until somebody resumes it."""


class Cancelled(Exit):
    """Somebody ended the run that was watched."""


class Usage(Exit):
    """What was asked for makes no sense."""

    status = 2


class Refused(Exit):
    """What was asked for cannot be had now, or not from this queue."""

    status = 3


class Stopped(Exit):
    """Somebody pressed Ctrl-C."""

    status = 130
