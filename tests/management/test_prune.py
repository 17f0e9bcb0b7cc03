"""`upkeep prune` deletes what is over for long, and tells how many of what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_tasks_db.models import DBTaskResult
from pytest_django import Settings

from tests.management.commands import upkeep
from tests.runs.stages import run_in
from tests.runs.test_retention import age, old
from tests.testapp.maintenance import Numbers
from tests.testapp.models import Receipt
from upkeep.models import DeadLetter, Run
from upkeep.runs.status import Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def over() -> None:
    """Have two runs that are over for long, one that is not, and old messages."""
    old()
    old(Status.ERRORED)
    run_in(Status.SUCCEEDED)
    DBTaskResult.objects.update(
        status="SUCCESSFUL", finished_at=timezone.now() - timedelta(hours=2)
    )


def test_deletes_and_tells_how_many(over: None) -> None:
    outcome = upkeep("prune", "--older-than", "30d")
    assert outcome.out == (
        "2 runs deleted, with 6 events and 0 files; 3 old messages deleted.\n"
    )
    assert Run.objects.count() == 1
    assert not DBTaskResult.objects.exists()


def test_tells_first_if_asked_to(over: None) -> None:
    outcome = upkeep("prune", "--older-than", "30d", "--dry-run")
    assert outcome.out == (
        "2 runs would be deleted, with 6 events and 0 files; "
        "3 old messages would be deleted.\n"
    )
    assert (Run.objects.count(), DBTaskResult.objects.count()) == (3, 3)


def test_tells_of_runs_that_stay() -> None:
    Receipt.objects.create(run=old())
    assert (
        "1 old run stays: others refer to it."
        in upkeep("prune", "--older-than", "30d").out
    )


def test_tells_of_dead_letters_of_calls() -> None:
    then = timezone.now() - timedelta(days=31)
    DeadLetter.objects.create(call="shop.charge", state="resolved", created_at=then)
    outcome = upkeep("prune", "--older-than", "30d")
    assert outcome.out.endswith("deleted. 1 dead letter of a call deleted.\n")


def test_takes_the_age_from_the_settings(settings: Settings) -> None:
    settings.UPKEEP = {"RETENTION": timedelta(days=30)}
    old()
    assert upkeep("prune").out.startswith("1 run deleted, with 3 events and 0 files; ")


def test_without_an_age_is_wrong_usage() -> None:
    old()
    outcome = upkeep("prune")
    assert outcome.status == 2
    assert "say how old: manage.py upkeep prune --older-than 30d" in outcome.err
    assert Run.objects.exists()


@pytest.mark.parametrize(
    ("text", "hours"), [("7200s", 2), ("120min", 2), ("2h", 2), ("3d", 72), ("1w", 168)]
)
def test_reads_a_number_and_a_unit(text: str, hours: float) -> None:
    run = run_in(Status.SUCCEEDED, Numbers)
    age(run, by=timedelta(hours=hours) - timedelta(minutes=1))
    upkeep("prune", "--older-than", text)
    assert Run.objects.exists()
    age(run, by=timedelta(hours=hours) + timedelta(minutes=1))
    upkeep("prune", "--older-than", text)
    assert not Run.objects.exists()


@pytest.mark.parametrize("text", ["30", "30 days", "-1d", "1.5h", "d", "1m", "٣d", ""])
def test_refuses_what_is_no_duration(text: Any) -> None:
    outcome = upkeep("prune", f"--older-than={text}")
    assert outcome.status != 0
    assert "is no duration: write it like 30d, 12h, 90min or 2w." in outcome.err


def test_refuses_what_is_longer_than_python_can_say() -> None:
    assert "is too long" in upkeep("prune", "--older-than", f"{10**12}w").err
