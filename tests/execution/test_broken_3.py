"""Batches of which a record fails: what the page about errors says of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.db import connection

from tests.testapp.models import Effect, Item, Stamp
from upkeep import Batches, Quarantine, Task

pytestmark = pytest.mark.usefixtures("items")


@pytest.mark.skipif(
    "connection.vendor == 'mysql'", reason="by design: it defers no constraint"
)
def test_good_records_are_done_where_a_constraint_is_checked_at_the_commit(
    known: Any,
) -> None:
    @known
    class T(Task):
        on_error = [Quarantine(Exception)]

        def collection(self) -> Any:
            return Batches(Item.objects.all(), 8)

        def process(self, batch: Any) -> None:
            for item in batch:
                Effect.objects.create(item=item.pk)
                if item.pk == 7:
                    Stamp.objects.create(item_id=123456)

    run = T.run_now()
    letters = [letter.payload for letter in run.dead_letters.all()]
    assert Effect.objects.count() == 19, letters


def test_good_records_are_done_once_without_transactions(known: Any) -> None:
    @known
    class T(Task):
        atomic = False
        on_error = [Quarantine(ValueError)]

        def collection(self) -> Any:
            return Batches(Item.objects.all(), 16)

        def process(self, batch: Any) -> None:
            for item in batch:
                if item.pk == 16:
                    raise ValueError("poison")
                Effect.objects.create(item=item.pk)

    T.run_now()
    times = Counter(Effect.objects.values_list("item", flat=True))
    assert max(times.values()) <= 2, times


def test_the_letter_of_a_record_tells_of_its_own_error_alone(known: Any) -> None:
    @known
    class T(Task):
        on_error = [Quarantine(ValueError)]

        def collection(self) -> Any:
            return Batches(Item.objects.all(), 8)

        def process(self, batch: Any) -> None:
            for item in batch:
                if item.pk in (3, 4):
                    raise ValueError(f"poison {item.pk}")

    letter = T.run_now().dead_letters.last()
    assert "poison 3" not in letter.traceback  # It is the letter of item 4.
