"""What a project attaches to the runs that are started on its pages."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.http import HttpRequest
from django.test import Client
from pytest_django import Settings

from tests.testapp.maintenance import Numbers
from tests.web.conftest import Know
from tests.web.visits import JSON, SEE, START, markup, to, visitor
from upkeep.runs.events import Event
from upkeep.runs.models import Run

pytestmark = pytest.mark.django_db

NUMBERS = "/upkeep/tasks/testapp.Numbers/"

Attach = Callable[[Any], None]


@pytest.fixture
def client() -> Client:
    return visitor(SEE, START)


@pytest.fixture
def attach(settings: Settings) -> Attach:
    """Return what sets the callable, or one that returns a value or raises an error."""

    def set_to(answer: Any) -> None:
        def metadata(request: HttpRequest) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer(request) if callable(answer) else answer

        settings.UPKEEP = {"METADATA": metadata}

    return set_to


def by_path(request: HttpRequest) -> dict[str, Any]:
    return {"method": request.method}


def started(client: Client, url: str = NUMBERS, **options: Any) -> Run:
    assert client.post(url, **options).status_code in (201, 302)
    return Run.objects.latest("pk")


def story(run: Run) -> list[str]:
    return [event.text for event in run.events.filter(kind=Event.Kind.NOTE)]


def test_is_kept_shown_and_in_the_json(client: Client, attach: Attach) -> None:
    attach(lambda request: {"by": request.user.get_username(), "ticket": 7})
    run = started(client)
    assert run.metadata["ticket"] == 7
    assert run.metadata["by"] == str(run.requested_by)
    page = markup(client.get(to("run", run.pk)))
    assert '"ticket": 7' in page.words
    answer = client.get(to("run", run.pk), headers=JSON).json()
    assert answer["metadata"] == run.metadata
    assert story(run) == []


def test_is_attached_to_runs_that_a_program_starts_there(
    client: Client, attach: Attach
) -> None:
    attach({"ticket": 7})
    assert started(client, headers=JSON).metadata == {"ticket": 7}


def test_may_be_named_by_its_path(client: Client, settings: Settings) -> None:
    settings.UPKEEP = {"METADATA": f"{__name__}.by_path"}
    assert started(client).metadata == {"method": "POST"}


def test_is_for_pages_alone(attach: Attach) -> None:
    attach({"ticket": 7})
    assert Numbers.enqueue().metadata == {}


def test_without_the_setting_there_is_none(client: Client) -> None:
    assert started(client).metadata == {}


def test_is_stored_as_any_json_and_text_as_every_database_takes_it(
    client: Client, attach: Attach
) -> None:
    values = {"list": [1, None, {"x": 2.5}], "true": True, "text": "é" * 20_000}
    attach({**values, "nul": "a\0b", 5: {}})
    run = started(client)
    assert run.metadata == {**values, "nul": "a\\x00b", "5": {}}


def test_what_is_secret_by_name_is_not_kept(
    client: Client, attach: Attach, known: Know[Any]
) -> None:
    @known
    class Secretive(Numbers):
        masked = ("iban",)

    attach({"iban": "AT61", "deep": [{"Api_Key": {"a": 1}, "token_of": "x", "b": 2}]})
    run = started(client, "/upkeep/tasks/testapp.Secretive/")
    assert run.metadata == {
        "iban": "[FILTERED]",
        "deep": [{"Api_Key": "[FILTERED]", "token_of": "[FILTERED]", "b": 2}],
    }


@pytest.mark.parametrize(
    "answer",
    [
        LookupError("no such team"),
        None,
        ["a", "list"],
        "text",
        {"when": datetime(2030, 1, 1, tzinfo=UTC)},
        {"share": float("nan")},
        {("a", "b"): 1},
    ],
)
def test_where_it_fails_the_run_starts_without_and_that_is_told(
    client: Client, attach: Attach, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    attach(answer)
    run = started(client)
    assert run.metadata == {}
    (said,) = story(run)
    assert said.startswith("It has no metadata, for UPKEEP['METADATA'] failed: ")
    (record,) = [each for each in caplog.records if "METADATA" in each.message]
    assert (record.levelno, vars(record)["run_id"]) == (logging.WARNING, run.pk)
    assert said in markup(client.get(to("run", run.pk))).words


def test_a_path_that_is_gone_keeps_nobody_from_a_start(
    client: Client, settings: Settings
) -> None:
    settings.UPKEEP = {"METADATA": "nowhere.metadata"}
    assert "ModuleNotFoundError" in story(started(client))[0]


def test_the_reporter_is_told_of_its_error(client: Client, settings: Settings) -> None:
    told, error = [], LookupError("no such team")

    def fail(request: HttpRequest) -> dict[str, Any]:
        raise error

    def report(error: Exception, **context: Any) -> None:
        told.append((error, context["run_id"], context["handled"]))

    settings.UPKEEP = {"METADATA": fail, "ERROR_REPORTER": report}
    run = started(client)
    assert told == [(error, run.pk, True)]


def test_its_error_of_the_database_spoils_no_transaction_around_the_request(
    client: Client, attach: Attach
) -> None:
    def ask(request: HttpRequest) -> dict[str, Any]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM nowhere")
        return {}

    attach(ask)
    with transaction.atomic():
        run = started(client)
    assert "nowhere" in story(run)[0]


def test_a_refusal_of_it_refuses_the_run(client: Client, attach: Attach) -> None:
    attach(PermissionDenied("Name the ticket."))
    answer = client.post(NUMBERS)
    assert answer.status_code == 403
    assert "Name the ticket." in markup(answer).words
    assert not Run.objects.exists()


def test_what_a_run_has_is_also_that_of_a_retrial(
    client: Client, attach: Attach
) -> None:
    attach({"ticket": 7})
    run = started(client)
    run.dead_letters.create(fingerprint="a")
    (retrial,) = run.dead_letters.retry()
    assert retrial.metadata == {"ticket": 7}
