"""`manage.py upkeep log`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upkeep.management.follower import story
from upkeep.management.verbs.base import Verb, find_run
from upkeep.management.words import event_line

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class TellLog(Verb):
    """Tell the story of a run: its moves, and what its task logged."""

    name = "log"
    example = "manage.py upkeep log 12"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """Take the run."""
        parser.add_argument("run", type=int, metavar="RUN", help="number of the run")

    def handle(self, *, run: int, **options: Any) -> None:
        """Write a line for each event, the oldest first."""
        for event in story(find_run(run)):
            self.screen.say(event_line(event))
