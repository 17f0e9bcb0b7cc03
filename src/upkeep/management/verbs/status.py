"""`manage.py upkeep status`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from upkeep.databases import home
from upkeep.management import words
from upkeep.management.displays import display
from upkeep.management.endings import report
from upkeep.management.exits import Stopped, Usage
from upkeep.management.follower import Follower
from upkeep.management.verbs.base import Verb, find_run
from upkeep.runs.events import Event
from upkeep.runs.facts import facts, facts_of_stuck, label, parameters_in_words
from upkeep.runs.leases import stuck
from upkeep.runs.models import Run
from upkeep.runs.places import shown_cursor
from upkeep.runs.progress import Progress
from upkeep.runs.why import why
from upkeep.runs.words import duration, moment, rate

if TYPE_CHECKING:
    from django.core.management.base import CommandParser
    from django.db.models import QuerySet

LATEST = 10

Pairs = Iterator[tuple[str, str]]


class ShowStatus(Verb):
    """Show the runs under way and the latest others, or all there is to know of one."""

    name = "status"
    example = "manage.py upkeep status 12 --follow"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """Take a run, and how to show it."""
        parser.add_argument(
            "run", type=int, nargs="?", metavar="RUN", help="number of a run"
        )
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--json", action="store_true", help="write JSON")
        how.add_argument(
            "--follow",
            action="store_true",
            help="show how the run comes on until it is over; Ctrl-C stops the showing",
        )

    def handle(
        self, *, run: int | None, json: bool, follow: bool, **options: Any
    ) -> None:
        """Write a table, a page or JSON, or stay with a run."""
        if run is None and follow:
            raise Usage("Say which run to follow: manage.py upkeep status RUN --follow")
        if run is None:
            self._show_all(as_json=json)
        elif follow:
            self._follow(find_run(run))
        elif json:
            found = find_run(run)
            told = {"why": why(found), "stuck": facts_of_stuck(stuck(found))}
            self._write_json(facts(found) | told)
        else:
            self._show(find_run(run))

    def _show_all(self, *, as_json: bool) -> None:
        runs = Run.objects.using(home()).select_related("requested_by").order_by("-pk")
        shown = chain(runs.active(), runs.ended()[:LATEST])
        if as_json:
            self._write_json([facts(run) for run in shown])
        elif rows := [_row(run) for run in shown]:
            self.screen.table(["run", "task", "status", "enqueued", "progress"], rows)
        else:
            self.screen.say("There are no runs yet: manage.py upkeep run LABEL")

    def _write_json(self, data: Any) -> None:
        self.screen.say(json.dumps(data, indent=2))

    def _show(self, run: Run) -> None:
        self.screen.pairs(chain(_story(run), _numbers(run), _queue(run), _body(run)))

    def _follow(self, run: Run) -> None:
        last = _events(run).last()
        try:
            self.screen.say(f"{words.name(run)} {words.verb(run)}.")
            with display(self.screen) as shown:
                run = Follower(run, shown, after=last.pk if last else 0).follow()
        except KeyboardInterrupt as error:
            raise Stopped(f"{words.name(run)} goes on unwatched.") from error
        report(run, self.screen, self.errors)


def _events(run: Run) -> QuerySet[Event]:
    return Event.objects.using(home()).filter(run=run).order_by("pk")


def _row(run: Run) -> tuple[str, ...]:
    enqueued = moment(run.created_at)
    where = ", ".join(filter(None, (words.where(run), words.retrial(run))))
    return str(run.pk), label(run), run.status, enqueued, where


def _story(run: Run) -> Pairs:
    first = _events(run).first()
    by = f" by {first.actor}" if first and first.actor else ""
    yield "run", str(run.pk)
    yield "task", label(run)
    yield "retrial", words.retrial(run)
    yield "status", run.status
    yield "reason", run.reason
    yield "why", why(run)
    yield "enqueued", f"{moment(run.created_at)}{by}"
    yield "started", moment(run.started_at)
    yield "ended", moment(run.ended_at)


def _numbers(run: Run) -> Pairs:
    progress = Progress(run)
    yield "progress", progress.text
    yield "rate", rate(progress.rate) if progress.rate else ""
    yield "time left", words.time_left(run)
    yield "time running", duration(run.time_running)


def _queue(run: Run) -> Pairs:
    yield "queue", f"{run.queue} of backend {run.backend}, priority {run.priority}"
    yield "not before", moment(run.run_after)
    yield "worker", run.worker
    yield "lease until", moment(run.lease_until)
    yield "attempts", str(run.attempts)
    lease = stuck(run)
    yield "stands at", lease.stack if lease else ""


def _body(run: Run) -> Pairs:
    parameters = parameters_in_words(run).items()
    yield "parameters", "\n".join(f"{name} = {text}" for name, text in parameters)
    yield "metadata", words.compact(run.metadata) if run.metadata else ""
    cursor = shown_cursor(run, run.cursor)
    yield "cursor", words.compact(cursor) if cursor else ""
    yield "result", "" if run.result is None else words.compact(run.result)
    if run.error_class:
        yield "error", f"{run.error_class}: {run.error_message}"
        yield "stopped at", run.error_at
    yield "traceback", run.traceback
