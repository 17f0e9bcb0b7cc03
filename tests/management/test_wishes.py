"""`upkeep pause`, `resume` and `cancel` pass on what a person wants of runs."""

import getpass

import pytest

from tests.management.commands import upkeep
from tests.runs.stages import run_in
from tests.testapp.maintenance import CountUp
from upkeep.runs.models import Run
from upkeep.runs.status import Status

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("wish", "before", "after"),
    [
        ("pause", Status.ENQUEUED, Status.PAUSED),
        ("pause", Status.RUNNING, Status.PAUSING),
        ("resume", Status.PAUSED, Status.ENQUEUED),
        ("resume", Status.ERRORED, Status.ENQUEUED),
        ("cancel", Status.PAUSED, Status.CANCELLED),
        ("cancel", Status.RUNNING, Status.CANCELLING),
    ],
)
def test_is_granted_and_told(wish: str, before: Status, after: Status) -> None:
    run = run_in(before)
    outcome = upkeep(wish, run.pk)
    run.refresh_from_db()
    assert (outcome.status, run.status) == (0, after)
    assert f"Run {run.pk} of testapp.Numbers is {after}" in outcome.out


def test_bears_a_name_and_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    run = run_in(Status.ENQUEUED)
    upkeep("pause", run.pk, "--reason", "The shop is busy.")
    event = run.events.latest("pk")
    assert (event.actor, event.text) == ("ada", "The shop is busy.")
    assert event.source == "command"


def test_takes_a_reason_that_no_database_would() -> None:
    run = run_in(Status.ENQUEUED)
    run.pause(by="a\0" * 300, reason="\udcff and \0")
    event = run.events.latest("pk")
    assert event.text == "\\udcff and \\x00"
    assert len(event.actor) == 255


def test_that_cannot_be_granted_does_not_keep_others_from_it() -> None:
    over, waiting = run_in(Status.SUCCEEDED), run_in(Status.ENQUEUED)
    outcome = upkeep("pause", over.pk, waiting.pk)
    waiting.refresh_from_db()
    assert outcome.status == 1
    assert waiting.status == Status.PAUSED
    assert f"run {over.pk} of testapp.Numbers cannot be paused" in outcome.err
    assert f"Run {waiting.pk} of testapp.Numbers is paused." in outcome.out


def test_to_resume_is_refused_where_another_run_took_the_place() -> None:
    errored = run_in(Status.ERRORED, CountUp)
    CountUp.enqueue()
    assert upkeep("resume", errored.pk).status == 3


def test_is_wished_of_all_or_none_where_a_number_is_wrong() -> None:
    run = run_in(Status.ENQUEUED)
    assert upkeep("pause", run.pk, 99).status == 2
    run.refresh_from_db()
    assert run.status == Status.ENQUEUED


def test_for_what_has_no_class_any_more_does_not_keep_others_from_it() -> None:
    gone, waiting = run_in(Status.ERRORED), run_in(Status.PAUSED)
    Run.objects.filter(pk=gone.pk).update(task="testapp.Gone")
    outcome = upkeep("resume", gone.pk, waiting.pk)
    waiting.refresh_from_db()
    assert (outcome.status, waiting.status) == (1, Status.ENQUEUED)
    assert "There is no task 'testapp.Gone'." in outcome.err
