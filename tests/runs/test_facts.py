"""What others may know of a run."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User

from tests.registering import renamed
from tests.testapp.maintenance import Confide, Numbers
from upkeep.models import Run
from upkeep.runs.facts import facts, label, parameters_in_words
from upkeep.tasks.base import Task

pytestmark = pytest.mark.django_db

PUBLIC = {
    *("id", "task", "label", "parameters", "metadata", "requested_by"),
    *("status", "reason", "cursor", "done", "failed", "skipped"),
    *("total", "is_total_estimated"),
    *("changed", "created", "deleted", "conflicts"),
    *("result", "eta", "parent", "rate"),
    *("error_class", "error_message", "error_at", "traceback", "unit"),
    *("lease_until", "worker", "attempts"),
    *("backend", "queue", "priority", "run_after"),
    *("throttled_by", "throttled_reason", "throttled_since"),
    *("created_at", "started_at", "ended_at", "time_running"),
}


@pytest.fixture
def confided() -> Run:
    return Confide.enqueue(story="a dark one", api_key="open-sesame")


def lose_class(run: Run) -> None:
    run.task = "testapp.Gone"
    run.save()


def test_are_the_public_columns_and_no_token() -> None:
    assert set(facts(Numbers.enqueue())) == PUBLIC


def test_mask_what_is_secret(confided: Run) -> None:
    masked = {"story": "[FILTERED]", "api_key": "[FILTERED]"}
    assert facts(confided)["parameters"] == masked
    assert parameters_in_words(confided) == masked


def test_mask_everything_where_nobody_can_say_what_is_secret(confided: Run) -> None:
    """The task's class is gone, and with it its list of masked names."""
    lose_class(confided)
    masked = {"story": "[FILTERED]", "api_key": "[FILTERED]"}
    assert facts(confided)["parameters"] == masked
    assert parameters_in_words(confided) == masked


def test_fit_in_json() -> None:
    user = User.objects.create(username="ada")
    run = Numbers.using(by=user).enqueue()
    run.time_running, run.total, run.done = timedelta(seconds=5), 100, 50
    run.created_at = datetime(2026, 1, 2, tzinfo=UTC)
    told = facts(run)
    assert told["requested_by"] == "ada"
    assert told["time_running"] == 5.0
    assert told["eta"] == 5.0
    assert told["created_at"] == "2026-01-02T00:00:00+00:00"


def test_leave_nothing_to_wait_for_when_the_run_is_over() -> None:
    assert facts(Numbers.run_now())["eta"] is None


def test_have_the_label_that_the_task_bears_today(confided: Run) -> None:
    confided.task = "testapp.Whisper"
    with renamed(Confide, former="testapp.Whisper"):
        assert issubclass(confided.task_class, Task)
        assert label(confided) == "testapp.Confide"


def test_have_the_label_it_had_where_the_class_is_gone(confided: Run) -> None:
    lose_class(confided)
    assert label(confided) == "testapp.Gone"
