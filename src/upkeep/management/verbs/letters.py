"""`manage.py upkeep letters`."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from upkeep.management.selection import add_selection, open_sets, selected
from upkeep.management.verbs.base import Verb
from upkeep.runs.dead_letters import DeadLetter
from upkeep.runs.facts import facts_of_letter
from upkeep.runs.words import moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.management.base import CommandParser

    from upkeep.runs.dead_letters import DeadLetterQuerySet

State = DeadLetter.State

LATEST = 50
LONGEST_NUMBER = 19  # digits; no database knows a longer one
DIGITS = 12  # of a fingerprint, enough to tell causes apart

HEADER = ["letter", "state", "cause", "attempts", "owner", "item", "error"]

# A cause, and the newest letter of it.
Cause = tuple[dict[str, Any], DeadLetter]


class ListLetters(Verb):
    """
    List what has dead letters that are open, or the dead letters of a run or function.

    The latest come first; with --by-cause a line stands for all letters of a cause, the
    most frequent first, whose digits --cause takes.
    """

    name = "letters"
    example = (
        "manage.py upkeep letters 12 --by-cause\n"
        "  manage.py upkeep letters 12 --cause 5f3a9c --state open --json"
    )

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """Take the run or the function, which of its letters, and how to show them."""
        add_selection(parser)
        parser.add_argument(
            "--state", choices=State.values, help="those in this state alone"
        )
        parser.add_argument(
            "--by-cause",
            action="store_true",
            help="count the open letters, or those in the state, of each cause",
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
        by_cause: bool,
        limit: int,
        json: bool,
        **options: Any,
    ) -> None:
        """Write a table or JSON, or a sentence where there is nothing to list."""
        if not (numbers or calls is not None or cause or state or by_cause):
            self._show_all(as_json=json)
            return
        letters = selected(numbers, calls, cause)
        at_most = limit + 1 if limit else None
        if by_cause:
            causes = list(_causes(letters, state or State.OPEN, at_most))
            is_cut = 0 < limit < len(causes)
            self._show_causes(causes[: limit or None], state or "open", as_json=json)
        else:
            found = list(_latest(letters, state, at_most))
            is_cut = 0 < limit < len(found)
            self._show(found[: limit or None], as_json=json)
        if is_cut and not json:
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

    def _show_causes(self, causes: list[Cause], state: str, *, as_json: bool) -> None:
        if as_json:
            self._write_json([_cause_as_json(*each) for each in causes])
        elif causes:
            header = ["cause", state, "newest", "letter", "error"]
            self.screen.table(header, [_row_of_cause(*each) for each in causes])
        else:
            self.screen.say("There are no such dead letters.")

    def _write_json(self, data: Any) -> None:
        self.screen.say(json.dumps(data, indent=2))


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) >= LONGEST_NUMBER:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of dead letters.")
    return int(text)


def _latest(
    letters: DeadLetterQuerySet, state: str | None, at_most: int | None
) -> DeadLetterQuerySet:
    """Return the latest, of a state or of all."""
    if state:
        letters = letters.filter(state=state)
    letters = letters.order_by("-pk").select_related("owner")
    return letters.defer("traceback", "cursor")[:at_most]


def _causes(
    letters: DeadLetterQuerySet, state: str, at_most: int | None
) -> Iterator[Cause]:
    """Yield the causes in a state, counted by the database, with their newest."""
    causes = list(letters.filter(state=state).by_cause()[:at_most])
    newest = letters.defer("traceback", "cursor", "payload").in_bulk(
        [each["latest"] for each in causes]
    )
    for each in causes:
        if each["latest"] in newest:  # Else it was deleted a moment ago.
            yield each, newest[each["latest"]]


def _row_of_cause(cause: dict[str, Any], newest: DeadLetter) -> tuple[str, ...]:
    return (
        *(cause["fingerprint"][:DIGITS], f"{cause['count']:,}"),
        *(moment(newest.created_at), str(newest.pk), _error(newest)),
    )


def _cause_as_json(cause: dict[str, Any], newest: DeadLetter) -> dict[str, Any]:
    return {
        "fingerprint": cause["fingerprint"],
        "count": cause["count"],
        "error_class": newest.error_class,
        "error_message": newest.error_message,
        "newest": newest.pk,
        "newest_at": newest.created_at.isoformat(),
    }


def _error(letter: DeadLetter) -> str:
    return f"{letter.error_class}: {letter.error_message}"


def _rows(letters: list[DeadLetter]) -> Iterator[tuple[str, ...]]:
    for letter in letters:
        yield (
            *(str(letter.pk), letter.state, letter.fingerprint[:DIGITS]),
            *(str(letter.attempts), str(letter.owner or "–"), letter.item),
            _error(letter),
        )
