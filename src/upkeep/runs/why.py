"""Why a run is not moving: what it waits for, in a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.models import Count, F, OuterRef, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from upkeep.conf import conf
from upkeep.databases import Now, home
from upkeep.exceptions import InvalidFile
from upkeep.runs.events import Event
from upkeep.runs.models import Run
from upkeep.runs.queues import Queue
from upkeep.runs.status import HELD, WAITING, Status
from upkeep.runs.words import moment, rough_duration

if TYPE_CHECKING:
    from django.db.models import QuerySet

# So long a message may be on its way, and a worker may look for the next one.
ON_ITS_WAY = timedelta(seconds=5)

# An item that takes longer is worth a word, for nothing moves meanwhile.
LONG_FOR_AN_ITEM = timedelta(seconds=10)

INVALID_FILE = f"{InvalidFile.__module__}.{InvalidFile.__qualname__}"

START_ONE = "manage.py upkeep worker"


def why(run: Run) -> str:
    """
    Say why a run is not moving; an empty text where it is, or where it is over.

    Costs one query, or none where nobody has to be asked.
    """
    status = Status(run.status)
    if status in WAITING:
        return _why_waiting(run)
    if status in HELD:
        return _why_held(run)
    if status is Status.PAUSED:
        return _why_paused(run)
    if status is Status.ERRORED:
        return _why_errored(run)
    return ""


def _why_errored(run: Run) -> str:
    if run.error_class == INVALID_FILE:
        return _why_stopped_in_a_file(run)
    if run.parent_id:
        return _(
            "An error stopped it, and the dead letters that it had not come to are "
            "open again. Mend the cause, restart the workers if you changed code, then "
            "resume it: it takes back what nobody else has seen to."
        )
    return _(
        "An error stopped it, and its place was kept. Mend the cause, restart the "
        "workers if you changed code, then resume it: it goes on with the item that "
        "failed."
    )


def _why_stopped_in_a_file(run: Run) -> str:
    if not run.done:
        return _(
            "The run keeps the file as it was: correct yours, and start a new run."
        )
    # A whole file once more would bring these a second time.
    return _(
        "What came before it is done, and the run keeps the file as it was: correct "
        "yours, take out the rows that are done, and start a new run. Where the task "
        "reads it wrongly, as in another encoding, mend the task, restart the workers, "
        "and type: manage.py upkeep resume %(run)s"
    ) % {"run": run.pk}


def _why_waiting(run: Run) -> str:
    if run.run_after and run.run_after > timezone.now():
        return _why_early(run, run.run_after)
    around = _look_around(run)
    now, since = around["now"], around["since"] or run.created_at
    since = max(since, run.run_after or since)
    if now - since < ON_ITS_WAY:
        return _("It waits for a worker.")
    if around["busy"]:
        return ngettext(
            "It waits for a worker: queue %(queue)s has one at work on another run.",
            "It waits for a worker: queue %(queue)s has them at work on %(busy)s "
            "other runs.",
            around["busy"],
        ) % {"queue": run.queue, "busy": around["busy"]}
    if around["taken_at"] is None:
        return _(
            "No worker has ever taken a message from queue %(queue)s; start one with: "
            "%(command)s"
        ) % {"queue": run.queue, "command": START_ONE}
    if around["taken_at"] >= since:
        return _("It waits for its turn in queue %(queue)s.") % {"queue": run.queue}
    return _(
        "No worker has taken a message from queue %(queue)s for %(duration)s; start "
        "one with: %(command)s"
    ) % {
        "queue": run.queue,
        "duration": rough_duration(now - around["taken_at"]),
        "command": START_ONE,
    }


def _why_early(run: Run, due: datetime) -> str:
    until = {"moment": moment(due)}
    if run.throttled_by:
        return f"{_throttled(run)} " + _("It looks again at %(moment)s.") % until
    return _("It is not to start before %(moment)s.") % until


def _throttled(run: Run) -> str:
    told = {
        "name": run.throttled_by,
        "since": moment(run.throttled_since),
        "reason": run.throttled_reason.removesuffix("."),
    }
    if told["reason"]:
        return _("Throttled by %(name)s since %(since)s: %(reason)s.") % told
    return _("Throttled by %(name)s since %(since)s.") % told


def _why_held(run: Run) -> str:
    around = _look_around(run)
    now = around["now"]
    checkpoint = (run.lease_until or now) - conf.LEASE
    heard = max(filter(None, (run.lease_until, around["beat"])), default=now)
    if heard < now:
        return _why_silent(run, now - (heard - conf.LEASE))
    if run.throttled_by and run.status == Status.RUNNING:
        return f"{_throttled(run)} " + _("Its worker looks again by itself.")
    if around["item_since"] and around["beat"] == heard and heard != run.lease_until:
        return _why_stuck(run, around)
    if now - checkpoint > LONG_FOR_AN_ITEM:
        has_beaten = around["beat"] is not None and around["beat"] == heard
        is_alive = has_beaten and heard - now > conf.LEASE / 2  # It beats each third.
        return _why_slow(is_alive=is_alive, since=now - checkpoint, left=heard - now)
    if run.status != Status.RUNNING:
        return _("Its worker finishes the item in hand.")
    return ""


def _why_silent(run: Run, since: timedelta) -> str:
    told = {"worker": run.worker, "duration": rough_duration(since)}
    if not has_one_writer():
        return (
            _(
                "Its worker has not been heard of for %(duration)s. Another one goes "
                "on with it within some seconds, if one is there."
            )
            % told
        )
    return (
        _(
            "Its worker %(worker)s has not been heard of for %(duration)s. If it is "
            "dead, another one goes on within some seconds, if one is there. If it "
            "lives, an item holds SQLite's only write lock, and its log says which: "
            "kill that process if it never ends."
        )
        % told
    )


def has_one_writer() -> bool:
    """Tell whether a worker in a chunk keeps all others from writing."""
    return connections[home()].vendor == "sqlite"


def _why_stuck(run: Run, around: Mapping[str, Any]) -> str:
    told = {
        "item": around["item"] or _("One step"),
        "since": rough_duration(around["now"] - around["item_since"]),
        "worker": run.worker,
        "place": around["place"],
    }
    found = _(
        "%(item)s has been in hand for %(since)s; its worker %(worker)s stands at "
        "%(place)s."
    )
    return f"{found % told} {_way_out(run)}"


def _way_out(run: Run) -> str:
    if run.status == Status.RUNNING:
        return _(
            "If it never ends, pause or cancel the run and then kill that process: the "
            "run stops before this item when its lease is over."
        )
    return _(
        "If it never ends, kill that process: the run stops before this item when its "
        "lease is over."
    )


def _why_slow(*, is_alive: bool, since: timedelta, left: timedelta) -> str:
    durations = {"since": rough_duration(since), "left": rough_duration(left)}
    if is_alive:
        return _("Its worker is alive, but has had no item done for %(since)s.") % (
            durations
        )
    return (
        _(
            "No item was done for %(since)s. Either one takes long, or its worker is "
            "dead: then another one goes on with it in %(left)s."
        )
        % durations
    )


def _why_paused(run: Run) -> str:
    around = _look_around(run)
    # Where a worker had it, that one made the move, but somebody else wished for it.
    wished = around["status_before"] == Status.PAUSING
    actor = around["actor_before"] if wished else around["actor"]
    by = _("Paused by %(actor)s.") % {"actor": actor} if actor else _("Paused.")
    return f"{by} " + _("It keeps its place until somebody resumes it.")


def _look_around(run: Run) -> Mapping[str, Any]:
    """Ask the database what else there is to know, in one query."""
    moves = Event.objects.filter(run=OuterRef("pk"), kind=Event.Kind.MOVE)
    last = moves.order_by("-pk")
    before = last.exclude(status=Status.PAUSED)
    same_queue = {"backend": run.backend, "name": run.queue}
    return (
        Run.objects.using(home())
        .filter(pk=run.pk)
        .values(
            now=Now(),
            since=Subquery(last.values("created_at")[:1]),
            actor=Subquery(last.values("actor")[:1]),
            status_before=Subquery(before.values("status")[:1]),
            actor_before=Subquery(before.values("actor")[:1]),
            beat=F("lease__until"),
            item=F("lease__item"),
            item_since=F("lease__item_since"),
            place=F("lease__place"),
            taken_at=Subquery(Queue.objects.filter(**same_queue).values("taken_at")),
            busy=Subquery(_busy(run)),
        )
        .get()
    )


def _busy(run: Run) -> QuerySet[Run, Any]:
    """Count the other runs of the queue that workers hold."""
    held = Run.objects.filter(
        status__in=HELD, backend=run.backend, queue=run.queue
    ).exclude(pk=run.pk)
    return held.order_by().values("queue").annotate(runs=Count("pk")).values("runs")
