"""A test makes the call of a dead letter again by itself, without a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import transaction
from django.test import TestCase
from django_tasks_db.models import DBTaskResult

from tests.testapp import calls
from tests.testapp.calls import PaymentError, charge
from upkeep.exceptions import InvalidCall, NoOpenLetters
from upkeep.models import DeadLetter
from upkeep.testing import call_inline

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_said() -> Iterator[None]:
    yield
    calls.answers.clear()
    calls.asked.clear()


@pytest.fixture
def letter() -> DeadLetter:
    return failed("refused")


def failed(error: str) -> DeadLetter:
    calls.answers.append(PaymentError(error))
    with pytest.raises(PaymentError):
        charge(7)
    return DeadLetter.objects.latest("pk")


def test_one_that_goes_well_is_resolved(letter: DeadLetter) -> None:
    assert call_inline(letter) is letter
    assert (letter.state, letter.called_by) == ("resolved", "a test")
    assert len(calls.asked) == 2


def test_one_that_fails_again_is_open_with_its_error(letter: DeadLetter) -> None:
    calls.answers.append(PaymentError("refused once more"))
    call_inline(letter)
    assert (letter.state, letter.attempts) == ("open", 2)
    assert letter.error_message == "refused once more"


def test_no_message_is_sent(letter: DeadLetter) -> None:
    call_inline(letter)
    assert not DBTaskResult.objects.exists()


def test_one_that_cannot_be_made_says_why(letter: DeadLetter) -> None:
    DeadLetter.objects.update(obstacle="Its argument card is masked.")
    letter.refresh_from_db()
    with pytest.raises(InvalidCall, match="card is masked"):
        call_inline(letter)


def test_one_that_is_seen_to_is_refused(letter: DeadLetter) -> None:
    call_inline(letter)
    with pytest.raises(NoOpenLetters):
        call_inline(letter)
    assert len(calls.asked) == 2


class InATestCase(TestCase):
    """Where the whole test is one transaction."""

    def test_it_works_as_well(self) -> None:
        with transaction.atomic():
            letter = call_inline(failed("refused"))
        assert letter.state == "resolved"
