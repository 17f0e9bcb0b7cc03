"""An error is told to the log and to the host's reporter, and secrets are not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django import forms
from pytest_django import Settings

from tests.execution.test_masks import ERRORS, SECRET, assert_nothing_is_told, chained
from tests.runs.stages import run_in
from tests.testapp.maintenance import CountUpTo
from tests.testapp.models import Item
from upkeep import Job, parameter
from upkeep.exceptions import MaskedError
from upkeep.execution.failures import told
from upkeep.execution.reporting import report
from upkeep.runs.status import Status

pytestmark = pytest.mark.django_db

Known = Callable[[Any], Any]
Reports = list[tuple[BaseException, dict[str, Any]]]

REPORTS: Reports = []


def note(error: BaseException, **context: Any) -> None:
    REPORTS.append((error, context))


@pytest.fixture
def reports(settings: Settings) -> Reports:
    """Return what the reporter is told, as it is told."""
    settings.UPKEEP = {"ERROR_REPORTER": f"{__name__}.note"}
    REPORTS.clear()
    return REPORTS


def test_what_stops_a_run_is_reported_with_where_and_how_far(
    items: list[Item], reports: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    run = CountUpTo.run_now(up_to=3)
    ((error, context),) = reports
    assert isinstance(error, ValueError)
    assert str(error) == "4 is beyond 3"
    assert context == {
        "task": "testapp.CountUpTo",
        "run_id": run.pk,
        "item": "testapp.Item 4",
        "done": 3,
        "total": 20,
        "handled": False,
        "source": "upkeep",
    }
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert {key: vars(record)[key] for key in context} == context
    assert record.exc_info is not None


def test_what_was_handled_is_a_warning(
    reports: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    run = run_in(Status.RUNNING)
    report(ValueError("No."), run=run, item="item 3", handled=True)
    ((_, context),) = reports
    assert context["handled"]
    record = caplog.records[-1]
    assert record.levelno == logging.WARNING
    assert record.getMessage() == f"{run}: ValueError: No. (at item 3)"


def test_a_callable_will_do(settings: Settings) -> None:
    told: list[BaseException] = []
    settings.UPKEEP = {"ERROR_REPORTER": lambda error, **context: told.append(error)}
    error = ValueError("No.")
    report(error, run=run_in(Status.RUNNING), handled=True)
    assert told == [error]


@pytest.mark.parametrize("way", ERRORS)
def test_no_report_tells_a_secret(
    way: str, known: Known, reports: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    @known
    class Trial(Job):
        key: str = parameter(forms.CharField())
        masked = ("key",)

        def perform(self) -> None:
            raise ERRORS[way](self.key)

    Trial.run_now(key=SECRET)
    ((error, context),) = reports
    assert isinstance(error, MaskedError)
    assert type(ERRORS[way]("")).__name__ in str(error)
    assert_nothing_is_told(f"{told(error)} {context}")
    assert_nothing_is_told(str([vars(record) for record in caplog.records]))


def test_a_reporter_that_fails_changes_nothing_and_tells_no_secret(
    known: Known, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(error: BaseException, **context: Any) -> None:
        raise chained(SECRET)

    @known
    class Trial(Job):
        key: str = parameter(forms.CharField())
        masked = ("key",)

        def perform(self) -> None:
            raise ValueError(self.key)

    settings.UPKEEP = {"ERROR_REPORTER": fail}
    run = Trial.run_now(key=SECRET)
    assert run.status == Status.ERRORED
    assert "ERROR_REPORTER'] failed" in caplog.text
    assert_nothing_is_told(caplog.text)


def test_a_reporter_that_is_not_there_changes_nothing(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.UPKEEP = {"ERROR_REPORTER": "nowhere.report"}
    report(ValueError("No."), run=run_in(Status.RUNNING), handled=False)
    assert "ERROR_REPORTER'] failed: ModuleNotFoundError" in caplog.text
