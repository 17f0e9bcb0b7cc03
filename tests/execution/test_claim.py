"""A worker's hold on a run: one has it, and only that one writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tests.execution.story import effects
from tests.runs.stages import claim
from tests.testapp.maintenance import Numbers
from upkeep.databases import Now
from upkeep.dispatch.recovery import sweep
from upkeep.exceptions import LeaseLost
from upkeep.execution import executor
from upkeep.execution.claim import Claim
from upkeep.models import Run
from upkeep.runs.leases import Lease
from upkeep.runs.status import Status

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run() -> Run:
    """Return a run that waits for a worker."""
    return Numbers.enqueue()


@pytest.fixture
def lost(run: Run) -> Claim:
    """Return the claim of a worker whose run another one has taken over."""
    mine = claim(run)
    Run.objects.filter(pk=run.pk).update(lease_until=Now() - timedelta(hours=1))
    sweep()
    claim(run)
    return mine


class TestTake:
    """Of all who come with a message, one gets the run."""

    def test_the_first_gets_it_and_the_second_has_come_for_nothing(
        self, run: Run
    ) -> None:
        assert Claim.take(run.pk, run.lease_token)
        assert Claim.take(run.pk, run.lease_token) is None

    def test_a_run_that_is_not_there_is_nobodys(self) -> None:
        assert Claim.take(4711, "a token") is None

    def test_a_message_from_before_a_pause_is_stale(self, run: Run) -> None:
        token = run.lease_token
        run.pause()
        run.resume()
        assert executor.execute(run.pk, token) is None
        assert executor.execute(run.pk, run.lease_token) is not None

    @pytest.mark.parametrize("wish", [Run.pause, Run.cancel])
    def test_a_run_that_shall_not_go_on_is_nobodys(
        self, run: Run, wish: Callable[[Run], None]
    ) -> None:
        wish(run)
        assert Claim.take(run.pk, run.lease_token) is None

    def test_a_run_whose_time_has_not_come_is_nobodys(self) -> None:
        run = Numbers.using(run_after=timezone.now() + timedelta(hours=1)).enqueue()
        assert Claim.take(run.pk, run.lease_token) is None

    def test_inside_a_transaction_that_may_be_rolled_back_it_is_refused(
        self, run: Run
    ) -> None:
        with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
            executor.execute(run.pk, run.lease_token)
        assert effects() == {}
        assert Run.objects.get() == run

    def test_it_notes_who_holds_it_since_when_and_how_often(self, run: Run) -> None:
        first = claim(run).run
        assert (first.status, first.attempts) == (Status.RUNNING, 1)
        assert ":" in first.worker
        assert first.lease_until
        assert first.started_at
        Claim(first).let_go(reason="That will do.")
        second = claim(run).run
        assert (second.attempts, second.started_at) == (2, first.started_at)


class TestFence:
    """What a worker has lost it does not write."""

    @pytest.mark.parametrize(
        "act",
        [
            lambda lost: lost.write("a line", done=5),
            lambda lost: lost.renew(),
            lambda lost: lost.wish(),
            lambda lost: lost.end(Status.SUCCEEDED),
            lambda lost: lost.end(Status.ERRORED, error_message="No."),
            lambda lost: lost.let_go(reason="Enough."),
        ],
        ids=["write", "renew", "wish", "succeed", "fail", "let go"],
    )
    def test_every_write_is_refused(self, lost: Claim, act: Any) -> None:
        before = story(lost.run.pk)
        with pytest.raises(LeaseLost, match="taken over by another worker"):
            act(lost)
        assert story(lost.run.pk) == before

    def test_whoever_holds_it_writes(self, run: Run) -> None:
        mine = claim(run)
        mine.write("a line", done=5)
        run.refresh_from_db()
        assert run.done == 5
        assert run.events.filter(text="a line").exists()

    def test_a_new_token_makes_the_old_one_stale(self, run: Run) -> None:
        mine = claim(run)
        stale = Claim(mine.run)
        mine.renew()
        mine.write(done=5)
        assert Lease.objects.get(run=run).token == mine.token
        with pytest.raises(LeaseLost):
            stale.write(done=4)

    def test_a_new_token_brings_the_row_as_it_is(self, run: Run) -> None:
        mine = claim(run)
        Run.objects.filter(pk=run.pk).update(done=4)
        mine.renew()
        assert mine.run.done == 4


def story(run_id: int) -> tuple[Any, ...]:
    """Return all that is stored of a run."""
    run = Run.objects.filter(pk=run_id)
    return (*run.values(), *run.values("events__text"), *run.values("lease__token"))


class TestRunThatIsDeleted:
    """Somebody deletes the row of a run that is worked on."""

    def test_its_chunk_is_rolled_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def delete(self: Numbers, number: int) -> None:
            process(self, number)
            Run.objects.all().delete()

        process = Numbers.process
        monkeypatch.setattr(Numbers, "process", delete)
        run = Numbers.enqueue()
        assert executor.execute(run.pk, run.lease_token) is None
        assert effects() == {}
        assert Run.objects.get() == run


class TestWorkerThatWakesUp:
    """Inside a chunk a worker finds out at its checkpoint, and all is rolled back."""

    def test_its_effects_are_rolled_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def take_over(self: Numbers, number: int) -> None:
            process(self, number)
            Run.objects.update(lease_token="another")

        process = Numbers.process
        monkeypatch.setattr(Numbers, "process", take_over)
        run = Numbers.enqueue()
        assert executor.execute(run.pk, run.lease_token) is None
        assert effects() == {}
        assert connection.in_atomic_block is False
