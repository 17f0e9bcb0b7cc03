"""Sequences, walked by position."""

from collections import deque
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tasks.collections.walks import STEPS, Step, interrupted_walk, walk
from upkeep.exceptions import CursorMismatch
from upkeep.tasks.collections import collect


class TestSequences:
    """Every item once, wherever the walk is stopped."""

    @given(items=st.lists(st.integers(), max_size=30), steps=STEPS)
    def test_every_item_once(self, items: list[int], steps: list[Step]) -> None:
        done = interrupted_walk(lambda: collect(items, alias="default"), steps)
        assert done == items

    @pytest.mark.parametrize(
        "sequence", [[], (1, 2), range(5, 25, 3), deque([1, 2, 3])]
    )
    def test_of_every_type(self, sequence: Sequence[int]) -> None:
        collection = collect(sequence, alias="default")
        assert list(walk(collection, 2)) == list(sequence)
        assert collection.count() == len(sequence)

    def test_that_became_shorter_than_the_place_is_another(self) -> None:
        items = [1, 2, 3, 4]
        collection = collect(items, alias="default")
        cursor = collection.page(None, 3).cursor_after(2)
        del items[1:]
        with pytest.raises(CursorMismatch, match=r"had done 3 items .* now has 1\."):
            collection.page(cursor, 3)

    def test_that_ends_at_the_place_is_done(self) -> None:
        items = [1, 2, 3, 4]
        collection = collect(items, alias="default")
        cursor = collection.page(None, 3).cursor_after(2)
        del items[3:]
        page = collection.page(cursor, 3)
        assert (list(page.items), page.last) == ([], True)
