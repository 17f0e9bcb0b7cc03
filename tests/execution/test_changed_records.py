"""A dead letter is of the item that failed, whatever process() made of the object."""

from __future__ import annotations

from typing import Any

from tests.testapp.models import Effect, Item
from upkeep import Quarantine, Task
from upkeep.testing import run_inline


def test_a_record_that_was_copied_before_the_error(
    known: Any, transactional_db: None
) -> None:
    for _ in range(3):
        Item.objects.create()
    pks = list(Item.objects.values_list("pk", flat=True))
    is_mended: list[bool] = []

    @known
    class Trial(Task):
        on_error = [Quarantine(ValueError)]

        def collection(self) -> Any:
            return Item.objects.filter(pk__in=pks)

        def process(self, item: Item) -> None:
            Effect.objects.create(item=item.pk)
            if item.pk == pks[1] and not is_mended:
                item.pk = None
                item._state.adding = True
                item.save()  # Django's own way to copy a record
                raise ValueError("after the copy")

    run = Trial.run_now()
    is_mended.append(True)
    (retrial,) = run.dead_letters.all().retry()
    run_inline(retrial)
    letter = run.dead_letters.get()
    done = sorted(Effect.objects.values_list("item", flat=True))
    assert done == pks, (letter.item, letter.payload, letter.state, letter.note)


def test_a_record_that_got_the_key_of_another(
    known: Any, transactional_db: None
) -> None:
    Item.objects.bulk_create(Item(pk=pk) for pk in range(1, 5))
    is_mended: list[bool] = []

    @known
    class Trial(Task):
        on_error = [Quarantine(ValueError)]

        def collection(self) -> Any:
            return Item.objects.all()

        def process(self, item: Item) -> None:
            Effect.objects.create(item=item.pk)
            if item.pk == 2 and not is_mended:
                item.pk = 3
                raise ValueError("after the change")

    run = Trial.run_now()
    is_mended.append(True)
    (retrial,) = run.dead_letters.all().retry()
    run_inline(retrial)
    assert sorted(Effect.objects.values_list("item", flat=True)) == [1, 2, 3, 4]


def test_a_record_that_was_deleted_before_the_error_is_known_by_name(
    known: Any, transactional_db: None
) -> None:
    Item.objects.bulk_create(Item(pk=pk) for pk in range(1, 5))

    @known
    class Trial(Task):
        on_error = [Quarantine(ValueError)]

        def collection(self) -> Any:
            return Item.objects.all()

        def process(self, item: Item) -> None:
            if item.pk == 2:
                item.delete()
                raise ValueError("after the deletion, which is undone")

    run = Trial.run_now()
    assert run.dead_letters.get().item == "testapp.Item 2"
