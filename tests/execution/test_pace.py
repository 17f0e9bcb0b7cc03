"""Chunks that shrink after an error until its item is alone, and grow again."""

from __future__ import annotations

from upkeep.execution.pace import Pace


def chunks(pace: Pace, number: int) -> list[int]:
    """Return the sizes of so many chunks of items that take no time."""
    sizes = []
    for _ in range(number):
        items = 0
        while size := page(pace, items):
            items += size
            if not pace.is_careful:
                break
        pace.completed(items=items, in_whole_pages=True)
        sizes.append(items)
    return sizes


def page(pace: Pace, done: int, *, spent: float = 0, left: float = 1) -> int:
    return pace.page(done, spent=spent, left=left)


def test_after_an_error_those_before_it_come_first_and_then_what_is_next_alone() -> (
    None
):
    pace = Pace(1000)
    pace.failed_behind(6)
    assert chunks(pace, 2) == [6, 1]


def test_then_chunks_grow_again_until_care_is_over() -> None:
    pace = Pace(1000)
    pace.failed_behind(6)
    grown = chunks(pace, 12)
    assert grown[1:6] == [1, 2, 4, 8, 16]
    assert not pace.is_careful


def test_an_item_whose_place_is_not_known_is_sought_by_halves() -> None:
    pace = Pace(1000)
    sizes = []
    items = 100
    while items > 1:
        pace.failed_somewhere(items=items)
        items = page(pace, 0)
        sizes.append(items)
    assert sizes == [50, 25, 12, 6, 3, 1]


def test_a_page_is_never_larger_than_the_batch() -> None:
    pace = Pace(30)
    assert page(pace, 0) == 30
    pace.completed(items=30, in_whole_pages=True)
    assert page(pace, 0) == 30


def test_an_error_of_nothing_leaves_a_chunk_of_one() -> None:
    pace = Pace(1000)
    pace.failed_somewhere(items=0)
    assert page(pace, 0) == 1


def test_a_page_of_which_little_was_used_is_followed_by_a_small_one() -> None:
    pace = Pace(1000)
    pace.completed(items=3, in_whole_pages=False)
    assert page(pace, 0) == 3


def test_another_page_holds_what_fits_in_the_time_that_is_left() -> None:
    pace = Pace(1000)
    pace.page(0, spent=0, left=1)
    assert page(pace, 100, spent=0.8, left=0.2) == 25


def test_a_page_for_which_no_time_is_left_is_not_fetched() -> None:
    assert page(Pace(1000), 100, spent=0.99, left=0.01) == 0
    assert page(Pace(1000), 100, spent=1.5, left=-0.5) == 0


def test_pages_grow_within_a_chunk_too() -> None:
    pace = Pace(1000)
    sizes = [page(pace, done, spent=0.001, left=1) for done in (0, 100, 300, 700, 1500)]
    assert sizes == [100, 200, 400, 800, 1000]
