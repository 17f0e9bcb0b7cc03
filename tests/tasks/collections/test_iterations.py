"""What a task's own iterate(cursor) yields."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import InterfaceError, connection
from hypothesis import given
from hypothesis import strategies as st

from tests.tasks.collections.walks import STEPS, Step, interrupted_walk, stored, walk
from tests.testapp.models import Item
from upkeep.exceptions import CursorMismatch, InvalidCollection
from upkeep.tasks.collections import iterations
from upkeep.tasks.collections.iterations import Iteration


def up_to(number: int) -> Any:
    def iterate(cursor: int | None) -> Iterator[tuple[int, int]]:
        for n in range(cursor or 0, number):
            yield n, n + 1

    return iterate


@given(number=st.integers(0, 25), steps=STEPS)
def test_each_item_comes_once_wherever_the_walk_is_stopped(
    number: int, steps: list[Step]
) -> None:
    done = interrupted_walk(lambda: Iteration(up_to(number)), steps)
    assert done == list(range(number))


def test_goes_on_without_beginning_anew() -> None:
    begun: list[int | None] = []

    def iterate(cursor: int | None) -> Iterator[tuple[int, int]]:
        begun.append(cursor)
        yield from up_to(10)(cursor)

    assert len(list(walk(Iteration(iterate), 3))) == 10
    assert begun == [None]


def test_a_page_that_is_asked_for_again_is_the_same() -> None:
    collection = Iteration(up_to(10))
    page = collection.page(None, 3)
    cursor = page.cursor_after(2)
    assert list(collection.page(cursor, 3).items) == [3, 4, 5]
    assert list(collection.page(cursor, 2).items) == [3, 4]
    assert list(collection.page(None, 2).items) == [0, 1]


def test_the_last_page_is_known_as_the_last() -> None:
    assert Iteration(up_to(3)).page(None, 3).last
    assert not Iteration(up_to(4)).page(None, 3).last
    assert Iteration(up_to(0)).page(None, 3).last


def test_cursors_keep_their_types() -> None:
    moment = datetime(2025, 3, 30, 1, tzinfo=UTC)
    seen: list[Any] = []

    def iterate(cursor: Any) -> Iterator[tuple[int, Any]]:
        seen.append(cursor)
        yield 1, {"at": moment, "key": b"\x00"}

    cursor = Iteration(iterate).page(None, 1).cursor_after(0)
    Iteration(iterate).page(stored(cursor), 1)
    assert seen == [None, {"at": moment, "key": b"\x00"}]


def test_an_error_keeps_the_items_before_it_and_comes_again() -> None:
    def iterate(cursor: int | None) -> Iterator[tuple[int, int]]:
        yield from up_to(3)(cursor)
        raise OSError("the line went dead")

    collection = Iteration(iterate)
    page = collection.page(None, 10)
    assert (list(page.items), page.last) == ([0, 1, 2], False)
    for _attempt in range(2):
        with pytest.raises(OSError, match="went dead"):
            collection.page(page.cursor_after(2), 10)


@pytest.mark.django_db
def test_a_database_error_leaves_a_transaction_in_which_its_items_can_be_done() -> None:
    def iterate(cursor: int | None) -> Iterator[tuple[int, int]]:
        yield from up_to(3)(cursor)
        connection.cursor().execute("SELECT * FROM no_such_table")

    page = Iteration(iterate).page(None, 10)
    assert list(page.items) == [0, 1, 2]
    Item.objects.create(n=1)


def test_a_database_that_goes_away_is_waited_for_and_no_item_done() -> None:
    def iterate(cursor: int | None) -> Iterator[tuple[int, int]]:
        yield from up_to(3)(cursor)
        raise InterfaceError("the connection is gone")

    with pytest.raises(InterfaceError):
        Iteration(iterate).page(None, 10)


def test_a_cursor_that_comes_again_later_leaves_nothing_out() -> None:
    def iterate(cursor: int | None) -> Iterator[tuple[str, int]]:
        yield from zip("abcdef", [1, 2, 1, 2, 1, 2], strict=True)

    collection = Iteration(iterate)
    page = collection.page(None, 3)
    again = collection.page(page.cursor_after(0), 3)
    assert list(again.items) == ["a", "b", "c"]


def test_an_iteration_that_is_left_is_closed() -> None:
    closed: list[bool] = []

    def iterate(cursor: int | None) -> Iterator[tuple[int, int]]:
        try:
            yield from up_to(10)(cursor)
        finally:
            closed.append(True)

    collection = Iteration(iterate)
    collection.page(None, 2)
    collection.close()
    assert closed == [True]


def test_slow_items_make_small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is to stop need not wait for a page of slow ones."""
    clock = iter(range(1000))
    monkeypatch.setattr(iterations, "monotonic", lambda: next(clock))
    page = Iteration(up_to(10)).page(None, 10)
    assert len(page.items) == 1
    assert not page.last
    assert list(walk(Iteration(up_to(4)), 10)) == [0, 1, 2, 3]


class TestRefusals:
    """What cannot be gone on with is said."""

    @pytest.mark.parametrize(
        ("pair", "sentence"),
        [
            (5, r"yielded a value of type int.*yield item, cursor"),
            ((1, 2, 3), r"yielded a value of type tuple"),
            ((1, None), r"cursor None, which means the beginning"),
            ((1, object()), r"cannot be saved: .*type object"),
        ],
    )
    def test_of_what_is_no_pair(self, pair: Any, sentence: str) -> None:
        def iterate(cursor: Any) -> Iterator[Any]:
            yield pair

        with pytest.raises(InvalidCollection, match=sentence):
            Iteration(iterate).page(None, 1)

    @pytest.mark.parametrize("size", [1, 2, 10])
    def test_of_one_cursor_for_two_items(self, size: int) -> None:
        def iterate(cursor: Any) -> Iterator[Any]:
            yield from [("a", 1), ("b", 2), ("c", 2)][cursor or 0 :]

        with pytest.raises(InvalidCollection, match=r"the cursor 2 for two items"):
            list(walk(Iteration(iterate), size))

    def test_of_what_cannot_be_iterated(self) -> None:
        with pytest.raises(InvalidCollection, match="returned None"):
            Iteration(lambda cursor: None).page(None, 1)  # type: ignore[arg-type,return-value]

    def test_of_a_cursor_of_another_kind(self) -> None:
        with pytest.raises(CursorMismatch, match=r"'queryset'.*'iterate'"):
            Iteration(up_to(3)).page({"kind": "queryset"}, 1)
