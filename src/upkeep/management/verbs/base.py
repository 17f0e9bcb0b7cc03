"""What the verbs of the command line have in common."""

from __future__ import annotations

import getpass
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from upkeep.databases import home
from upkeep.management.exits import Usage
from upkeep.runs.models import Run

if TYPE_CHECKING:
    from django.core.management.base import CommandParser, OutputWrapper

    from upkeep.management.screen import Screen


class Verb:
    """One thing that one can ask of `manage.py upkeep`."""

    name: ClassVar[str]
    """What one types."""

    example: ClassVar[str]
    """A line or more for the end of its help."""

    def __init__(self, screen: Screen, errors: OutputWrapper) -> None:
        self.screen = screen
        self.errors = errors

    @classmethod
    def help(cls) -> str:
        """Return what the verb does: its docstring."""
        return inspect.cleandoc(cls.__doc__ or "")

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """Declare what it takes."""

    @classmethod
    def explain(cls, strays: Sequence[str]) -> str | None:
        """Say what to write in place of words that it does not know, where it can."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it. Raises an Exit, or UpkeepError."""
        raise NotImplementedError


def find_run(pk: int) -> Run:
    """Return the run of that number. Raises Usage."""
    run = Run.objects.using(home()).filter(pk=pk).first()
    if run is None:
        raise Usage(f"There is no run {pk}. `manage.py upkeep status` lists the last.")
    return run


def user_name() -> str:
    """Return the name of the person at the keyboard, as the system knows it."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # A container may know no names.
        return ""
