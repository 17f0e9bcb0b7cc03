"""A call that fails is kept, whatever it was given and wherever it stood."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic, sleep
from typing import Any, cast
from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    connection,
    transaction,
)

from tests.execution.test_failures import end_session
from tests.testapp import calls
from tests.testapp.calls import (
    PaymentError,
    Shop,
    charge,
    charge_atomically,
    charge_card,
    charge_soon,
    invoice,
    invoice_soon,
    try_to_charge,
)
from tests.testapp.models import Item
from upkeep import dead_letters
from upkeep.compat import TaskContext
from upkeep.exceptions import InvalidCall
from upkeep.models import DeadLetter
from upkeep.tasks import masks
from upkeep.tasks.calls import find

SECRET = "4111-1111-1111-1111"
NO = PaymentError("card 17 was refused")
PATIENCE = 20.0  # seconds


@pytest.fixture(autouse=True)
def nothing_said() -> Iterator[None]:
    """Let the bank say yes until a test says otherwise."""
    yield
    calls.answers.clear()
    calls.asked.clear()


def refuse(call: Callable[[], Any], error: BaseException = NO) -> None:
    """Have a call fail, and see its caller told."""
    calls.answers.append(error)
    with pytest.raises(type(error)) as caught:
        call()
    assert caught.value is error


def kept() -> DeadLetter:
    """Return the one letter, as soon as it is there."""
    deadline = monotonic() + PATIENCE
    while not DeadLetter.objects.exists():
        assert monotonic() < deadline, "There is no dead letter."
        sleep(0.01)
    return DeadLetter.objects.get()


def args() -> list[Any]:
    """Return the arguments by position of the one letter."""
    payload = kept().payload
    assert payload is not None
    found: list[Any] = payload["args"]
    return found


@pytest.mark.django_db
class TestKept:
    def test_a_call_that_fails_is_kept_with_all_there_is_to_know(self) -> None:
        refuse(lambda: charge(7, amount=2))
        letter = DeadLetter.objects.get()
        assert letter.call == "tests.testapp.calls.charge"
        assert letter.item == "charge(7, amount=2)"
        assert letter.payload == {"args": [7], "kwargs": {"amount": 2}}
        assert letter.error_class == "tests.testapp.calls.PaymentError"
        assert letter.error_message == "card 17 was refused"
        assert "in charge\n" in letter.traceback
        assert (letter.state, letter.attempts) == ("open", 1)
        assert (letter.run, letter.owner, letter.note) == (None, None, "")
        assert letter.obstacle == ""

    def test_a_call_that_goes_well_is_not(self) -> None:
        assert charge(7) == "paid"
        assert not DeadLetter.objects.exists()

    def test_nor_is_one_that_fails_with_another_error(self) -> None:
        refuse(lambda: charge(7), ValueError())
        assert not DeadLetter.objects.exists()

    def test_letters_of_one_cause_have_one_fingerprint(self) -> None:
        refuse(lambda: charge(7), PaymentError("card 17 was refused"))
        refuse(lambda: charge(8), PaymentError("card 18 was refused"))
        refuse(lambda: charge(9), PaymentError("there is no such card"))
        first, second, third = DeadLetter.objects.values_list("fingerprint", flat=True)
        assert first == second != third

    def test_the_caller_may_be_spared(self) -> None:
        calls.answers.append(NO)
        assert cast("str | None", try_to_charge(7)) is None
        assert kept().item == "try_to_charge(7)"

    def test_a_function_that_is_awaited_is_kept_as_well(self) -> None:
        # As Django waits for a view or a test: by the connection of this thread.
        wait_for = async_to_sync(charge_soon)
        assert wait_for(1) == "paid"
        refuse(lambda: wait_for(7))
        assert kept().item == "charge_soon(7)"

    def test_a_django_task_is_kept_however_it_is_decorated(self) -> None:
        refuse(lambda: invoice.call(7, copies=2))
        assert kept().payload == {"args": [7], "kwargs": {"copies": 2}}
        assert kept().call == "tests.testapp.calls.invoice"

    def test_its_context_is_none_of_its_arguments(self) -> None:
        assert invoice_soon.takes_context
        context: Any = mock.Mock(spec=TaskContext)
        refuse(lambda: cast("Any", invoice_soon).call(context, 7))
        assert kept().payload == {"args": [7], "kwargs": {}}

    def test_methods_are_kept_with_what_they_belong_to(self) -> None:
        refuse(lambda: Shop(7).charge())
        assert kept().item == "Shop.charge([Shop])"
        assert kept().obstacle.startswith("Its argument self was not kept.")

    def test_a_static_method_is_a_function(self) -> None:
        refuse(lambda: Shop.refund(7))
        assert kept().call == "tests.testapp.calls.Shop.refund"
        assert kept().obstacle == ""
        assert find(kept().call) is Shop.refund

    def test_it_looks_like_the_function(self) -> None:
        assert charge.__name__ == "charge"
        assert charge.__doc__ == "Charge for an order."
        assert asyncio.iscoroutinefunction(charge_soon)
        assert not asyncio.iscoroutinefunction(charge)


@pytest.mark.django_db
class TestArguments:
    def test_a_record_is_kept_by_its_key(self) -> None:
        item = Item.objects.create()
        refuse(lambda: charge(item))
        assert args() == [{"$model": "testapp.item", "pk": item.pk}]

    @pytest.mark.parametrize(
        ("value", "why"),
        [
            (object(), "A value of type object cannot be stored."),
            (Item(), "This testapp.Item is not saved"),
        ],
    )
    def test_one_that_cannot_be_stored_is_told_of(self, value: Any, why: str) -> None:
        refuse(lambda: charge(7, value))
        kind = type(value).__name__
        assert args() == [7, f"[{kind}]"]
        assert kept().obstacle.startswith(f"Its argument rest was not kept. {why}")

    def test_one_whose_own_code_fails_is_told_of(self) -> None:
        refuse(lambda: charge(Broken("7")))
        assert "Its argument order was not kept. ZeroDivisionError" in kept().obstacle

    def test_a_masked_one_is_kept_nowhere(self) -> None:
        refuse(lambda: charge_card(7, SECRET, SECRET), PaymentError(f"not {SECRET}"))
        letter = kept()
        row = DeadLetter.objects.filter(pk=letter.pk).values().get()
        assert SECRET not in str(row)
        assert args() == [7, masks.FILTERED, masks.FILTERED]
        assert letter.error_message == f"not {masks.FILTERED}"
        assert letter.obstacle.startswith("Its argument card is masked")

    def test_one_that_is_no_text_at_all_is_masked(self) -> None:
        refuse(lambda: charge_card(7, cast("Any", Broken("7"))))
        assert args() == [7, masks.FILTERED]

    def test_what_cannot_be_stored_of_it_tells_no_secret(self) -> None:
        refuse(lambda: charge(7, {(SECRET,): 1}, token=SECRET))
        row = DeadLetter.objects.values().get()
        assert SECRET not in str(row)
        assert kept().obstacle.startswith("Its argument rest was not kept.")

    def test_a_name_that_cannot_be_stored_is_none_of_a_problem(self) -> None:
        refuse(lambda: charge(7, **{"a\0b": 1}))
        assert kept().item == "charge(7, a\\x00b=1)"

    def test_a_masked_one_is_masked_by_name_too(self) -> None:
        refuse(lambda: charge_card(7, card=SECRET))
        assert kept().payload == {"args": [7], "kwargs": {"card": masks.FILTERED}}

    def test_what_the_settings_mask_is_masked(self) -> None:
        refuse(lambda: charge(7, api_token=SECRET))
        assert kept().payload == {"args": [7], "kwargs": {"api_token": masks.FILTERED}}

    @pytest.mark.parametrize(("depth", "is_kept"), [(29, True), (30, False)])
    def test_one_as_deep_as_every_database_nests_is_kept(
        self, depth: int, is_kept: bool
    ) -> None:
        deep: Any = 1
        for _ in range(depth):
            deep = [deep]
        refuse(lambda: charge(deep))
        assert args() == [deep if is_kept else "[list]"]
        assert (kept().obstacle == "") is is_kept

    def test_a_call_that_the_function_refuses_is_kept_masked(self) -> None:
        keep_wrong_ones = dead_letters.on(TypeError, masked=("card",))
        wrong = keep_wrong_ones(charge_card.__wrapped__)  # type: ignore[attr-defined] # as it was undecorated
        with pytest.raises(TypeError):
            wrong(7, SECRET, "", SECRET)
        assert SECRET not in str(DeadLetter.objects.values().get())


class Broken(str):
    """A text that is none."""

    __slots__ = ()

    def __str__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.django_db(transaction=True)
class TestTransactions:
    def test_the_letter_outlives_the_transaction_that_its_error_undoes(self) -> None:
        refuse(lambda: charge_atomically(7))
        assert kept().item == "charge_atomically(7)"
        assert not Item.objects.exists()

    def test_also_where_it_is_kept_inside_of_that_transaction(self) -> None:
        def order() -> None:
            with transaction.atomic(), transaction.atomic():
                Item.objects.create()
                charge(7)

        refuse(order)
        assert kept().item == "charge(7)"
        assert not Item.objects.exists()

    def test_also_where_the_transaction_goes_on_and_commits(self) -> None:
        with transaction.atomic():
            Item.objects.create()
            calls.answers.append(NO)
            with suppress(PaymentError):
                charge(7)
        assert kept().item == "charge(7)"
        assert Item.objects.exists()

    def test_also_where_the_transaction_is_broken(self) -> None:
        with suppress(DatabaseError), transaction.atomic():
            item = Item.objects.create()
            with suppress(DatabaseError):
                Item.objects.create(pk=item.pk)
            refuse(lambda: charge(7))
            raise DatabaseError
        assert kept().item == "charge(7)"

    def test_also_where_the_connection_was_lost_meanwhile(self) -> None:
        """A call that waits for somebody else may outlive a restart of the database."""
        if connection.vendor == "sqlite":
            pytest.skip("by design: SQLite has no sessions to end")

        def lose_and_fail(*_what: object) -> None:
            with suppress(DatabaseError):
                end_session()
            raise NO

        with (
            mock.patch.object(calls, "ask", lose_and_fail),
            pytest.raises(PaymentError),
        ):
            charge(7)
        assert DeadLetter.objects.get().item == "charge(7)"

    def test_also_where_the_database_is_away_for_a_moment(self) -> None:
        save, away = DeadLetter.save, iter([InterfaceError(), InterfaceError()])

        def save_later(letter: DeadLetter, **given: Any) -> None:
            for error in away:
                raise error
            save(letter, **given)

        with mock.patch.object(DeadLetter, "save", save_later):
            refuse(lambda: charge(7))
        assert DeadLetter.objects.get().item == "charge(7)"

    def test_a_letter_that_cannot_be_written_changes_nothing(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        away = mock.patch.object(
            DeadLetter, "save", side_effect=OperationalError("the database is away")
        )
        with away:
            refuse(lambda: charge(7))
            calls.answers.append(NO)
            with pytest.raises(PaymentError):  # Nobody else would hear of it.
                try_to_charge(7)
        assert "The dead letter of tests.testapp.calls.charge could not" in caplog.text
        assert not DeadLetter.objects.exists()


@pytest.mark.django_db
def test_inside_of_a_test_it_goes_with_the_test() -> None:
    with transaction.atomic():
        calls.answers.append(NO)
        with suppress(PaymentError):
            charge(7)
    assert DeadLetter.objects.count() == 1


def walk() -> Iterator[int]:
    yield 7


class TestRefused:
    @pytest.mark.parametrize(
        ("decorate", "why"),
        [
            (lambda: dead_letters.on()(charge), "Name the errors"),
            (lambda: dead_letters.on(cast("Any", 7))(charge), "PaymentError, OSError"),
            (lambda: dead_letters.on(OSError, masked="card")(charge), "list of names"),
            (lambda: dead_letters.on(OSError)(lambda: 7), "inside of a function"),
            (lambda: dead_letters.on(OSError)(7), "7 is none"),
            (lambda: dead_letters.on(OSError)(charge), "twice"),
            (lambda: dead_letters.on(OSError)(invoice), "invoice is under"),
            (lambda: dead_letters.on(OSError)(Shop), "is none"),
            (lambda: dead_letters.on(OSError)(staticmethod(charge)), "@staticmethod"),
            (lambda: dead_letters.on(OSError)(walk), "generator"),
        ],
    )
    def test_with_what_to_do(self, decorate: Callable[[], Any], why: str) -> None:
        with pytest.raises(InvalidCall, match=why):
            decorate()

    def test_a_path_is_called_only_where_a_decorator_says_so(self) -> None:
        for path in ("os.system", "tests.testapp.calls.ask", "nobody.knows", "a b"):
            with pytest.raises(InvalidCall, match=path):
                find(path)


def test_it_is_found_without_an_import_of_its_own() -> None:
    import upkeep

    assert upkeep.dead_letters is dead_letters
