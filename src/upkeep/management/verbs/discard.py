"""`manage.py upkeep discard`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upkeep.management.exits import Failed
from upkeep.management.selection import add_selection, selected
from upkeep.management.verbs.base import Verb, user_name
from upkeep.runs.sources import Source, moves_from
from upkeep.runs.words import counted

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class DiscardLetters(Verb):
    """
    Give open dead letters up, for a reason.

    All of a run or a function, unless some are named.
    """

    name = "discard"
    example = 'manage.py upkeep discard 12 345 346 --reason "They are test orders."'

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """Take the letters, and why."""
        add_selection(parser)
        parser.add_argument(
            "--reason", required=True, metavar="TEXT", help="why, for those who ask"
        )

    def handle(
        self,
        *,
        numbers: list[int],
        calls: str | None,
        cause: str,
        reason: str,
        **options: Any,
    ) -> None:
        """Give them up, and tell how many."""
        letters = selected(numbers, calls, cause)
        with moves_from(Source.COMMAND):
            number = letters.discard(reason, by=user_name())
        if not number:
            raise Failed("None of these dead letters is open, so none was given up.")
        self.screen.say(f"{counted(number, 'dead letter')} discarded.")
