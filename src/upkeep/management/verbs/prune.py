"""`manage.py upkeep prune`."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from upkeep.compat import task_backends
from upkeep.conf import conf
from upkeep.dispatch.brokers import Broker, broker
from upkeep.management.exits import Usage
from upkeep.management.verbs.base import Verb
from upkeep.runs.retention import Pruned, prune
from upkeep.runs.words import counted

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Prune(Verb):
    """
    Delete the runs that have been over for long, with their stories and files.

    So go the dead letters of calls that were resolved or discarded so long ago.
    Errored runs are over, too, and cannot be resumed then. `upkeep worker` does this by
    itself, a little at a time, where UPKEEP["RETENTION"] says how long runs are kept.
    """

    name = "prune"
    example = "manage.py upkeep prune --older-than 30d --dry-run"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """Take --older-than and --dry-run."""
        parser.add_argument(
            "--older-than",
            type=_duration,
            metavar="DURATION",
            help="a number and s, min, h, d or w, such as 30d; by default "
            'UPKEEP["RETENTION"]',
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="tell what would go, and leave it"
        )

    def handle(
        self, *, older_than: timedelta | None, dry_run: bool, **options: Any
    ) -> None:
        """Delete or count, and tell how many of what."""
        age = conf.RETENTION if older_than is None else older_than
        if age is None:
            raise Usage(
                'Runs are kept for ever, for UPKEEP["RETENTION"] is None. Set it, or '
                "say how old: manage.py upkeep prune --older-than 30d"
            )
        pruned = prune(age, dry_run=dry_run)
        self.screen.say(_sentence(pruned, _messages(dry_run=dry_run), dry_run=dry_run))


def _messages(*, dry_run: bool) -> int:
    """Delete or count the messages of ours that are over, in all queues."""
    brokers = [broker(alias) for alias in task_backends.settings]
    return sum(each.over() if dry_run else _all_pruned(each) for each in brokers)


def _all_pruned(queue: Broker) -> int:
    total = 0
    while some := queue.prune():
        total += some
    return total


def _sentence(pruned: Pruned, messages: int, *, dry_run: bool) -> str:
    deleted = "would be deleted" if dry_run else "deleted"
    said = (
        f"{counted(pruned.runs, 'run')} {deleted}, with "
        f"{counted(pruned.events, 'event')} and {counted(pruned.files, 'file')}; "
        f"{counted(messages, 'old message')} {deleted}."
    )
    if pruned.letters:
        letters = counted(
            pruned.letters, "dead letter of a call", "dead letters of calls"
        )
        said += f" {letters} {deleted}."
    if pruned.kept:
        said += f" {pruned.those_kept}"
    return said


def _duration(text: str) -> timedelta:
    found = re.fullmatch(r"(\d+)(s|min|h|d|w)", text, re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no duration: write it like 30d, 12h, 90min or 2w."
        )
    try:
        return timedelta(**{UNITS[found[2]]: int(found[1])})
    except OverflowError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is too long for anything."
        ) from None
