"""`manage.py upkeep run`."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.core.files import File
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from upkeep.dispatch.enqueue import advance_here, enqueue, write_for_here
from upkeep.exceptions import InvalidParameters
from upkeep.management.displays import display
from upkeep.management.endings import how_to_watch, report, report_stop
from upkeep.management.exits import Usage
from upkeep.management.follower import Follower
from upkeep.management.inline import Watched, told_once
from upkeep.management.verbs.base import user_name
from upkeep.management.verbs.watching import Watching
from upkeep.management.words import greeting, name
from upkeep.runs.sources import Source, moves_from
from upkeep.runs.status import ENDED
from upkeep.tasks import parameters, registry

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from upkeep.runs.models import Run
    from upkeep.tasks.order import Order


class RunTask(Watching):
    """
    Enqueue a run for a worker, and with --follow stay until it is over.

    With --inline it runs in this process, and no worker is needed. Ctrl-C pauses the
    run that is followed or runs here; `resume` lets it go on from there.
    """

    name = "run"
    example = (
        "manage.py upkeep run blog.ImportPosts -p csv_file=@posts.csv "
        "-p category=news --follow"
    )

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """Take the task, its parameters, and how to run it."""
        parser.add_argument("label", metavar="LABEL", help="the task: app.ClassName")
        parser.add_argument(
            "-p",
            dest="pairs",
            type=_pair,
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="a parameter; for a file, name=@path, or name=- for the standard "
            "input; repeat it for a list",
        )
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--follow", action="store_true", help="show how it comes on until it ends"
        )
        how.add_argument(
            "--inline", action="store_true", help="run it in this process, to its end"
        )
        parser.add_argument("--queue", help="the queue, instead of the task's own")
        parser.add_argument(
            "--priority", type=int, metavar="N", help="instead of the task's own"
        )
        parser.add_argument(
            "--run-after",
            type=_moment,
            metavar="ISO",
            help="not before: 2030-12-31T23:00, in the project's time zone",
        )

    @classmethod
    def explain(cls, strays: Sequence[str]) -> str | None:
        """Say how a parameter is given to one who wrote it as an argument."""
        pairs = [f"-p {stray.lstrip('-')}" for stray in strays if "=" in stray]
        return f"Write parameters as {' '.join(pairs)}." if pairs else None

    def handle(self, *, follow: bool, inline: bool, **options: Any) -> None:
        """Write the row of the run, and see to it as far as is wanted."""
        try:
            with _order(**options) as order, moves_from(Source.COMMAND):
                run = write_for_here(order) if inline else enqueue(order)
        except InvalidParameters as error:
            raise Usage(
                f"{error}\nWhat it takes: manage.py upkeep list {options['label']}"
            ) from error
        if inline:
            self._advance(run)
        elif follow:
            self.follow(run)
        elif run.status in ENDED:  # A backend may run it before enqueue() returns.
            report(run, self.screen, self.errors)
        else:
            self.screen.say(f"{greeting(run)}\nTo watch it, {how_to_watch(run)}")

    def _advance(self, run: Run) -> None:
        self.screen.say(f"{name(run)} runs here.")
        with display(self.screen) as shown:
            follower = Follower(run, shown)
            watched = Watched(run, follower, by=user_name())
            try:
                with (
                    watched.by_keyboard(),
                    watched.by_signals(signal.SIGTERM),
                    told_once(run),
                ):
                    advance_here(run, interruption=watched)
            except KeyboardInterrupt:
                pass  # Its row says the rest.
            follower.look()
        end = report_stop if watched.ctrl_c else report
        end(follower.run, self.screen, self.errors)


@contextmanager
def _order(
    *,
    label: str,
    pairs: list[tuple[str, str]],
    queue: str | None,
    priority: int | None,
    run_after: datetime | None,
    **options: Any,
) -> Iterator[Order]:
    """Give what is wanted of the task, with its files open."""
    task = registry.get(label)
    given = parameters.from_text(task.fields, pairs, masked=task.masked)
    try:
        order = task.using(
            queue=queue, priority=priority, run_after=run_after, by=user_name()
        )
        yield replace(order, given=given)
    finally:
        for value in given.values():
            _close_files(value)


def _close_files(value: Any) -> None:
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, File):
            each.close()


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value.")
    return name, value


def _moment(text: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:  # It has the form of a date, and is none.
        moment = None
    if moment is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no moment: write it like 2030-12-31T23:00."
        )
    try:
        if timezone.is_naive(moment):
            moment = timezone.make_aware(moment)
        # At the ends of time a moment fits into some time zones and not into others.
        for a_day in (timedelta(days=1), timedelta(days=-1)):
            moment.astimezone(UTC) + a_day
    except OverflowError:
        raise argparse.ArgumentTypeError(f"{text!r} is at the end of time.") from None
    return moment
