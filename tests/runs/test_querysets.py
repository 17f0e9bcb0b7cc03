"""What one asks of all runs: by the database's clock, and nobody else's."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tests.runs.stages import run_in
from upkeep.databases import Now
from upkeep.runs.leases import Lease
from upkeep.runs.models import Run
from upkeep.runs.status import ACTIVE, ENDED, HELD, WAITING, Status

pytestmark = pytest.mark.django_db

A_MINUTE = timedelta(minutes=1)

# The time zones of the session: another one must not make a lease hours longer.
ZONES = {"mysql": "SET time_zone = '+05:00'", "postgresql": "SET TIME ZONE '+05:00'"}
ZONES_BACK = {"mysql": "SET time_zone = '+00:00'", "postgresql": "SET TIME ZONE 'UTC'"}


@pytest.fixture(params=["own zone", "zone five hours ahead"])
def zone(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param == "own zone":
        yield
        return
    if connection.vendor not in ZONES:
        pytest.skip("by design: a session of SQLite has no time zone")
    with connection.cursor() as cursor:
        cursor.execute(ZONES[connection.vendor])
        try:
            yield
        finally:
            cursor.execute(ZONES_BACK[connection.vendor])


def set_lease(run: Run, *, row: timedelta, pacemaker: timedelta | None) -> None:
    """Let the two times be so far from now."""
    Run.objects.filter(pk=run.pk).update(lease_until=Now() + row)
    Lease.objects.filter(run=run).update(
        until=None if pacemaker is None else Now() + pacemaker
    )


@pytest.mark.usefixtures("zone")
class TestNow:
    def test_is_the_time_of_day(self) -> None:
        run = run_in(Status.ENQUEUED)
        Run.objects.filter(pk=run.pk).update(resend_at=Now())
        run.refresh_from_db()
        assert run.resend_at is not None
        assert abs(run.resend_at - timezone.now()) < timedelta(seconds=5)

    def test_can_be_counted_from(self) -> None:
        run = run_in(Status.ENQUEUED)
        Run.objects.filter(pk=run.pk).update(
            created_at=Now(), resend_at=Now() + timedelta(hours=3)
        )
        run.refresh_from_db()
        assert run.resend_at is not None
        passed = run.resend_at - run.created_at - timedelta(hours=3)
        assert abs(passed) < timedelta(seconds=1)


@pytest.mark.usefixtures("zone")
class TestAbandoned:
    @pytest.mark.parametrize(
        ("row", "pacemaker", "abandoned"),
        [
            pytest.param(A_MINUTE, None, False, id="fresh"),
            pytest.param(-A_MINUTE, None, True, id="over, no pacemaker"),
            pytest.param(-A_MINUTE, A_MINUTE, False, id="a long item, beaten for"),
            pytest.param(A_MINUTE, -A_MINUTE, False, id="short items again"),
            pytest.param(-A_MINUTE, -A_MINUTE, True, id="both over"),
        ],
    )
    def test_the_later_of_the_two_times_counts(
        self, row: timedelta, pacemaker: timedelta | None, abandoned: bool
    ) -> None:
        run = run_in(Status.RUNNING)
        set_lease(run, row=row, pacemaker=pacemaker)
        assert Run.objects.abandoned().contains(run) is abandoned

    def test_a_claim_gives_the_time_of_a_lease(self) -> None:
        run = run_in(Status.RUNNING)
        assert run.lease_until is not None
        left = run.lease_until - timezone.now()
        assert timedelta(seconds=20) < left < timedelta(seconds=40)

    @pytest.mark.parametrize("status", sorted(HELD))
    def test_whoever_is_held_can_be(self, status: Status) -> None:
        run = run_in(status)
        set_lease(run, row=-A_MINUTE, pacemaker=None)
        assert list(Run.objects.abandoned()) == [run]

    def test_whoever_is_not_held_cannot(self) -> None:
        for status in set(Status) - HELD:
            run = run_in(status)
            Run.objects.filter(pk=run.pk).update(lease_until=Now() - A_MINUTE)
        assert not Run.objects.abandoned().exists()


@pytest.mark.usefixtures("zone")
class TestClaimable:
    @pytest.mark.parametrize("status", Status)
    def test_is_what_waits(self, status: Status) -> None:
        run = run_in(status)
        assert Run.objects.claimable().contains(run) is (status in WAITING)

    @pytest.mark.parametrize(("after", "due"), [(-A_MINUTE, True), (A_MINUTE, False)])
    def test_is_not_what_is_to_come_later(self, after: timedelta, due: bool) -> None:
        run = run_in(Status.ENQUEUED)
        Run.objects.filter(pk=run.pk).update(run_after=Now() + after)
        assert Run.objects.claimable().contains(run) is due


@pytest.mark.usefixtures("zone")
class TestUnheard:
    @pytest.mark.parametrize(("at", "unheard"), [(-A_MINUTE, True), (A_MINUTE, False)])
    def test_is_whose_message_should_have_been_read(
        self, at: timedelta, unheard: bool
    ) -> None:
        run = run_in(Status.ENQUEUED)
        Run.objects.filter(pk=run.pk).update(resend_at=Now() + at)
        assert Run.objects.unheard().contains(run) is unheard

    @pytest.mark.parametrize("status", sorted(set(Status) - WAITING))
    def test_is_nobody_who_waits_for_no_message(self, status: Status) -> None:
        run = run_in(status)
        Run.objects.filter(pk=run.pk).update(resend_at=Now() - A_MINUTE)
        assert not Run.objects.unheard().exists()


class TestGroups:
    def test_active_and_ended_are_all(self) -> None:
        for status in Status:
            run_in(status)
        assert {run.status for run in Run.objects.active()} == ACTIVE
        assert {run.status for run in Run.objects.ended()} == ENDED


def test_the_lease_of_a_neighbour_does_not_count() -> None:
    mine, other = run_in(Status.RUNNING), run_in(Status.RUNNING)
    set_lease(mine, row=-A_MINUTE, pacemaker=None)
    set_lease(other, row=-A_MINUTE, pacemaker=A_MINUTE)
    assert list(Run.objects.abandoned()) == [mine]
