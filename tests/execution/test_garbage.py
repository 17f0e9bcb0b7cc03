"""What the engine does with Python's search for garbage is none of `process`'s."""

import gc
from typing import Any

from tests.testapp.models import Item
from upkeep import Task


def test_process_may_leave_as_much_as_it_likes(known: Any, items: list[Item]) -> None:
    seen = set[bool]()

    @known
    class Littering(Task):
        updates = ("n",)

        def collection(self) -> Any:
            return Item.objects.all()

        def process(self, item: Item) -> None:
            seen.add(gc.isenabled())
            item.n += 1

    assert Littering.run_now().changed == len(items)
    assert seen == {True}
    assert gc.isenabled()
