"""Functions whose calls are kept where they fail, and Django's tasks of some."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from django.db import transaction

from tests.testapp.models import Effect, Item
from upkeep import dead_letters

if TYPE_CHECKING:
    from django_tasks import task
else:
    home = "django.tasks" if find_spec("django.tasks") else "django_tasks"
    task = import_module(home).task


class PaymentError(Exception):
    """The bank says no."""


# What the bank says: an error to raise, or None; and what it was asked for.
answers: list[BaseException | None] = []
asked: list[Any] = []


def ask(*what: Any) -> str:
    """Note what is asked for, and raise what is said next, if anything."""
    asked.append(what)
    if answers and (answer := answers.pop(0)):
        raise answer
    return "paid"


@dead_letters.on(PaymentError, OSError)
def charge(order: Any, *rest: Any, amount: Any = 1, **more: Any) -> str:
    """Charge for an order."""
    return ask(order, *rest, amount, *more.values())


@dead_letters.on(PaymentError, masked=("card",))
def charge_card(order: int, card: str, note: str = "") -> str:
    """Charge a card, which nobody may read."""
    return ask(order, card, note)


@dead_letters.on(PaymentError, reraise=False)
def try_to_charge(order: int) -> str:
    """Charge for an order, if it can be."""
    return ask(order)


@dead_letters.on(PaymentError)
async def charge_soon(order: int) -> str:
    """Charge for an order, with others meanwhile."""
    return ask(order)


@dead_letters.on(PaymentError)
@transaction.atomic
def charge_atomically(order: int) -> str:
    """Charge for an order, or leave no trace."""
    Item.objects.create(n=order)
    return ask(order)


@task
@dead_letters.on(PaymentError)
def invoice(order: int, copies: int = 1) -> str:
    """Send an invoice, as a task."""
    return ask(order, copies)


@dead_letters.on(PaymentError)
@task(takes_context=True)
async def invoice_soon(context: Any, order: int) -> str:
    """Send an invoice, as a task which the decorator is above."""
    return ask(order, context.attempt)


class Shop:
    """A class with methods of all kinds."""

    def __init__(self, item: int) -> None:
        self.item = item

    @dead_letters.on(PaymentError)
    def charge(self) -> str:
        """Charge for the one item."""
        return ask(self.item)

    @staticmethod
    @dead_letters.on(PaymentError)
    def refund(order: int) -> str:
        """Give the money back."""
        return ask(order)


@dead_letters.on(PaymentError)
def pay(order: int) -> None:
    """Pay, and write it down in the ledger."""
    ask(order)
    Effect.objects.create(item=order)


@task
@dead_letters.on(PaymentError)
def pay_later(order: int) -> None:
    """Do the same, as a task."""
    ask(order)
    Effect.objects.create(item=order)
