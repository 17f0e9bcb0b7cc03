"""`manage.py upkeep letters`."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from upkeep.management.selection import add_selection, open_sets, selected
from upkeep.management.verbs.base import Verb
from upkeep.runs.dead_letters import DeadLetter
from upkeep.runs.facts import facts_of_letter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.management.base import CommandParser

State = DeadLetter.State

LATEST = 50
LONGEST_NUMBER = 19  # digits; no database knows a longer one
DIGITS = 12  # of a fingerprint, enough to tell causes apart

HEADER = ["letter", "state", "cause", "attempts", "owner", "item", "error"]


class ListLetters(Verb):
    """
    List what has dead letters that are open, or the dead letters of a run or function.

    The latest come first.
    """

    name = "letters"
    example = "manage.py upkeep letters 12 --state open --json"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """Take the run or the function, which of its letters, and how to show them."""
        add_selection(parser)
        parser.add_argument(
            "--state", choices=State.values, help="those in this state alone"
        )
        parser.add_argument(
            "--limit",
            type=_number,
            default=LATEST,
            metavar="N",
            help=f"so many at most, by default {LATEST}; 0 for all",
        )
        parser.add_argument("--json", action="store_true", help="write JSON")

    def handle(
        self,
        *,
        numbers: list[int],
        calls: str | None,
        cause: str,
        state: str | None,
        limit: int,
        json: bool,
        **options: Any,
    ) -> None:
        """Write a table or JSON, or a sentence where there is nothing to list."""
        if not numbers and calls is None:
            self._show_all(as_json=json)
            return
        letters = selected(numbers, calls, cause)
        if state:
            letters = letters.filter(state=state)
        letters = letters.order_by("-pk").select_related("owner")
        found = list(
            letters.defer("traceback", "cursor")[: limit + 1 if limit else None]
        )
        self._show(found[: limit or None], as_json=json)
        if limit and len(found) > limit and not json:
            self.screen.say("There are more: --limit 0 lists all of them.")

    def _show_all(self, *, as_json: bool) -> None:
        sets = list(open_sets())
        if as_json:
            rows = [{"run": run, "of": of, "open": count} for run, of, count in sets]
            self._write_json(rows)
        elif sets:
            rows_in_words = [
                (str(run or ""), of, f"{count:,}") for run, of, count in sets
            ]
            self.screen.table(["run", "of", "open"], rows_in_words)
        else:
            self.screen.say("There are no dead letters that are open.")

    def _show(self, letters: list[DeadLetter], *, as_json: bool) -> None:
        if as_json:
            self._write_json([facts_of_letter(letter) for letter in letters])
        elif letters:
            self.screen.table(HEADER, _rows(letters))
        else:
            self.screen.say("There are no such dead letters.")

    def _write_json(self, data: Any) -> None:
        self.screen.say(json.dumps(data, indent=2))


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) >= LONGEST_NUMBER:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of dead letters.")
    return int(text)


def _rows(letters: list[DeadLetter]) -> Iterator[tuple[str, ...]]:
    for letter in letters:
        yield (
            *(str(letter.pk), letter.state, letter.fingerprint[:DIGITS]),
            *(str(letter.attempts), str(letter.owner or "–"), letter.item),
            f"{letter.error_class}: {letter.error_message}",
        )
