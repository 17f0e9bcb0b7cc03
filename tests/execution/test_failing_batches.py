"""Batches of which a record fails: what the page about errors says of them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from tests.execution.story import effects, once
from tests.testapp.models import Effect, Item, Stamp
from upkeep import Batches, Quarantine, Task

pytestmark = pytest.mark.usefixtures("items")


def test_good_records_are_done_where_a_constraint_is_checked_at_the_commit(
    known: Any,
) -> None:
    @known
    class Trial(Task):
        on_error = [Quarantine(Exception)]

        def collection(self) -> Any:
            return Batches(Item.objects.all(), 8)

        def process(self, batch: Any) -> None:
            for item in batch:
                Effect.objects.create(item=item.pk)
                if item.pk == 7:
                    Stamp.objects.create(item_id=123456)

    if connection.vendor == "sqlite":
        pytest.skip("by design: SQLite tells at the COMMIT alone")
    run = Trial.run_now()
    assert [letter.item for letter in run.dead_letters.all()] == ["testapp.Item 7"]
    assert Effect.objects.count() == 19


def test_without_a_transaction_a_batch_is_kept_as_a_whole(known: Any) -> None:
    """To halve it would have the effects of its good records happen again and again."""

    @known
    class Trial(Task):
        atomic = False
        on_error = [Quarantine(ValueError)]

        def collection(self) -> Any:
            return Batches(Item.objects.all(), 16)

        def process(self, batch: Any) -> None:
            for item in batch:
                if item.pk == 16:
                    raise ValueError("poison")
                Effect.objects.create(item=item.pk)

    run = Trial.run_now()
    assert [letter.item for letter in run.dead_letters.all()] == ["batch 1"]
    assert effects() == once(*(pk for pk in range(1, 21) if pk != 16))


def test_the_letter_of_a_record_tells_of_its_own_error_alone(known: Any) -> None:
    @known
    class Trial(Task):
        on_error = [Quarantine(ValueError)]

        def collection(self) -> Any:
            return Batches(Item.objects.all(), 8)

        def process(self, batch: Any) -> None:
            for item in batch:
                if item.pk in (3, 4):
                    raise ValueError(f"poison {item.pk}")

    letter = Trial.run_now().dead_letters.last()
    assert letter is not None
    assert "poison 3" not in letter.traceback  # It is the letter of item 4.
