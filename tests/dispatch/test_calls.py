"""The call of a dead letter is made again by a worker, once for each wish."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.utils.module_loading import import_string
from django_tasks_db.management.commands.db_worker import Worker
from django_tasks_db.models import DBTaskResult
from pytest_django import Settings

from tests.dispatch.queue import lose_messages, messages
from tests.execution.test_failures import end_session
from tests.runs.test_slots import raced
from tests.testapp import calls
from tests.testapp.calls import (
    PaymentError,
    Shop,
    charge,
    charge_card,
    charge_soon,
    invoice,
    try_to_charge,
)
from tests.testapp.models import Item
from upkeep.databases import Now
from upkeep.dispatch import calls as dispatch_calls
from upkeep.dispatch.calls import MOST_MESSAGES, PATH
from upkeep.dispatch.recovery import sweep
from upkeep.exceptions import InvalidCall, InvalidParameters, NoOpenLetters
from upkeep.execution import calls as execution_calls
from upkeep.models import DeadLetter

pytestmark = pytest.mark.django_db(transaction=True)

NO = PaymentError("refused")


@pytest.fixture(autouse=True)
def nothing_said() -> Iterator[None]:
    """Let the bank say yes until a test says otherwise."""
    yield
    calls.answers.clear()
    calls.asked.clear()


def failed(function: Any, *args: Any, **kwargs: Any) -> DeadLetter:
    """Return the letter of a call that failed; the next one will go well."""
    calls.answers.append(NO)
    with pytest.raises(PaymentError):
        getattr(function, "call", function)(*args, **kwargs)
    calls.asked.clear()
    letter = DeadLetter.objects.last()
    assert letter is not None
    return letter


def work() -> None:
    """Be a worker of the queue until it is empty."""
    Worker(
        queue_names=["*"],
        interval=0,
        batch=True,
        backend_name="default",
        startup_delay=False,
        max_tasks=None,
        worker_id="the test",
        excluded_queue_names=[],
    ).run()


def deliver(letter: DeadLetter, *, token: str = "") -> None:
    """Be a worker that has the message of a letter."""
    import_string(PATH).func(letter.pk, token or letter.token)


def results() -> list[tuple[str, str]]:
    """Return the tasks that the queue has had, and how they ended."""
    rows = DBTaskResult.objects.order_by("enqueued_at")
    return list(rows.values_list("task_path", "status"))


def fresh(letter: DeadLetter) -> DeadLetter:
    letter.refresh_from_db()
    return letter


class TestRetry:
    def test_a_worker_calls_the_function_again_with_the_same_arguments(self) -> None:
        item = Item.objects.create()
        letter = failed(charge, item, "x", amount=2, note="quick")
        letter.retry(by="ada")
        assert (letter.state, letter.called_by) == ("retrying", "ada")
        assert calls.asked == []  # not here
        work()
        assert calls.asked == [(item, "x", 2, "quick")]
        assert fresh(letter).state == "resolved"
        assert letter.settled_at is not None
        assert (letter.attempts, letter.due_at) == (1, None)
        assert results() == [(PATH, "SUCCESSFUL")]

    def test_a_second_call_that_fails_opens_it_again_with_the_new_error(self) -> None:
        letter = failed(charge, 7)
        first = letter.fingerprint
        letter.retry()
        calls.answers.append(OSError("no line"))
        work()
        assert (fresh(letter).state, letter.attempts) == ("open", 2)
        assert letter.error_class == "builtins.OSError"
        assert letter.error_message == "no line"
        assert letter.fingerprint != first
        letter.retry()
        work()
        assert fresh(letter).state == "resolved"
        assert DeadLetter.objects.count() == 1

    def test_so_does_one_that_fails_with_an_error_of_no_rule(self) -> None:
        letter = failed(charge, 7)
        letter.retry()
        calls.answers.append(ValueError("something else"))
        work()
        assert (fresh(letter).state, letter.error_message) == ("open", "something else")

    @pytest.mark.parametrize("function", [charge_soon, Shop.refund, try_to_charge])
    def test_whatever_kind_of_function_it_is(self, function: Any) -> None:
        letter = failed(charge, 7)
        DeadLetter.objects.update(call=f"tests.testapp.calls.{function.__qualname__}")
        fresh(letter).retry()
        work()
        assert calls.asked == [(7,)]
        assert fresh(letter).state == "resolved"

    def test_a_method_of_a_record_is_called_as_the_record_is_now(self) -> None:
        item = Item.objects.create()
        with pytest.raises(ValueError, match="no number yet"):
            item.rename("one")
        letter = DeadLetter.objects.get()
        letter.retry()
        Item.objects.update(n=1)
        work()
        assert fresh(letter).state == "resolved"
        assert Item.objects.get().name == "one"

    def test_a_record_that_is_gone_opens_it_again(self) -> None:
        item = Item.objects.create()
        letter = failed(charge, item)
        letter.retry()
        item.delete()
        work()
        assert (fresh(letter).state, letter.attempts) == ("open", 2)
        assert letter.error_class == "upkeep.exceptions.VanishedReference"
        assert calls.asked == []

    def test_a_function_that_is_gone_is_told_of(self) -> None:
        letter = failed(charge, 7)
        DeadLetter.objects.update(call="tests.testapp.calls.nobody")
        with pytest.raises(InvalidCall, match="not there any more"):
            fresh(letter).retry()
        assert fresh(letter).state == "open"
        assert messages() == []

    def test_a_rollback_takes_the_wish_and_its_message_back(self) -> None:
        letter = failed(charge, 7)
        with transaction.atomic():
            letter.retry()
            transaction.set_rollback(True)
        assert fresh(letter).state == "open"
        assert messages() == []

    def test_what_was_not_kept_cannot_be_sent_again(self) -> None:
        letter = failed(charge_card, 7, "4111-1111")
        with pytest.raises(InvalidCall, match="Its argument card is masked"):
            letter.retry()
        assert fresh(letter).state == "open"

    @pytest.mark.parametrize("state", ["retrying", "resolved", "discarded"])
    def test_only_an_open_letter_can_be(self, state: str) -> None:
        letter = failed(charge, 7)
        DeadLetter.objects.update(state=state)
        with pytest.raises(NoOpenLetters, match=f"the letter is {state}"):
            letter.retry()

    def test_of_two_who_want_it_at_the_same_instant_one_sends(self) -> None:
        letter = failed(charge, 7)
        outcomes = raced(lambda: DeadLetter.objects.get(pk=letter.pk).retry())
        assert sorted(outcomes) == ["", *["NoOpenLetters"] * 4]
        assert len(messages()) == 1


class TestDjangoTasks:
    def test_a_task_is_enqueued_again_with_the_same_arguments(self) -> None:
        letter = failed(invoice, 7, copies=2)
        letter.retry()
        work()
        assert results() == [("tests.testapp.calls.invoice", "SUCCESSFUL")]
        assert calls.asked == [(7, 2)]
        assert fresh(letter).state == "resolved"

    def test_on_its_own_queue_with_its_priority_and_its_context(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        urgent = calls.invoice_soon.using(queue_name="letters", priority=3)
        monkeypatch.setattr(calls, "invoice_soon", urgent)
        letter = failed(invoice, 7)
        DeadLetter.objects.update(call="tests.testapp.calls.invoice_soon")
        fresh(letter).retry()
        message = DBTaskResult.objects.get()
        assert (message.queue_name, message.priority) == ("letters", 3)
        work()
        assert calls.asked == [(7, 1)]
        assert fresh(letter).state == "resolved"

    def test_one_that_fails_is_kept_by_the_worker_and_failed_to_the_queue(self) -> None:
        invoice.enqueue(7)
        calls.answers.append(NO)
        work()
        letter = DeadLetter.objects.get()
        assert letter.call == "tests.testapp.calls.invoice"
        letter.retry()
        calls.answers.append(NO)
        work()
        assert (fresh(letter).state, letter.attempts) == ("open", 2)
        assert [status for _, status in results()] == ["FAILED", "FAILED"]
        assert DeadLetter.objects.count() == 1

    def test_one_that_was_called_with_more_than_json_is_called_by_ours(self) -> None:
        item = Item.objects.create()
        letter = failed(invoice, item)
        letter.retry()
        work()
        assert results() == [(PATH, "SUCCESSFUL")]
        assert calls.asked == [(item, 1)]


class TestDiscard:
    def test_is_for_a_reason(self) -> None:
        letter = failed(charge, 7)
        ada = User.objects.create_user("ada")
        letter.discard("Paid in cash", by=ada)
        assert (letter.state, letter.note, letter.owner) == (
            "discarded",
            "Paid in cash",
            ada,
        )
        assert letter.settled_at is not None
        with pytest.raises(NoOpenLetters, match="is not open any more"):
            letter.discard("Again")

    def test_without_one_it_stays_open(self) -> None:
        letter = failed(charge, 7)
        with pytest.raises(InvalidParameters):
            letter.discard(" ")
        assert fresh(letter).state == "open"


def let_time_pass() -> None:
    DeadLetter.objects.update(due_at=Now() - timedelta(seconds=1))


class TestCrashes:
    def test_a_message_makes_one_call_though_it_comes_twice(self) -> None:
        letter = failed(charge, 7)
        letter.retry()
        for _ in range(2):
            deliver(letter)
        assert calls.asked == [(7, 1)]

    def test_a_message_of_an_earlier_wish_makes_none(self) -> None:
        letter = failed(charge, 7)
        letter.retry()
        deliver(letter, token="0" * 32)
        assert calls.asked == []

    def test_a_message_that_was_lost_is_sent_again(self) -> None:
        letter = failed(charge, 7)
        letter.retry()
        lose_messages()
        let_time_pass()
        assert sweep(prune=False).calls == 1
        assert (fresh(letter).state, letter.messages_sent) == ("retrying", 2)
        assert sweep(prune=False).calls == 0  # Its time has not come.
        work()
        assert calls.asked == [(7, 1)]
        assert fresh(letter).state == "resolved"

    def test_that_of_a_task_too(self) -> None:
        letter = failed(invoice, 7)
        letter.retry()
        lose_messages()
        let_time_pass()
        assert sweep(prune=False).calls == 1
        work()
        assert results() == [("tests.testapp.calls.invoice", "SUCCESSFUL")]
        assert fresh(letter).state == "resolved"

    def test_a_function_that_is_gone_by_then_opens_the_letter(self) -> None:
        letter = failed(charge, 7)
        letter.retry()
        lose_messages()
        let_time_pass()
        DeadLetter.objects.update(call="tests.testapp.calls.nobody")
        assert sweep(prune=False).calls == 1
        assert (fresh(letter).state, letter.attempts) == ("open", 1)
        assert letter.error_message.startswith("tests.testapp.calls.nobody is not")

    def test_one_that_only_waits_is_not(self) -> None:
        letter = failed(charge, 7)
        letter.retry()
        let_time_pass()
        assert sweep(prune=False).calls == 0
        assert len(messages()) == 1
        assert fresh(letter).messages_sent == 1

    def test_a_letter_that_no_worker_comes_for_is_opened_in_the_end(self) -> None:
        letter = failed(charge, 7)
        letter.retry()
        for _ in range(MOST_MESSAGES):
            lose_messages()
            let_time_pass()
            sweep(prune=False)
        assert (fresh(letter).state, letter.attempts) == ("open", 1)
        assert letter.error_class == "upkeep.exceptions.CallLost"
        assert letter.error_message.startswith("No worker made the call again")

    def test_a_letter_whose_worker_died_amid_the_call_is_opened_again(self) -> None:
        letter = failed(charge, 7)
        letter.retry()
        killed = mock.patch.object(execution_calls, "_resolve", side_effect=Killed)
        with killed, pytest.raises(Killed):
            deliver(letter)
        deliver(letter)  # Some queues bring it again then.
        assert sweep(prune=False).calls == 0  # It may be at work.
        let_time_pass()
        assert sweep(prune=False).calls == 1
        assert (fresh(letter).state, letter.attempts) == ("open", 2)
        assert letter.error_message.startswith("The worker that made the call again")
        assert calls.asked == [(7, 1)]  # Whether it is called again a person decides.

    def test_one_that_was_taken_for_dead_may_still_resolve_it(self) -> None:
        letter = failed(charge, 7)
        letter.retry()

        def late(*_: object) -> str:
            let_time_pass()
            sweep(prune=False)
            assert fresh(letter).state == "open"
            return "paid"

        with mock.patch.object(calls, "ask", late):
            deliver(letter)
        assert fresh(letter).state == "resolved"

    def test_but_not_once_the_call_is_wanted_again(self) -> None:
        letter = failed(charge, 7)
        letter.retry()

        def late(*_: object) -> str:
            let_time_pass()
            sweep(prune=False)
            fresh(letter).retry()
            return "paid"

        with mock.patch.object(calls, "ask", late):
            deliver(letter)
        assert fresh(letter).state == "retrying"

    def test_a_call_that_takes_long_gives_signs_of_life(
        self, settings: Settings
    ) -> None:
        letter = failed(charge, 7)
        letter.retry()
        settings.UPKEEP = {"LEASE": timedelta(seconds=0.06)}
        beats = threading.Semaphore(0)
        beat = execution_calls._beat

        def noted(second: Any) -> None:
            beat(second)
            beats.release()

        def slow(*_: object) -> str:
            before = fresh(letter).due_at
            for _number in range(2):
                assert beats.acquire(timeout=20)
            after = fresh(letter).due_at
            assert before is not None
            assert after is not None
            assert after > before
            return "paid"

        with (
            mock.patch.object(execution_calls, "_beat", noted),
            mock.patch.object(calls, "ask", slow),
        ):
            deliver(letter)
        assert fresh(letter).state == "resolved"

    @pytest.mark.parametrize("error", [None, PaymentError("again")])
    def test_a_worker_that_lost_its_connection_notes_how_it_ended(
        self, error: Exception | None
    ) -> None:
        if connection.vendor == "sqlite":
            pytest.skip("by design: SQLite has no sessions to end")
        letter = failed(charge, 7)
        letter.retry()

        def lose(*_what: object) -> str:
            with suppress(DatabaseError):
                end_session()
            if error:
                raise error
            return "paid"

        with mock.patch.object(calls, "ask", lose):
            deliver(letter)
        assert fresh(letter).state == ("open" if error else "resolved")
        assert letter.error_message == str(error or NO)

    @pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
    def test_a_worker_that_is_ended_amid_the_call_opens_it_again(
        self, end: type[BaseException]
    ) -> None:
        letter = failed(charge, 7)
        letter.retry()
        calls.answers.append(end())
        with pytest.raises(end):
            deliver(letter)
        assert (fresh(letter).state, letter.attempts) == ("open", 2)


class Killed(BaseException):
    """Stands for the end of a process."""


def test_the_message_is_no_import_error_where_tasks_has_another_queue(
    settings: Settings,
) -> None:
    settings.TASKS = {
        "mail": {
            "BACKEND": "django_tasks_db.DatabaseBackend",
            "QUEUES": ["slow", "letters"],
        }
    }
    found = import_string(PATH)
    assert (found.backend, found.queue_name) == ("mail", "letters")
    with pytest.raises(AttributeError):
        _ = dispatch_calls.nothing
