"""`upkeep list` shows the tasks there are, those under way first."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.management.commands import upkeep
from tests.registering import renamed
from tests.runs.stages import run_in
from tests.testapp.maintenance import CountUp, Report
from upkeep.runs.status import Status
from upkeep.tasks import registry

pytestmark = pytest.mark.django_db


def listed() -> dict[str, list[str]]:
    """Return the columns by label."""
    _, *lines = upkeep("list").out.splitlines()
    return {line.split()[1]: line.split() for line in lines}


def test_shows_group_label_last_run_and_summary() -> None:
    Report.run_now()
    assert listed()["testapp.Report"][0] == "completed"
    assert listed()["testapp.Report"][2] == "succeeded"
    assert listed()["testapp.Report"][-3:] == ["Count", "the", "items."]


def test_shows_what_is_active_first_and_what_is_new_second() -> None:
    run_in(Status.SUCCEEDED, Report)
    run_in(Status.RUNNING, CountUp)
    groups = [columns[0] for columns in listed().values()]
    assert groups == sorted(groups, key=["active", "new", "completed"].index)
    assert groups[0] == "active"
    assert groups[-1] == "completed"


def test_shows_the_active_run_where_a_later_one_is_over() -> None:
    run_in(Status.PAUSED)
    run_in(Status.SUCCEEDED)
    assert listed()["testapp.Numbers"][:3] == ["active", "testapp.Numbers", "paused"]


def test_knows_a_renamed_task_by_its_runs() -> None:
    run = run_in(Status.SUCCEEDED, Report)
    type(run).objects.update(task="testapp.OldReport")
    with renamed(Report, former="testapp.OldReport"):
        assert listed()["testapp.Report"][0] == "completed"


def test_asks_no_more_when_there_are_more_runs() -> None:
    def questions() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            upkeep("list")
        return len(captured)

    before = questions()
    for _ in range(5):
        run_in(Status.SUCCEEDED)
    assert questions() == before


def test_says_how_to_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "tasks", list)
    assert "There are no tasks yet" in upkeep("list").out


class TestOne:
    def told(self, label: str) -> dict[str, str]:
        lines = upkeep("list", label).out.splitlines()
        width = len("description") + 2
        return {line[:width].strip(): line[width:] for line in lines}

    def test_is_described_with_its_place_and_parameters(self) -> None:
        told = self.told("testapp.CountUpTo")
        assert told["task"] == "testapp.CountUpTo"
        assert told["description"].startswith("Add one to the items up to a key")
        assert told["defined in"].startswith("tests/testapp/maintenance.py:")
        assert told["parameters"] == "up_to: IntegerField, required."
        assert "attributes" not in told  # They are the usual ones.

    def test_is_told_with_what_differs_from_other_tasks(self) -> None:
        assert self.told("testapp.InTurns")["attributes"] == "time_budget = 0.2 s"

    def test_is_told_with_what_lets_it_wait(self) -> None:
        told = self.told("testapp.CountUpByNight")["throttles"]
        assert told == "shop_is_open: waits 5 min 0 s, asked every 0.0 s"
        assert "throttles" not in self.told("testapp.CountUp")

    def test_shows_defaults_but_no_secrets(self) -> None:
        assert "default 0.05" in upkeep("list", "testapp.Slowly").out
        out = upkeep("list", "testapp.Confide").out
        assert "api_key: CharField, default [FILTERED]." in out
        assert "hush-hush" not in out

    def test_needs_no_parameters(self) -> None:
        assert self.told("testapp.Report")["parameters"] == "none"

    def test_is_asked_for_by_its_label(self) -> None:
        outcome = upkeep("list", "testapp.CountUpp")
        assert outcome.status == 2
        assert "Did you mean testapp.CountUp?" in outcome.err
