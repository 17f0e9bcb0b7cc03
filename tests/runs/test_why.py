"""Why a run is not moving."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.runs.stages import run_in
from tests.testapp.maintenance import Numbers
from upkeep.conf import conf
from upkeep.databases import Now
from upkeep.runs.events import Event
from upkeep.runs.leases import Lease
from upkeep.runs.models import Run
from upkeep.runs.queues import Queue
from upkeep.runs.status import HELD, WAITING, Status
from upkeep.runs.why import INVALID_FILE, why
from upkeep.runs.words import moment

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)

each_waiting = pytest.mark.parametrize("status", sorted(WAITING))
each_held = pytest.mark.parametrize("status", sorted(HELD))


def since(run: Run, ago: timedelta) -> Run:
    """Let the run have come into its status so long ago."""
    Run.objects.filter(pk=run.pk).update(created_at=Now() - ago)
    Event.objects.filter(run=run).update(created_at=Now() - ago)
    run.refresh_from_db()
    return run


def taken(ago: timedelta) -> None:
    """Let a worker have taken its last message so long ago."""
    Queue.objects.create(backend="default", name="default", taken_at=Now() - ago)


def heard(run: Run, *, checkpoint: timedelta, beat: timedelta | None) -> Run:
    """Let the worker's last checkpoint and last beat be so long ago."""
    Run.objects.filter(pk=run.pk).update(lease_until=Now() + conf.LEASE - checkpoint)
    until: Any = None if beat is None else Now() + conf.LEASE - beat
    Lease.objects.filter(run=run).update(until=until)
    run.refresh_from_db()
    return run


def throttled(run: Run, reason: str) -> Run:
    """Let a throttle hold the run since a minute ago."""
    told: Any = {"throttled_by": "replica", "throttled_reason": reason}
    told["throttled_since"] = Now() - MINUTE
    Run.objects.filter(pk=run.pk).update(**told)
    run.refresh_from_db()
    return run


class TestWaiting:
    @each_waiting
    def test_at_first_it_just_waits(self, status: Status) -> None:
        taken(30 * MINUTE)
        assert why(run_in(status)) == "It waits for a worker."

    @each_waiting
    def test_where_no_worker_ever_was_one_is_to_be_started(
        self, status: Status
    ) -> None:
        assert why(since(run_in(status), MINUTE)) == (
            "No worker has ever taken a message from queue default; start one with: "
            "manage.py upkeep worker"
        )

    @each_waiting
    def test_where_none_was_for_long_it_says_how_long(self, status: Status) -> None:
        run = since(run_in(status), MINUTE)
        taken(12 * MINUTE + timedelta(seconds=10.5))
        assert why(run).startswith(
            "No worker has taken a message from queue default for 12 min 1"
        )
        assert why(run).endswith("; start one with: manage.py upkeep worker")

    @each_waiting
    def test_a_worker_that_took_another_message_since_will_come_to_it(
        self, status: Status
    ) -> None:
        run = since(run_in(status), 12 * MINUTE)
        taken(10 * MINUTE)
        assert why(run) == "It waits for its turn in queue default."

    @each_waiting
    def test_workers_that_are_busy_are_counted(self, status: Status) -> None:
        run = since(run_in(status), MINUTE)
        taken(MINUTE)
        run_in(Status.RUNNING)
        assert why(run) == (
            "It waits for a worker: queue default has one at work on another run."
        )
        run_in(Status.PAUSING)
        run_in(Status.CANCELLING)
        assert why(run) == (
            "It waits for a worker: queue default has them at work on 3 other runs."
        )

    def test_workers_of_other_queues_do_not_count(self) -> None:
        run = since(run_in(Status.ENQUEUED), MINUTE)
        other = run_in(Status.RUNNING)
        for elsewhere in ({"queue": "other"}, {"backend": "other"}):
            Run.objects.filter(pk=other.pk).update(**elsewhere)
            Queue.objects.create(
                **{"backend": "default", "name": "other"}
                | {"backend": elsewhere.get("backend", "default")},
                taken_at=Now(),
            )
            assert why(run).startswith("No worker has ever taken a message")

    @each_waiting
    def test_what_has_its_time_says_when_it_comes(self, status: Status) -> None:
        run = run_in(status)
        run.run_after = timezone.now() + 60 * MINUTE
        sentence = why(run)
        assert sentence.startswith("It is not to start before ")
        assert str(timezone.localtime(run.run_after).year) in sentence

    def test_what_a_throttle_holds_says_which_since_when_and_until(self) -> None:
        run = throttled(run_in(Status.INTERRUPTED), "40 s behind.")
        run.run_after = timezone.now() + 4 * MINUTE
        assert why(run) == (
            f"Throttled by replica since {moment(run.throttled_since)}: 40 s behind. "
            f"It looks again at {moment(run.run_after)}."
        )
        run.throttled_reason = ""
        assert why(run).startswith(
            f"Throttled by replica since {moment(run.throttled_since)}. It looks"
        )

    def test_what_a_throttle_held_until_now_waits_for_a_worker(self) -> None:
        run = throttled(run_in(Status.INTERRUPTED), "40 s behind")
        run.run_after = timezone.now()
        assert why(run) == "It waits for a worker."

    def test_what_had_its_time_waits_only_since_then(self) -> None:
        run = since(run_in(Status.ENQUEUED), 60 * MINUTE)
        run.run_after = timezone.now()
        assert why(run) == "It waits for a worker."


class TestHeld:
    @each_held
    def test_says_nothing_while_it_moves(self, status: Status) -> None:
        run = heard(run_in(status), checkpoint=timedelta(0), beat=None)
        told = (
            "" if status == Status.RUNNING else "Its worker finishes the item in hand."
        )
        assert why(run) == told

    @each_held
    def test_a_long_item_is_worth_a_word(self, status: Status) -> None:
        run = heard(
            run_in(status),
            checkpoint=MINUTE + timedelta(seconds=20.5),
            beat=timedelta(seconds=3),
        )
        assert why(run).startswith(
            "Its worker is alive, but has had no item done for 1 min 2"
        )

    @each_held
    @pytest.mark.parametrize("beat", [None, timedelta(seconds=24)])
    def test_a_silent_worker_is_not_said_to_be_alive(
        self, status: Status, beat: timedelta | None
    ) -> None:
        """It may have been killed just now, and nobody knows before its lease ends."""
        run = heard(run_in(status), checkpoint=timedelta(seconds=24.5), beat=beat)
        sentence = why(run)
        assert sentence.startswith("No item was done for 2")
        assert "or its worker is dead: then another one goes on with it" in sentence

    @each_held
    @pytest.mark.parametrize("beat", [None, 2 * MINUTE])
    def test_a_worker_that_is_lost_is_said_to_be(
        self, status: Status, beat: timedelta | None
    ) -> None:
        run = heard(run_in(status), checkpoint=2 * MINUTE, beat=beat)
        assert "has not been heard of for 2 min" in why(run)
        assert "nother one goes on" in why(run)
        assert "within some seconds, if one is there." in why(run)

    def test_one_that_is_not_heard_of_may_hold_sqlites_only_lock(self) -> None:
        """Nobody can write then that it lives, nor what it has in hand."""
        run = heard(run_in(Status.RUNNING), checkpoint=2 * MINUTE, beat=None)
        is_told = "holds SQLite's only write lock" in why(run)
        assert is_told == (connection.vendor == "sqlite")
        assert (run.worker in why(run)) == is_told

    def test_a_worker_that_waits_for_a_throttle_says_so(self) -> None:
        run = throttled(run_in(Status.RUNNING), "40 s behind")
        run = heard(run, checkpoint=MINUTE, beat=timedelta(seconds=3))
        assert why(run) == (
            f"Throttled by replica since {moment(run.throttled_since)}: 40 s behind. "
            "Its worker looks again by itself."
        )
        run = heard(run, checkpoint=2 * MINUTE, beat=2 * MINUTE)
        assert "has not been heard of" in why(run)

    def test_the_later_of_two_signs_of_life_counts(self) -> None:
        run = heard(
            run_in(Status.RUNNING), checkpoint=timedelta(seconds=1), beat=9 * MINUTE
        )
        assert why(run) == ""


class TestStopped:
    def test_by_somebody_says_by_whom(self) -> None:
        run = run_in(Status.ENQUEUED)
        run.pause(by=User.objects.create(username="ada"))
        assert why(run) == (
            "Paused by ada. It keeps its place until somebody resumes it."
        )

    def test_by_way_of_its_worker_says_who_wished_it(self) -> None:
        """The worker, which made the last move, is not the one to be asked."""
        from tests.runs.stages import claim

        run = run_in(Status.ENQUEUED)
        held = claim(run)
        run.pause(by="ada")
        held.let_go()
        run.refresh_from_db()
        assert run.status == Status.PAUSED
        assert "ada" in why(run)

    def test_by_nobody_in_particular_says_so(self) -> None:
        assert why(run_in(Status.PAUSED)) == (
            "Paused. It keeps its place until somebody resumes it."
        )

    def test_by_an_error_says_how_to_go_on(self) -> None:
        assert why(run_in(Status.ERRORED)) == (
            "An error stopped it, and its place was kept. Mend the cause, restart the "
            "workers if you changed code, then resume it: it goes on with the item "
            "that failed."
        )

    def test_by_a_file_says_to_start_anew(self) -> None:
        """The run has a copy of its own: to resume it would be in vain."""
        run = run_in(Status.ERRORED)
        run.error_class = INVALID_FILE
        assert why(run).endswith("correct yours, and start a new run.")

    def test_amid_a_file_says_to_take_out_what_is_done(self) -> None:
        """The whole file in a new run would bring those rows a second time."""
        run = run_in(Status.ERRORED)
        run.error_class, run.done = INVALID_FILE, 12_344
        assert "take out the rows that are done, and start a new run." in why(run)
        assert why(run).endswith(f"manage.py upkeep resume {run.pk}")

    @pytest.mark.parametrize(
        "status", [Status.SUCCEEDED, Status.CANCELLED, Status.DISCARDED]
    )
    def test_for_good_needs_no_word(self, status: Status) -> None:
        assert why(run_in(status)) == ""


class TestCost:
    @pytest.mark.parametrize("status", list(Status))
    def test_is_one_query_at_most(self, status: Status) -> None:
        run = run_in(status, Numbers)
        with CaptureQueriesContext(connection) as queries:
            why(run)
        assert len(queries) <= 1
