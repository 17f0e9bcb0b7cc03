"""All tasks at a glance."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.registering import renamed
from tests.runs.stages import run_in
from tests.testapp.maintenance import Confide, CountUp, Numbers, Report
from upkeep.runs.models import Run
from upkeep.runs.overview import AT_ONCE, GROUPS, Entry, overview
from upkeep.runs.status import ACTIVE, ENDED, Status

pytestmark = pytest.mark.django_db

SOME = [Confide, CountUp, Numbers, Report]


def entry(label: str) -> Entry:
    (found,) = [
        each for group in overview().values() for each in group if each.label == label
    ]
    return found


class TestGroups:
    @pytest.mark.parametrize("status", list(Status))
    def test_follow_from_the_status_of_runs(self, status: Status) -> None:
        run = run_in(status, Numbers)
        found = entry("testapp.Numbers")
        assert found.group == ("active" if status in ACTIVE else "completed")
        assert found.run == run
        assert found.active == (1 if status in ACTIVE else 0)

    def test_are_all_there_even_when_empty(self) -> None:
        assert tuple(overview([])) == GROUPS
        assert overview([]) == {"active": [], "new": [], "completed": []}

    def test_what_never_ran_is_new(self) -> None:
        assert (entry("testapp.Report").group, entry("testapp.Report").run) == (
            "new",
            None,
        )

    def test_each_task_is_in_one_of_them(self) -> None:
        run_in(Status.SUCCEEDED, Numbers)
        run_in(Status.ENQUEUED, Numbers)
        assert sum(len(each) for each in overview(SOME).values()) == len(SOME)


class TestRun:
    def test_is_the_latest_of_the_active_ones(self) -> None:
        run_in(Status.PAUSED, Numbers)
        latest = run_in(Status.ENQUEUED, Numbers)
        run_in(Status.SUCCEEDED, Numbers)
        found = entry("testapp.Numbers")
        assert (found.run, found.active, found.others) == (latest, 2, 1)

    @pytest.mark.parametrize("status", sorted(ENDED))
    def test_is_the_latest_of_all_where_none_is_active(self, status: Status) -> None:
        run_in(Status.SUCCEEDED, Numbers)
        latest = run_in(status, Numbers)
        found = entry("testapp.Numbers")
        assert (found.run, found.active, found.others) == (latest, 0, 0)

    def test_of_a_former_name_counts(self) -> None:
        former = run_in(Status.ENQUEUED, Numbers)
        Run.objects.update(task="testapp.Former")
        run_in(Status.SUCCEEDED, Numbers)
        with renamed(Numbers, former="testapp.Former"):
            found = entry("testapp.Numbers")
        assert (found.run, found.active) == (former, 1)


class TestOrder:
    def test_is_the_latest_first(self) -> None:
        for task in (Numbers, Confide, CountUp):
            run_in(Status.CANCELLED, task)
        completed = overview(SOME)["completed"]
        assert [each.task for each in completed] == [CountUp, Confide, Numbers]

    def test_of_new_ones_is_by_name(self) -> None:
        assert [each.task for each in overview(SOME)["new"]] == SOME


class TestGone:
    def test_is_listed_while_it_is_active(self) -> None:
        run = Run.objects.create(task="testapp.Gone")
        found = entry("testapp.Gone")
        assert (found.task, found.run, found.active) == (None, run, 1)
        run.cancel()
        labels = {each.label for group in overview().values() for each in group}
        assert "testapp.Gone" not in labels

    def test_is_left_out_where_tasks_are_named(self) -> None:
        Run.objects.create(task="testapp.Gone")
        assert overview(SOME)["active"] == []


class TestCost:
    def test_does_not_grow_with_runs(self) -> None:
        with CaptureQueriesContext(connection) as before:
            overview()
        for _ in range(10):
            run_in(Status.ENQUEUED, Numbers)
            run_in(Status.CANCELLED, CountUp)
            Run.objects.create(task="testapp.Gone")
        with CaptureQueriesContext(connection) as after:
            overview()
        assert len(after) <= len(before) + 1  # for those whose class is gone

    def test_asks_some_at_a_time_where_tasks_are_many(self) -> None:
        """The parser of SQLite goes only so deep."""
        many = [
            type(f"T{n}", (Numbers,), {"__qualname__": "<locals>.T", "app_label": "t"})
            for n in range(3 * AT_ONCE)
        ]
        with CaptureQueriesContext(connection) as queries:
            assert len(overview(many)["new"]) == len(many)
        assert len(queries) == 4

    def test_has_who_asked_for_the_runs(self) -> None:
        Numbers.enqueue()
        found = entry("testapp.Numbers")
        with CaptureQueriesContext(connection) as queries:
            assert found.run is not None
            assert found.run.requested_by is None
        assert len(queries) == 0
