"""A test sees what a task does while it is throttled, and whether it would be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django import forms

from tests.dispatch.queue import messages
from tests.registering import registered
from tests.testapp.maintenance import CountUp, CountUpByNight, Numbers
from tests.testapp.models import Country, Effect, Item
from upkeep import Throttle, parameter, throttle
from upkeep.models import Run
from upkeep.runs.status import Status
from upkeep.testing import assert_throttled, run_inline, throttled

pytestmark = pytest.mark.django_db


class Replica(Throttle):
    """Lets all go on."""

    name = "replica"
    backoff = timedelta(seconds=1)

    def check(self, task: object) -> object:
        return None


class CountUpBehind(CountUp):
    """Heeds a replica, and how far behind it may be."""

    app_label = "testapp"
    throttles = [Replica()]
    most: int = parameter(forms.IntegerField(initial=10))
    shop: str = parameter(forms.CharField(required=False))

    @throttle(backoff=timedelta(minutes=2))
    def replica_is_behind(self) -> str | None:
        return "40 s behind" if self.most < 40 else None


@pytest.fixture(autouse=True)
def _items() -> Iterator[None]:
    Item.objects.bulk_create(Item() for _ in range(5))
    with registered({"tests.CountUpBehind": CountUpBehind}):
        yield


def waits(run: Run) -> timedelta:
    assert run.run_after is not None
    assert run.throttled_since is not None
    return run.run_after - run.throttled_since


class TestThrottled:
    def test_a_run_stops_before_its_first_item_and_says_why(self) -> None:
        with throttled(CountUpByNight, reason="It has guests."):
            run = run_inline(CountUpByNight)
        assert (run.status, run.done) == (Status.INTERRUPTED, 0)
        assert (run.throttled_by, run.throttled_reason) == (
            *("shop_is_open", "It has guests."),
        )
        assert run.reason == "Throttled by shop_is_open: It has guests."
        assert not Effect.objects.exists()

    def test_it_need_not_say_why(self) -> None:
        with throttled(CountUpByNight):
            run = run_inline(CountUpByNight)
        assert run.throttled_reason == ""
        assert run.reason == "Throttled by shop_is_open."

    def test_a_run_goes_on_from_its_place_when_the_throttle_lets_go(self) -> None:
        run = run_inline(CountUpByNight, stop_after=2)
        with throttled(CountUpByNight):
            run = run_inline(run)
            assert (run.status, run.done) == (Status.INTERRUPTED, 2)
        run = run_inline(run)
        assert (run.status, run.done, run.throttled_by) == (Status.SUCCEEDED, 5, "")

    def test_it_waits_for_its_backoff(self) -> None:
        with throttled(CountUpByNight):
            run = run_inline(CountUpByNight)
        assert abs(waits(run) - timedelta(minutes=5)) < timedelta(seconds=1)

    def test_nobody_sleeps_for_a_short_backoff_again_and_again(self) -> None:
        with throttled(CountUpBehind):
            run = run_inline(CountUpBehind, most=60)
        assert (run.status, run.throttled_by) == (Status.INTERRUPTED, "replica")

    def test_neither_does_who_runs_it_otherwise(self) -> None:
        with throttled(CountUpByNight):
            run = CountUpByNight.run_now()
        assert run.status == Status.INTERRUPTED
        assert messages()  # As in real life, for when it is to look again.

    def test_its_throttles_hold_for_subclasses_and_for_no_other_task(self) -> None:
        class ByNight(CountUpByNight):
            app_label = "testapp"

        with registered({"tests.ByNight": ByNight}), throttled(CountUpByNight):
            assert run_inline(ByNight).status == Status.INTERRUPTED
            assert run_inline(CountUpBehind, most=60).status == Status.SUCCEEDED

    def test_of_one_that_is_made_they_hold_for_the_same_parameters(self) -> None:
        with throttled(CountUpBehind(most=50), "slow"):
            assert run_inline(CountUpBehind, most="50").throttled_reason == "slow"
            assert run_inline(CountUpBehind, most=60).status == Status.SUCCEEDED

    def test_a_task_that_nothing_can_hold_is_refused(self) -> None:
        with (
            pytest.raises(AssertionError, match="Numbers has no throttles"),
            throttled(Numbers),
        ):
            pass

    def test_afterwards_all_is_as_before(self) -> None:
        with pytest.raises(ZeroDivisionError), throttled(CountUpByNight):
            1 / 0  # noqa: B018 - it is to fail
        assert run_inline(CountUpByNight).status == Status.SUCCEEDED


def test_a_throttle_that_holds_by_itself_stops_a_run_too() -> None:
    Country.objects.create(code="open")
    run = run_inline(CountUpByNight)
    assert (run.status, run.throttled_reason) == (
        *(Status.INTERRUPTED, "It has guests."),
    )
    Country.objects.all().delete()
    assert run_inline(run).status == Status.SUCCEEDED


class TestAssertThrottled:
    def test_passes_where_one_holds(self) -> None:
        Country.objects.create(code="open")
        assert_throttled(CountUpByNight)
        assert_throttled(CountUpByNight, reason="guests")

    def test_asks_with_the_parameters_of_one_that_is_made(self) -> None:
        assert_throttled(CountUpBehind(most=30), reason="40 s behind")
        with pytest.raises(AssertionError):
            assert_throttled(CountUpBehind(most=50))

    def test_tells_what_each_has_answered(self) -> None:
        with pytest.raises(AssertionError) as caught:
            assert_throttled(CountUpBehind(most=50))
        assert str(caught.value).splitlines() == [
            "CountUpBehind is not throttled:",
            "  replica lets it go on",
            "  replica_is_behind lets it go on",
        ]

    def test_tells_of_another_reason(self) -> None:
        with pytest.raises(AssertionError) as caught:
            assert_throttled(CountUpBehind, reason="closed")
        assert str(caught.value).splitlines() == [
            "CountUpBehind is throttled, but not because of 'closed':",
            "  replica lets it go on",
            "  replica_is_behind holds for 2 min 0 s and says '40 s behind'",
        ]

    def test_a_task_that_nothing_can_hold_is_refused(self) -> None:
        with pytest.raises(AssertionError, match="Numbers has no throttles"):
            assert_throttled(Numbers)

    def test_knows_those_that_a_test_holds(self) -> None:
        with throttled(CountUpByNight, "busy"):
            assert_throttled(CountUpByNight, reason="busy")
