"""A QuerySet in batches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext

from tests.tasks.collections.walks import walk
from tests.testapp.models import Country, Document, Item, Parcel, Reading, Seat
from upkeep import Batches
from upkeep.exceptions import InvalidCollection
from upkeep.tasks.collections import Collection, collect

pytestmark = pytest.mark.django_db


def walked(batches: Batches, **options: Any) -> Collection[Any]:
    return collect(batches, alias="default", **options)


def numbers(collection: Collection[Any]) -> list[list[int]]:
    return [[item.n for item in batch] for batch in walk(collection)]


def items(number: int) -> None:
    Item.objects.bulk_create(Item(n=n) for n in range(number))


class TestWalk:
    """`process` gets QuerySets of so many records."""

    @pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 6, 7])
    def test_the_last_batch_is_smaller(self, number: int) -> None:
        items(number)
        expected = [list(range(n, min(n + 3, number))) for n in range(0, number, 3)]
        assert numbers(walked(Batches(Item.objects, size=3))) == expected
        assert walked(Batches(Item.objects, size=3)).count() == len(expected)

    def test_a_batch_keeps_the_conditions_of_the_whole(self) -> None:
        items(9)
        some = Item.objects.exclude(n=4).filter(n__gt=1)
        assert numbers(walked(Batches(some, 2))) == [[2, 3], [5, 6], [7, 8]]

    @pytest.mark.parametrize("order", [None, ("-n",), ("name", "-n")])
    def test_records_that_leave_the_filter_take_nobody_along(
        self, order: tuple[str, ...] | None
    ) -> None:
        items(10)
        batches = Batches(Item.objects.filter(name=""), size=3)
        for batch in walk(walked(batches, cursor_fields=order)):
            batch.update(name="done")
            assert batch.count() == 0
        assert Item.objects.filter(name="done").count() == 10

    def test_a_key_of_two_columns_may_have_batches_of_thousands(self) -> None:
        Seat.objects.bulk_create(Seat(row=n // 50, number=n % 50) for n in range(2_500))
        batches = Batches(Seat.objects.filter(guest=""), size=2_000)
        sizes = [batch.update(guest="x") for batch in walk(walked(batches))]
        assert sizes == [2_000, 500]

    def test_batches_may_be_deleted(self) -> None:
        items(10)
        for batch in walk(walked(Batches(Item.objects.all(), size=4))):
            batch.delete()
        assert not Item.objects.exists()

    def test_costs_one_query_that_fetches_two_keys(self) -> None:
        items(10)
        collection = walked(Batches(Item.objects, size=4))
        with CaptureQueriesContext(connection) as queries:
            page = collection.page(None, 1000)
        assert len(page.items) == 1
        assert "LIMIT 2 OFFSET 3" in queries[0]["sql"]
        assert len(queries) == 1

    @pytest.mark.parametrize("backwards", [False, True])
    @pytest.mark.parametrize("bounded", [False, True])
    @pytest.mark.parametrize("model", [Item, Document, Country, Parcel])
    def test_by_keys_of_any_kind(
        self, model: type[Model], *, bounded: bool, backwards: bool
    ) -> None:
        for number in range(7):
            key = {"code": chr(97 + number)} if model is Country else {}
            model._default_manager.create(**key)
        records = model._default_manager.order_by("-pk" if backwards else "pk")
        collection = walked(
            Batches(records, 2),
            bounded=bounded,
            cursor_fields=("-pk",) if backwards else None,
        )
        found = [list(batch.values_list("pk", flat=True)) for batch in walk(collection)]
        assert [len(keys) for keys in found] == [2, 2, 2, 1]
        assert set(chain.from_iterable(found)) == {each.pk for each in records}

    def test_one_that_is_kept_stays_what_it_was(self) -> None:
        items(7)
        kept = list(walk(walked(Batches(Item.objects.all(), 3))))
        assert [[item.n for item in batch.order_by("n")] for batch in kept] == [
            [0, 1, 2],
            [3, 4, 5],
            [6],
        ]

    @pytest.mark.parametrize("options", [{}, {"cursor_fields": ("name",)}])
    def test_a_batch_has_no_order_for_which_mariadb_would_sort_its_update(
        self, options: Any
    ) -> None:
        items(7)
        with CaptureQueriesContext(connection) as queries:
            for batch in walk(walked(Batches(Item.objects.all(), 3), **options)):
                batch.update(n=8)
        updates = [each["sql"] for each in queries if each["sql"][:6] == "UPDATE"]
        assert len(updates) == 3
        assert not [sql for sql in updates if "ORDER BY" in sql]
        assert Item.objects.filter(n=8).count() == 7

    def test_by_several_columns(self) -> None:
        Reading.objects.bulk_create(Reading(number=n // 2 or None) for n in range(7))
        batches = walked(Batches(Reading.objects, 3), cursor_fields=("-number", "pk"))
        found = [sorted(str(each.number) for each in batch) for batch in walk(batches)]
        assert sorted(chain.from_iterable(found)) == [
            "1",
            "1",
            "2",
            "2",
            "3",
            "None",
            "None",
        ]
        assert [len(batch) for batch in found] == [3, 3, 1]


class TestRefusals:
    """What is no QuerySet, or has no order to cut, is refused."""

    def test_of_what_is_no_queryset(self) -> None:
        with pytest.raises(TypeError, match="takes a QuerySet, not a list"):
            Batches([1, 2])  # type: ignore[arg-type]

    def test_of_empty_batches(self) -> None:
        with pytest.raises(ValueError, match="at least 1 record, not 0"):
            Batches(Item.objects, size=0)

    @pytest.mark.parametrize("option", ["start", "finish", "order"])
    def test_of_options_that_it_does_not_have(self, option: str) -> None:
        with pytest.raises(TypeError, match=option):
            Batches(Item.objects, **{option: 1})

    def test_of_a_queryset_that_cannot_be_walked(self) -> None:
        with pytest.raises(InvalidCollection, match="is sliced"):
            walked(Batches(Item.objects.all()[:5]))


def test_a_batch_is_walked_from_a_manager_too() -> None:
    items(2)

    def batches() -> Iterator[Any]:
        yield from walk(walked(Batches(Item.objects)))

    assert [batch.count() for batch in batches()] == [2]
