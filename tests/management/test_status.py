"""`upkeep status` tells where runs are: to people, and to programs as JSON."""

import json

import pytest

from tests.management.commands import upkeep
from tests.runs.stages import run_in
from tests.testapp.maintenance import Confide, Numbers, Report
from upkeep.runs.status import Status

pytestmark = pytest.mark.django_db


class TestAll:
    def test_shows_a_line_for_each_run(self) -> None:
        run = run_in(Status.PAUSED)
        header, line = upkeep("status").out.splitlines()
        assert header.split() == ["RUN", "TASK", "STATUS", "ENQUEUED", "PROGRESS"]
        assert line.split()[:3] == [str(run.pk), "testapp.Numbers", "paused"]
        assert line.endswith("  0 items done")

    def test_shows_active_runs_and_the_ten_latest_others(self) -> None:
        active = run_in(Status.PAUSED)
        others = [run_in(Status.SUCCEEDED).pk for _ in range(11)]
        shown = [each["id"] for each in json.loads(upkeep("status", "--json").out)]
        assert shown == [active.pk, *reversed(others[1:])]

    def test_tells_a_run_that_retries_dead_letters_from_others(self) -> None:
        parent = run_in(Status.SUCCEEDED)
        for item in ("item 1", "item 2"):
            parent.dead_letters.create(item=item, error_class="x.Error")
        (run,) = parent.dead_letters.retry()
        _, first, second = upkeep("status").out.splitlines()
        words = f"retries 2 dead letters of run {parent.pk}"
        assert first.endswith(f"  0 of 2 items (0 %), {words}")
        assert "retries" not in second
        assert words in upkeep("status", run.pk).out
        assert words in upkeep("list").out

    def test_says_how_to_begin(self) -> None:
        assert "There are no runs yet" in upkeep("status").out

    def test_is_an_empty_list_as_json(self) -> None:
        assert json.loads(upkeep("status", "--json").out) == []


class TestOne:
    def test_shows_all_there_is_to_know(self) -> None:
        run = run_in(Status.ERRORED)
        lines = upkeep("status", run.pk).out.splitlines()
        told = {line[:14].strip(): line[14:] for line in lines}
        assert told["run"] == str(run.pk)
        assert told["task"] == "testapp.Numbers"
        assert told["status"] == "errored"
        assert told["error"] == "builtins.ValueError: No."
        assert told["queue"] == "default of backend default, priority 0"
        assert "reason" not in told  # What is empty is left out.

    def test_masks_what_is_secret(self) -> None:
        run = Confide.run_now(story="a dark one", api_key="open-sesame")
        out = upkeep("status", run.pk).out
        assert "story = [FILTERED]" in out
        assert "api_key = [FILTERED]" in out
        assert "a dark one" not in out
        assert "open-sesame" not in out

    def test_shows_the_result_of_a_job(self) -> None:
        run = Report.run_now()
        assert 'result        {"items": 0}' in upkeep("status", run.pk).out

    def test_asks_for_a_run_that_exists(self) -> None:
        outcome = upkeep("status", 99)
        assert outcome.status == 2
        assert "There is no run 99." in outcome.err


class TestJSON:
    def test_masks_what_is_secret(self) -> None:
        run = Confide.run_now(story="a dark one", api_key="open-sesame")
        out = upkeep("status", run.pk, "--json").out
        assert json.loads(out)["parameters"] == {
            "story": "[FILTERED]",
            "api_key": "[FILTERED]",
        }
        assert "a dark one" not in out
        assert "open-sesame" not in out

    def test_is_the_run(self) -> None:
        run = Numbers.run_now()
        told = json.loads(upkeep("status", run.pk, "--json").out)
        assert (told["status"], told["done"], told["total"]) == ("succeeded", 7, 7)
        assert told["label"] == "testapp.Numbers"
