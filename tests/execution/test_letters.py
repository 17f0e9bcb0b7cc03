"""A new cause of dead letters is told of once, and by mail at most once an hour."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any
from unittest import mock

import django
import pytest
from django import forms
from django.contrib.auth.models import User
from django.core import mail
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils.module_loading import import_string
from pytest_django import Settings

from tests.execution.test_masks import SECRET, assert_nothing_is_told
from tests.execution.test_reporting import Reports, reports
from tests.runs.test_slots import raced
from tests.testapp import calls
from tests.testapp.calls import PaymentError, charge, charge_card
from tests.testapp.models import Item
from upkeep import Quarantine, Task, parameter
from upkeep.databases import Now
from upkeep.dispatch.calls import PATH
from upkeep.dispatch.recovery import sweep
from upkeep.execution import letters, mails
from upkeep.models import Cause, DeadLetter, Run
from upkeep.runs.status import Status
from upkeep.signals import dead_letter_opened

__all__ = ["reports"]  # a fixture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("items")]

Known = Callable[[Any], Any]

MAILED = {"MAIL_ON_DEAD_LETTER": True, "BASE_URL": "https://shop.example.com"}


class Heard(list[DeadLetter]):
    """Letters, as a receiver is told of them."""

    def __call__(self, sender: object, letter: DeadLetter, **kwargs: Any) -> None:
        assert sender is DeadLetter
        assert not connection.in_atomic_block
        self.append(DeadLetter.objects.get(pk=letter.pk))  # It is committed.


@pytest.fixture
def heard() -> Iterator[Heard]:
    receiver = Heard()
    dead_letter_opened.connect(receiver)
    yield receiver
    dead_letter_opened.disconnect(receiver)


@pytest.fixture(autouse=True)
def nothing_said(settings: Settings) -> Iterator[None]:
    """Let the bank say yes until a test says otherwise, and have somebody to tell."""
    ops = ("Ops", "ops@example.com")
    settings.ADMINS = [ops if django.VERSION < (6, 0) else ops[1]]
    settings.ROOT_URLCONF = "tests.urls"
    yield
    calls.answers.clear()
    calls.asked.clear()


def fail(error: str = "refused", function: Any = charge, *given: Any) -> None:
    """Have a call fail."""
    calls.answers.append(PaymentError(error))
    with suppress(PaymentError):
        function(*(given or (7,)))


def once(error: Exception, *, then: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that raises, and from the second time on does `then`."""
    errors = [error]

    def call(*given: Any) -> Any:
        if errors:
            raise errors.pop()
        return then(*given)

    return call


@pytest.fixture
def trial(known: Known) -> Any:
    """Return a task of which three items fail, two of them for one cause."""

    @known
    class Trial(Task):
        on_error = [Quarantine(ValueError)]

        def collection(self) -> Any:
            return Item.objects.all()

        def process(self, item: Item) -> None:
            if item.pk in (3, 7):
                raise ValueError(f"no. {item.pk}")
            if item.pk == 9:
                raise ValueError("something else")

    return Trial


class TestSignal:
    def test_the_first_letter_of_each_cause_in_a_run_is_told_of(
        self, heard: Heard, trial: Any
    ) -> None:
        run = trial.run_now()
        assert run.failed == 3
        assert [letter.item for letter in heard] == ["testapp.Item 3", "testapp.Item 9"]
        assert heard[0].run == run

    def test_the_first_of_each_cause_in_a_function_is(self, heard: Heard) -> None:
        fail("card 17 was refused")
        fail("card 18 was refused")
        fail("another")
        fail("card 19 was refused", charge_card, 7, "1")
        assert [letter.error_message for letter in heard] == [
            "card 17 was refused",
            "another",
            "card 19 was refused",
        ]

    def test_a_cause_that_was_not_seen_for_long_is_new(
        self, heard: Heard, settings: Settings
    ) -> None:
        settings.UPKEEP = {"NEW_CAUSE_AFTER": timedelta(hours=2)}
        fail()
        Cause.objects.update(seen_at=Now() - timedelta(hours=1))
        fail()
        assert len(heard) == 1
        Cause.objects.update(seen_at=Now() - timedelta(hours=3))
        fail()
        fail()
        assert len(heard) == 2

    def test_a_cause_that_is_seen_all_the_time_is_not(self, heard: Heard) -> None:
        for _ in range(4):
            fail()
            Cause.objects.update(seen_at=Now() - timedelta(hours=20))
        assert len(heard) == 1

    def test_a_second_call_that_fails_for_another_cause_is_told_of(
        self, heard: Heard
    ) -> None:
        fail()
        letter = DeadLetter.objects.get()
        for error in ("refused", "gone"):
            letter.retry()
            calls.answers.append(PaymentError(error))
            make_call(letter)
        assert [each.error_message for each in heard] == ["refused", "gone"]
        assert [each.attempts for each in heard] == [1, 3]

    def test_of_several_at_the_same_instant_one_is(self, heard: Heard) -> None:
        first = DeadLetter(call="shop.charge", fingerprint="f" * 64)
        first.save()
        assert raced(lambda: letters.tell_of(first)) == [""] * 5
        assert len(heard) == 1
        assert Cause.objects.get().untold == 5

    def test_who_loses_a_deadlock_notes_it_again(
        self, settings: Settings, heard: Heard
    ) -> None:
        """As on MariaDB, which may find the row by an index that others change."""
        settings.UPKEEP = settings.UPKEEP | MAILED
        lost = OperationalError(1213, "Deadlock found")
        note, take_mail = Cause._note, Cause._take_mail
        with (
            mock.patch.object(Cause, "_note", autospec=True) as first,
            mock.patch.object(Cause, "_take_mail", autospec=True) as second,
        ):
            first.side_effect = once(lost, then=note)
            second.side_effect = once(lost, then=take_mail)
            fail()
        assert (len(heard), len(mail.outbox)) == (1, 1)

    @pytest.mark.parametrize("failure", [RuntimeError, SystemExit])
    def test_one_that_fails_is_reported_and_changes_nothing(
        self, reports: Reports, trial: Any, failure: type[BaseException]
    ) -> None:
        def broken(**kwargs: Any) -> None:
            raise failure("no line")

        dead_letter_opened.connect(broken)
        try:
            run = trial.run_now()
        finally:
            dead_letter_opened.disconnect(broken)
        assert (run.status, run.done, run.failed) == (Status.SUCCEEDED, 17, 3)
        assert [type(error) for error, _ in reports] == [failure] * 2
        assert reports[0][1] == {
            "task": run.task,
            "run_id": None,
            "item": "",
            "done": None,
            "total": None,
            "handled": False,
            "source": "upkeep",
        }

    def test_a_database_that_is_away_changes_nothing(
        self, heard: Heard, trial: Any
    ) -> None:
        away = mock.patch.object(letters, "cause_of", side_effect=OperationalError)
        with away:
            run = trial.run_now()
        assert (run.status, run.failed) == (Status.SUCCEEDED, 3)
        assert heard == []

    def test_where_nobody_listens_nothing_is_asked_for_it(self) -> None:
        with CaptureQueriesContext(connection) as asked:
            fail()
        assert not Cause.objects.exists()
        assert not [each for each in asked if "upkeep_cause" in each["sql"]]

    def test_a_masked_argument_is_not_told(self, reports: Reports) -> None:
        def broken(**kwargs: Any) -> None:
            raise RuntimeError(SECRET)

        dead_letter_opened.connect(broken)
        try:
            fail(SECRET, charge_card, 7, SECRET)
        finally:
            dead_letter_opened.disconnect(broken)
        ((error, _context),) = reports
        assert_nothing_is_told(str(error))


def make_call(letter: DeadLetter) -> None:
    """Be the worker that has the message of a letter."""
    import_string(PATH).func(letter.pk, letter.token)
    letter.refresh_from_db()


class TestMail:
    @pytest.fixture(autouse=True)
    def wanted(self, settings: Settings) -> None:
        settings.UPKEEP = MAILED

    def test_that_of_a_call_goes_to_the_admins(self) -> None:
        fail("card 17 was refused")
        (message,) = mail.outbox
        assert message.to == ["ops@example.com"]
        assert message.subject.endswith("Dead letters of tests.testapp.calls.charge")
        assert "A dead letter of tests.testapp.calls.charge was kept:" in message.body
        assert "testapp.calls.PaymentError: card 17 was refused" in message.body
        assert "charge(7)" in message.body
        letter = DeadLetter.objects.get()
        address = f"https://shop.example.com/upkeep/dead-letters/{letter.pk}/"
        assert message.body.endswith(f"\n{address}")

    def test_without_an_address_of_the_site_it_names_the_path(
        self, settings: Settings
    ) -> None:
        settings.UPKEEP = {"MAIL_ON_DEAD_LETTER": True}
        fail()
        letter = DeadLetter.objects.get()
        assert mail.outbox[0].body.endswith(f"\n/upkeep/dead-letters/{letter.pk}/")

    def test_a_project_without_pages_gets_it_without(self, settings: Settings) -> None:
        settings.ROOT_URLCONF = "tests.settings_types"
        fail()
        assert "/upkeep/" not in mail.outbox[0].body

    def test_that_of_an_item_goes_to_who_asked_for_the_run(self, trial: Any) -> None:
        ada = User.objects.create_user("ada", email="ada@example.com")
        run = trial.using(by=ada).run_now()
        first, _second = mail.outbox
        assert first.to == ["ada@example.com"]
        assert "builtins.ValueError: no. 3" in first.body
        assert "testapp.Item 3" in first.body
        address = f"https://shop.example.com/upkeep/runs/{run.pk}/"
        assert first.body.endswith(f"\n{address}")

    def test_or_to_the_admins_where_nobody_did(self, trial: Any) -> None:
        trial.run_now()
        assert {to for message in mail.outbox for to in message.to} == {
            "ops@example.com"
        }

    def test_of_one_cause_there_is_one_in_an_hour_which_says_how_many(self) -> None:
        for _ in range(3):
            fail()
        assert len(mail.outbox) == 1
        Cause.objects.update(mailed_at=Now() - timedelta(minutes=59))
        fail()
        assert len(mail.outbox) == 1
        Cause.objects.update(mailed_at=Now() - timedelta(minutes=61))
        fail()
        assert len(mail.outbox) == 2
        assert "4 dead letters of tests.testapp.calls.charge" in mail.outbox[1].body
        fail("another")
        assert len(mail.outbox) == 3

    def test_of_several_at_the_same_instant_one_is_sent(self) -> None:
        letter = DeadLetter(call="shop.charge", fingerprint="f" * 64)
        letter.save()
        assert raced(lambda: letters.tell_of(letter)) == [""] * 5
        assert len(mail.outbox) == 1

    def test_none_is_sent_unless_it_is_wanted(self, settings: Settings) -> None:
        settings.UPKEEP = {}
        fail()
        assert mail.outbox == []

    def test_a_mail_server_that_is_down_is_reported_and_changes_nothing(
        self, reports: Reports, settings: Settings, trial: Any
    ) -> None:
        settings.UPKEEP = settings.UPKEEP | MAILED
        down = mock.Mock(side_effect=ConnectionRefusedError("no server"))
        with mock.patch.object(mails, "mail_admins", down):
            run = trial.run_now()
        assert (run.status, run.failed) == (Status.SUCCEEDED, 3)
        assert [type(error) for error, _ in reports] == [ConnectionRefusedError] * 2

    def test_it_tells_no_secret(self, known: Known) -> None:
        @known
        class Trial(Task):
            key: str = parameter(forms.CharField())
            masked = ("key",)
            on_error = [Quarantine(ValueError)]

            def collection(self) -> Any:
                return [self.key]

            def process(self, item: str) -> None:
                raise ValueError(item)

        Trial.run_now(key=SECRET)
        fail(SECRET, charge_card, 8, SECRET)
        assert len(mail.outbox) == 2
        for message in mail.outbox:
            assert_nothing_is_told(f"{message.subject}{message.body}")

    def test_a_percent_sign_is_one(self) -> None:
        fail("100 %(item)s")
        assert "100 %(item)s" in mail.outbox[0].body


def test_causes_that_would_be_new_again_are_swept(settings: Settings) -> None:
    for key, hours in [("old", 25), ("young", 23)]:
        Cause.objects.create(key=key, seen_at=None)
        age = timedelta(hours=hours)
        Cause.objects.filter(key=key).update(seen_at=Now() - age)
    sweep()
    assert [cause.key for cause in Cause.objects.all()] == ["young"]
    assert not Run.objects.exists()
