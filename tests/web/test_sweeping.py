"""Who looks at a page has runs looked after that nobody advances."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import OperationalError, connection
from django.test import Client
from pytest_django import Settings

from tests.dispatch.queue import lose_messages, messages
from tests.runs.stages import run_in
from tests.testapp.maintenance import Numbers
from tests.web.visits import SEE, to, visitor
from upkeep.conf import conf
from upkeep.databases import Now
from upkeep.dispatch import recovery
from upkeep.dispatch.recovery import interval
from upkeep.runs.models import Run
from upkeep.runs.status import Status
from upkeep.web import sweeping
from upkeep.web.sweeping import Turns

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    """Begin with a page that may sweep."""
    turns = Turns()
    monkeypatch.setattr(sweeping, "turns", turns)
    return turns


@pytest.fixture
def client() -> Client:
    return visitor(SEE)


@pytest.fixture
def abandoned(settings: Settings) -> Run:
    """Return a run whose worker took it up and was never heard of again."""
    settings.UPKEEP = {"LEASE": timedelta(seconds=0.05)}
    run = run_in(Status.RUNNING)
    lose_messages()
    while not Run.objects.abandoned().exists():
        time.sleep(0.01)
    return run


def status_of(run: Run) -> str:
    return str(Run.objects.values_list("status", flat=True).get(pk=run.pk))


noted: list[str] = []


def noting_statuses(answer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Be a middleware that notes where the run is when its page is to be sent."""

    def note(request: Any) -> Any:
        response = answer(request)
        noted.extend(Run.objects.values_list("status", flat=True))
        return response

    return note


class TestPage:
    def test_hands_on_a_run_whose_lease_ran_out(
        self, client: Client, abandoned: Run
    ) -> None:
        assert client.get(to("run", abandoned.pk)).status_code == 200
        abandoned.refresh_from_db()
        assert abandoned.status == Status.INTERRUPTED
        assert messages() == [[abandoned.pk, abandoned.lease_token]]
        move = abandoned.events.latest("pk")
        assert (move.status, move.source) == ("interrupted", "sweep")

    def test_sends_a_lost_message_again(self, client: Client) -> None:
        run = Numbers.enqueue()
        lose_messages()
        Run.objects.update(resend_at=Now() - timedelta(seconds=1))
        client.get(to("task-list"))
        assert messages() == [[run.pk, run.lease_token]]

    def test_does_so_behind_its_answer(
        self, client: Client, abandoned: Run, settings: Settings
    ) -> None:
        settings.MIDDLEWARE = [f"{__name__}.noting_statuses", *settings.MIDDLEWARE]
        noted.clear()
        client.get(to("task-list"))
        assert noted == ["running"]
        assert status_of(abandoned) == "interrupted"

    def test_that_was_refused_does_not(self, abandoned: Run) -> None:
        assert visitor().get(to("run", abandoned.pk)).status_code == 403
        assert Client().get(to("run", abandoned.pk)).status_code == 302
        assert status_of(abandoned) == "running"

    def test_stands_though_the_sweep_fails(
        self, client: Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        broken = OperationalError("The database is read-only.")
        with (
            mock.patch.object(sweeping, "rescue", side_effect=broken),
            caplog.at_level(logging.WARNING, "upkeep"),
        ):
            assert client.get(to("task-list")).status_code == 200
        assert "The sweep behind a page could not look for runs" in caplog.text

    @pytest.mark.django_db(transaction=True)
    def test_waits_for_no_item_that_has_sqlite_to_itself(
        self, client: Client, abandoned: Run
    ) -> None:
        """The chunk beats no lease, and who would write waits as long as it lasts."""
        if connection.vendor != "sqlite":
            pytest.skip("by design: only SQLite has one writer")
        with closing(connection.copy()) as other, other.cursor() as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            begun = time.monotonic()
            client.get(to("task-list"))
            assert time.monotonic() - begun < 2
            cursor.execute("ROLLBACK")
            assert status_of(abandoned) == "running"

    def test_leaves_to_the_watchers_what_may_take_long(self, client: Client) -> None:
        later: Any = mock.Mock(return_value=0)
        with mock.patch.multiple(
            recovery, _announce=later, _prune=later, _sweep_files=later
        ):
            client.get(to("task-list"))
        assert not later.called


class TestTurn:
    def test_comes_once_in_an_interval(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = time.monotonic()
        monkeypatch.setattr(sweeping, "monotonic", lambda: now)
        with mock.patch.object(sweeping, "rescue") as rescue:
            for _ in range(3):
                client.get(to("task-list"))
            assert rescue.call_count == 1
            now += interval().total_seconds()
            client.get(to("task-list"))
        assert rescue.call_count == 2

    def test_is_in_time_for_a_lease(self) -> None:
        assert interval() <= conf.LEASE / 2

    def test_is_one_threads(self, turns: Turns) -> None:
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(lambda _: turns.take(), range(80))) == 1
