"""The person who asked for a run is told by mail that an error stopped it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from django import forms
from django.contrib.auth.models import User
from django.core import mail
from pytest_django import Settings

from tests.execution.test_masks import SECRET, assert_nothing_is_told
from tests.execution.test_reporting import Reports
from tests.testapp.maintenance import CountUpTo
from upkeep import Job, parameter
from upkeep.models import Run
from upkeep.runs.status import Status

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("items", "wanted")]

Known = Callable[[Any], Any]


@pytest.fixture
def wanted(settings: Settings) -> None:
    """Have a project that wants the mails."""
    settings.UPKEEP = {"MAIL_ON_ERROR": True, "BASE_URL": "https://shop.example.com"}
    # As the tests of pages have them.
    settings.ROOT_URLCONF = "tests.urls"


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada", email="ada@example.com")


def test_it_says_what_stopped_it_where_and_where_to_look(ada: User) -> None:
    run = CountUpTo.using(by=ada).run_now(up_to=3)
    (message,) = mail.outbox
    assert message.to == ["ada@example.com"]
    assert message.subject == "testapp.CountUpTo was stopped by an error"
    assert f"Run {run.pk} of testapp.CountUpTo" in message.body
    assert "builtins.ValueError: 4 is beyond 3" in message.body
    assert "It happened at: testapp.Item 4" in message.body
    assert "Items done: 3 of 20" in message.body
    assert f"https://shop.example.com/upkeep/runs/{run.pk}/" in message.body


def test_without_an_address_of_the_site_it_names_the_path(
    ada: User, settings: Settings
) -> None:
    settings.UPKEEP = {"MAIL_ON_ERROR": True}
    run = CountUpTo.using(by=ada).run_now(up_to=3)
    assert mail.outbox[0].body.endswith(f"\n/upkeep/runs/{run.pk}/")


def test_a_project_without_pages_gets_it_without(ada: User, settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.settings_types"
    CountUpTo.using(by=ada).run_now(up_to=3)
    assert "/upkeep/" not in mail.outbox[0].body


@pytest.mark.parametrize("by", [None, "the nightly job", User(username="bob")])
def test_nobody_is_told_where_nobody_can_be(by: Any) -> None:
    if isinstance(by, User):
        by.save()
    CountUpTo.using(by=by).run_now(up_to=3)
    assert mail.outbox == []


def test_nobody_is_told_by_default_or_of_a_success(
    ada: User, settings: Settings
) -> None:
    CountUpTo.using(by=ada).run_now(up_to=20)
    settings.UPKEEP = {}
    CountUpTo.using(by=ada).run_now(up_to=3)
    assert mail.outbox == []


def test_a_mail_server_that_is_down_is_reported_and_changes_nothing(
    ada: User, settings: Settings
) -> None:
    reports: Reports = []
    settings.UPKEEP = settings.UPKEEP | {
        "ERROR_REPORTER": lambda error, **context: reports.append((error, context))
    }
    down = mock.Mock(side_effect=ConnectionRefusedError("no server"))
    with mock.patch("upkeep.execution.mails.send_mail", down):
        run = CountUpTo.using(by=ada).run_now(up_to=3)
    assert run.status == Status.ERRORED
    assert [type(error) for error, _ in reports] == [ValueError, ConnectionRefusedError]
    assert not run.events.filter(announce_at__isnull=False)


def test_it_tells_no_secret(ada: User, known: Known) -> None:
    @known
    class Trial(Job):
        key: str = parameter(forms.CharField())
        masked = ("key",)

        def perform(self) -> None:
            raise ValueError(self.key)

    Trial.using(by=ada).run_now(key=SECRET)
    (message,) = mail.outbox
    assert_nothing_is_told(f"{message.subject}{message.body}")


def test_a_percent_sign_is_one(ada: User, known: Known) -> None:
    @known
    class Trial(Job):
        def perform(self) -> None:
            raise ValueError("100 %(done)s")

    Trial.using(by=ada).run_now()
    assert "100 %(done)s" in mail.outbox[0].body
    assert Run.objects.count() == 1


class TestNotify:
    """A task may tell who asked in a way of its own."""

    @pytest.fixture
    def failing(self, known: Known, ada: User) -> Any:
        @known
        class Failing(Job):
            told: list[Any] = []

            def perform(self) -> None:
                raise ValueError("No.")

            def notify(self, error: BaseException | None) -> None:
                assert self.run is not None
                self.told.append((self.run.requested_by, str(error)))

        return Failing.using(by=ada)

    def test_instead_of_the_mail(self, failing: Any, ada: User) -> None:
        failing.run_now()
        assert failing.task.told == [(ada, "No.")]
        assert mail.outbox == []

    def test_where_the_project_wants_no_mails_too(
        self, failing: Any, ada: User, settings: Settings
    ) -> None:
        settings.UPKEEP = {}
        failing.run_now()
        assert failing.task.told == [(ada, "No.")]

    def test_beside_the_mail(
        self, failing: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def notify(self: Job, error: BaseException | None) -> None:
            Job.notify(self, error)

        monkeypatch.setattr(failing.task, "notify", notify)
        failing.run_now()
        assert len(mail.outbox) == 1

    def test_that_fails_is_reported_and_changes_nothing(
        self,
        failing: Any,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def notify(self: Job, error: BaseException | None) -> None:
            raise RuntimeError("The chat is down.")

        monkeypatch.setattr(failing.task, "notify", notify)
        run = failing.run_now()
        assert run.status == Status.ERRORED
        assert f"notify() for run {run.pk}" in caplog.text

    def test_is_heard_of_errors_alone(self, failing: Any) -> None:
        failing.task.perform = lambda self: None
        failing.run_now()
        assert failing.task.told == []
