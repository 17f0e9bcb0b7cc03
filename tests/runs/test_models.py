"""The row of a run: what it says of itself, and what becomes of its neighbours."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection

from tests.runs.stages import claim, run_in
from tests.testapp.maintenance import CountUp, Numbers
from upkeep.exceptions import TaskNotFound
from upkeep.runs.events import Event
from upkeep.runs.leases import Lease
from upkeep.runs.models import Run, new_token
from upkeep.runs.status import ACTIVE, Status

pytestmark = pytest.mark.django_db


class TestRun:
    def test_is_called_by_its_number_and_task(self) -> None:
        run = CountUp.enqueue()
        assert str(run) == f"run {run.pk} of testapp.CountUp"

    @pytest.mark.parametrize("status", Status)
    def test_is_active_until_it_is_over(self, status: Status) -> None:
        assert run_in(status).is_active is (status in ACTIVE)

    def test_knows_its_class(self) -> None:
        assert CountUp.enqueue().task_class is CountUp

    def test_whose_class_is_gone_says_so_and_can_be_cancelled(self) -> None:
        run = CountUp.enqueue()
        Run.objects.filter(pk=run.pk).update(task="testapp.CountUpp")
        run.refresh_from_db()
        with pytest.raises(TaskNotFound, match=r"Did you mean testapp\.CountUp\?"):
            run.task_class  # noqa: B018
        run.cancel()
        assert run.status == Status.CANCELLED

    def test_newest_comes_first(self) -> None:
        runs = [Numbers.enqueue() for _ in range(3)]
        assert list(Run.objects.all()) == runs[::-1]

    def test_of_a_task_in_a_status_is_found_by_an_index(self) -> None:
        Run.objects.bulk_create(
            Run(
                task=f"testapp.{n % 13}",
                status=Status.PAUSED if n % 11 else Status.ENQUEUED,
            )
            for n in range(2000)
        )
        if connection.vendor == "postgresql":  # It goes by what it knows of the rows.
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE upkeep_run")
        found = Run.objects.filter(task="testapp.7", status=Status.ENQUEUED)
        assert "upkeep_run_task" in found.order_by().explain()

    def test_outlives_the_one_who_asked_for_it(self) -> None:
        user = User.objects.create(username="anna")
        run = Numbers.using(by=user).enqueue()
        user.delete()
        run.refresh_from_db()
        assert run.requested_by is None
        assert run.events.get().actor == "anna"

    def test_takes_its_lease_and_its_story_with_it(self) -> None:
        run = run_in(Status.SUCCEEDED)
        assert Lease.objects.exists()
        run.delete()
        assert not Lease.objects.exists()
        assert not Event.objects.exists()

    def test_is_timed_from_its_first_start(self) -> None:
        run = run_in(Status.INTERRUPTED)
        first = run.started_at
        assert first is not None
        again = claim(run).run
        assert (again.started_at, again.attempts) == (first, 2)
        assert again.time_running == timedelta(0)


class TestTell:
    def test_keeps_the_order(self) -> None:
        run = run_in(Status.RUNNING)
        run.tell(Event.Kind.LOG, "one", "two")
        run.tell(Event.Kind.LOG, "three")
        logged = run.events.filter(kind="log")
        assert [event.text for event in logged] == ["one", "two", "three"]

    def test_nothing_tells_nothing(self) -> None:
        run = run_in(Status.ENQUEUED)
        run.tell(Event.Kind.LOG)
        assert [event.status for event in run.events.all()] == ["enqueued"]

    def test_the_story_of_a_life(self) -> None:
        run = run_in(Status.INTERRUPTED)
        run.pause(by="anna")
        run.cancel(by="bert", reason="Enough.")
        assert [str(event) for event in run.events.all()] == [
            "enqueued: ",
            "running: ",
            "interrupted: Its time was up.",
            "paused: ",
            "cancelled: Enough.",
        ]


def test_no_token_comes_twice() -> None:
    assert len({new_token() for _ in range(1000)}) == 1000
