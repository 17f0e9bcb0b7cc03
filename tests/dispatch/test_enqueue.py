"""A run is started: in a worker that a message will call, or here and now."""

from datetime import timedelta

import pytest
from django.db import transaction

import upkeep
from tests.dispatch.queue import messages
from tests.testapp.maintenance import CountUp, CountUpTo, Numbers, Report
from tests.testapp.models import Effect, Item
from upkeep.dispatch.enqueue import run_now
from upkeep.exceptions import (
    AlreadyActive,
    InvalidParameters,
    TaskNotFound,
    UpkeepError,
)
from upkeep.execution.interruption import Interruption
from upkeep.runs.models import Run
from upkeep.runs.status import Status


@pytest.mark.django_db
class TestEnqueue:
    def test_returns_the_run_as_it_is_stored(self) -> None:
        run = CountUp.enqueue()
        stored = Run.objects.get()
        assert run == stored
        assert (run.message_id, run.resend_at) == (stored.message_id, stored.resend_at)
        assert run.message_id

    def test_works_on_nothing(self) -> None:
        Numbers.enqueue()
        assert not Effect.objects.exists()

    def test_by_label_is_the_same(self) -> None:
        run = upkeep.enqueue("testapp.CountUpTo", up_to="3")
        assert (run.task_class, run.parameters) == (CountUpTo, {"up_to": 3})

    def test_by_a_label_that_nobody_has_says_so(self) -> None:
        with pytest.raises(TaskNotFound):
            upkeep.enqueue("testapp.CountDown")

    def test_of_a_refused_run_sends_no_message(self) -> None:
        CountUp.enqueue()
        with pytest.raises(AlreadyActive):
            CountUp.enqueue()
        with pytest.raises(InvalidParameters):
            CountUpTo.enqueue()
        assert len(messages()) == Run.objects.count() == 1


@pytest.mark.django_db(transaction=True)
class TestRunNow:
    def test_comes_back_when_it_is_done(self) -> None:
        run = Numbers.run_now()
        assert (run.status, run.done, run.total) == (Status.SUCCEEDED, 7, 7)
        assert Effect.objects.count() == 7

    def test_needs_no_queue(self) -> None:
        Numbers.run_now()
        assert not messages()

    def test_brings_the_result_of_a_job(self) -> None:
        Item.objects.create()
        assert Report.run_now().result == {"items": 1}

    def test_of_a_task_that_fails_returns_the_failed_run(self) -> None:
        items = Item.objects.bulk_create(Item() for _ in range(3))
        run = CountUpTo.run_now(up_to=items[1].pk)
        assert (run.status, run.done) == (Status.ERRORED, 2)
        assert run.error_class == "builtins.ValueError"

    def test_has_no_limit_of_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Numbers, "time_budget", timedelta(microseconds=1))
        monkeypatch.setattr(Numbers, "chunk", timedelta(microseconds=1))
        run = Numbers.run_now()
        assert (run.status, run.attempts) == (Status.SUCCEEDED, 1)

    def test_can_be_told_to_stop_and_then_goes_on_in_a_worker(self) -> None:
        interruption = Interruption()
        interruption.ask_to_stop("Ctrl-C")
        run = run_now(Numbers.using(), interruption=interruption)
        assert (run.status, run.reason) == (Status.INTERRUPTED, "Ctrl-C")
        assert messages() == [[run.pk, run.lease_token]]

    def test_is_refused_like_any_other(self) -> None:
        CountUp.enqueue()
        with pytest.raises(AlreadyActive):
            CountUp.run_now()
        with pytest.raises(InvalidParameters):
            CountUpTo.run_now(up_to="x")

    def test_inside_a_transaction_says_what_to_do(self) -> None:
        with (
            transaction.atomic(),
            pytest.raises(UpkeepError, match=r"testapp\.CountUp cannot run inside .*"),
        ):
            CountUp.run_now()
        assert not Run.objects.exists()


@pytest.mark.django_db
class TestRunNowInTests:
    """The transaction that a test case opens is not in the way; one's own is."""

    def test_works_in_the_transaction_of_a_test_case(self) -> None:
        assert Numbers.run_now().status == Status.SUCCEEDED

    def test_is_refused_in_a_transaction_inside_of_that(self) -> None:
        with transaction.atomic(), pytest.raises(UpkeepError, match="or enqueue"):
            Numbers.run_now()
