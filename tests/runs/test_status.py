"""The life of a run: every move that it may make, and every one that it may not."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from tests.runs.stages import claim, run_in
from upkeep.exceptions import InvalidTransition
from upkeep.runs.models import Run
from upkeep.runs.status import (
    ACTIVE,
    ENDED,
    HELD,
    TRANSITIONS,
    WAITING,
    WHEN_LET_GO,
    Status,
    sources_of,
)

pytestmark = pytest.mark.django_db

# Written down once more, so that a slip of the hand in the table is seen.
MOVES = {
    "enqueued": "running paused cancelled errored",
    "running": "succeeded pausing cancelling interrupted errored discarded",
    "interrupted": "running enqueued paused cancelled errored",
    "pausing": "paused running cancelling succeeded errored discarded",
    "cancelling": "cancelled succeeded errored discarded",
    "paused": "enqueued cancelled",
    "errored": "enqueued cancelled",
    "succeeded": "",
    "cancelled": "",
    "discarded": "",
}

# What a person's wish makes of each status; where nothing stands, it is refused.
PAUSE = {
    "enqueued": "paused",
    "interrupted": "paused",
    "running": "pausing",
    "pausing": "pausing",
    "paused": "paused",
}
CANCEL = {
    "enqueued": "cancelled",
    "interrupted": "cancelled",
    "paused": "cancelled",
    "errored": "cancelled",
    "running": "cancelling",
    "pausing": "cancelling",
    "cancelling": "cancelling",
    "cancelled": "cancelled",
}
RESUME = {
    "paused": "enqueued",
    "errored": "enqueued",
    "interrupted": "enqueued",
    "pausing": "running",
}
WISHES = {"pause": PAUSE, "cancel": CANCEL, "resume": RESUME}


class TestTable:
    def test_is_the_one_that_was_agreed_on(self) -> None:
        assert {
            str(source): set(map(str, targets))
            for source, targets in TRANSITIONS.items()
        } == {source: set(targets.split()) for source, targets in MOVES.items()}

    @pytest.mark.parametrize("target", Status)
    def test_read_backwards_says_where_one_may_come_from(self, target: Status) -> None:
        sources = [source for source in MOVES if target in MOVES[source].split()]
        assert sorted(sources_of(target)) == sorted(sources)

    def test_every_status_is_active_or_over(self) -> None:
        assert set(Status) == ACTIVE | ENDED
        assert not ACTIVE & ENDED

    def test_who_waits_or_is_held_is_active(self) -> None:
        assert WAITING | HELD <= ACTIVE
        assert not WAITING & HELD

    def test_a_worker_can_let_go_from_wherever_it_holds(self) -> None:
        assert set(WHEN_LET_GO) == HELD
        for source, target in WHEN_LET_GO.items():
            assert target in TRANSITIONS[source]


class TestMove:
    @pytest.mark.parametrize(("source", "target"), list(product(Status, Status)))
    def test_happens_if_and_only_if_the_table_says_so(
        self, source: Status, target: Status
    ) -> None:
        run = run_in(source)
        allowed = target in MOVES[source].split()
        assert run.move_to(target) is allowed
        stored = Run.objects.get(pk=run.pk)
        assert stored.status == run.status == (target if allowed else source)

    def test_is_decided_by_the_row_and_not_by_what_memory_holds(self) -> None:
        run = run_in(Status.ENQUEUED)
        stale = Run.objects.get(pk=run.pk)
        run.cancel()
        assert stale.move_to(Status.PAUSED) is False
        assert Run.objects.get(pk=run.pk).status == Status.CANCELLED

    def test_can_be_narrowed_to_the_status_that_somebody_saw(self) -> None:
        run = run_in(Status.INTERRUPTED)
        assert not run.move_to(Status.PAUSED, sources=[Status.ENQUEUED])
        assert run.move_to(Status.PAUSED, sources=[Status.INTERRUPTED])

    @pytest.mark.parametrize("source", sorted(HELD))
    def test_to_where_nobody_holds_it_makes_the_old_token_worthless(
        self, source: Status
    ) -> None:
        run = run_in(source)
        token = run.lease_token
        assert run.move_to(WHEN_LET_GO[source])
        assert run.lease_token != token
        assert (run.lease_until, run.worker) == (None, "")

    @pytest.mark.parametrize("target", [Status.PAUSING, Status.CANCELLING])
    def test_that_is_a_wish_leaves_the_worker_its_token(self, target: Status) -> None:
        run = run_in(Status.RUNNING)
        token, worker = run.lease_token, run.worker
        assert run.move_to(target)
        assert (run.lease_token, run.worker) == (token, worker)

    @pytest.mark.parametrize("status", Status)
    def test_to_an_end_is_dated_and_any_other_is_not(self, status: Status) -> None:
        assert (run_in(status).ended_at is not None) is (status in ENDED)

    def test_is_told_with_who_and_why(self) -> None:
        run = run_in(Status.ENQUEUED)
        run.pause(by="anna", reason="The disk is full.")
        told = run.events.last()
        assert told is not None
        assert (told.kind, told.status, told.actor, told.text) == (
            "move",
            "paused",
            "anna",
            "The disk is full.",
        )
        assert run.reason == "The disk is full."

    def test_that_did_not_happen_is_not_told(self) -> None:
        run = run_in(Status.SUCCEEDED)
        before = run.events.count()
        assert not run.move_to(Status.ENQUEUED)
        assert run.events.count() == before


class TestWish:
    """What a person asks: at once where no worker holds the run, else by the worker."""

    @pytest.mark.parametrize(("wish", "status"), list(product(WISHES, Status)))
    def test_is_granted_or_refused(self, wish: str, status: Status) -> None:
        run = run_in(status)
        goal = WISHES[wish].get(status)
        if goal is None:
            with pytest.raises(InvalidTransition, match=f"its status is {status}"):
                getattr(run, wish)()
        else:
            getattr(run, wish)()
        assert Run.objects.get(pk=run.pk).status == (goal or status)

    @pytest.mark.parametrize(
        ("wish", "status"),
        [
            ("pause", Status.PAUSING),
            ("pause", Status.PAUSED),
            ("cancel", Status.CANCELLING),
            ("cancel", Status.CANCELLED),
        ],
    )
    def test_that_is_already_granted_changes_nothing(
        self, wish: str, status: Status
    ) -> None:
        run = run_in(status)
        before = run.events.count(), run.lease_token
        getattr(run, wish)(by="anna")
        assert (run.events.count(), run.lease_token) == before

    def test_goes_by_the_row_as_it_is_now(self) -> None:
        run = run_in(Status.ENQUEUED)
        claim(Run.objects.get(pk=run.pk))
        run.pause()  # In memory it still waits.
        assert run.status == Status.PAUSING

    def test_of_a_run_that_somebody_cancelled_meanwhile_is_refused(self) -> None:
        run = run_in(Status.PAUSED)
        Run.objects.get(pk=run.pk).cancel()
        with pytest.raises(InvalidTransition, match="its status is cancelled"):
            run.resume()  # In memory it is still paused.
        assert run.status == Status.CANCELLED

    def test_gives_up_on_a_run_that_moves_each_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = run_in(Status.ENQUEUED)
        monkeypatch.setattr(Run, "move_to", lambda *args, **kwargs: False)
        with pytest.raises(InvalidTransition, match="changing too fast"):
            run.pause()

    def test_to_resume_calls_a_worker_with_a_new_token(self) -> None:
        run = run_in(Status.PAUSED)
        token = run.lease_token
        run.resume()
        run.refresh_from_db()
        assert run.lease_token != token
        assert (run.messages_sent, run.message_id != "") == (1, True)

    def test_to_resume_an_error_forgets_the_error_and_keeps_the_place(self) -> None:
        run = run_in(Status.ERRORED)
        Run.objects.filter(pk=run.pk).update(cursor={"kind": "sequence"}, done=3)
        run.resume()
        assert (run.error_class, run.error_message, run.traceback) == ("", "", "")
        assert (run.ended_at, run.done, run.cursor) == (None, 3, {"kind": "sequence"})

    def test_to_resume_what_is_interrupted_does_not_wait(self) -> None:
        run = run_in(Status.INTERRUPTED)
        later = timezone.now() + timedelta(hours=1)
        Run.objects.filter(pk=run.pk).update(run_after=later)
        run.resume()
        assert run.run_after is None
        claim(run)


class TestDatabase:
    """What the code forgets, the database refuses."""

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"status": "dancing"}, id="no status"),
            pytest.param({"status": ""}, id="empty"),
            pytest.param({"ended_at": timezone.now()}, id="active and ended"),
            pytest.param({"status": "succeeded"}, id="ended without a date"),
        ],
    )
    def test_refuses_a_row_that_cannot_be(self, changes: dict[str, Any]) -> None:
        run = run_in(Status.ENQUEUED)
        with pytest.raises(IntegrityError), transaction.atomic():
            Run.objects.filter(pk=run.pk).update(**changes)
