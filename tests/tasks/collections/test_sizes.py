"""A large table is not counted before a run begins."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import IntegerField
from django.db.models.expressions import RawSQL

from tests.testapp.models import Item
from upkeep import Batches
from upkeep.tasks.collections import sizes
from upkeep.tasks.collections.batches import BatchesCollection
from upkeep.tasks.collections.sizes import (
    Estimate,
    in_batches,
    rough_size_of,
    size_of,
)

ROWS = 400

# What takes longer than any test has patience for, for each row.
FOR_EVER = {
    "postgresql": "CASE WHEN pg_sleep(20) IS NULL THEN 1 ELSE 1 END",
    "mysql": "SLEEP(20) + 1",
    "sqlite": (
        "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < 100000000) SELECT 1 + 0 * max(i) FROM n)"
    ),
}
SETTINGS = {
    "postgresql": "SELECT current_setting('statement_timeout')",
    "mysql": "SELECT @@SESSION.max_statement_time",
}


@pytest.fixture(autouse=True)
def rows(transactional_db: None) -> None:
    Item.objects.bulk_create(Item(pk=pk) for pk in range(1, ROWS + 1))
    with connection.cursor() as cursor:
        verb = "ANALYZE TABLE" if connection.vendor == "mysql" else "ANALYZE"
        cursor.execute(f"{verb} {Item._meta.db_table}")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "COUNT_WITHIN", timedelta(milliseconds=50))


def slow() -> Any:
    """Return items that it takes for ever to count."""
    one = RawSQL(  # noqa: S611 - it is ours
        FOR_EVER[connection.vendor], [], output_field=IntegerField()
    )
    return Item.objects.annotate(one=one).filter(one=1)


def setting() -> Any:
    """Return how long a statement may take in this session."""
    with connection.cursor() as cursor:
        cursor.execute(SETTINGS.get(connection.vendor, "SELECT 0"))
        return cursor.fetchone()


class TestCounted:
    def test_is_what_takes_no_time(self) -> None:
        found = size_of(Item.objects.filter(pk__lte=30))
        assert found == 30
        assert not isinstance(found, Estimate)

    def test_is_an_empty_table(self) -> None:
        Item.objects.all().delete()
        assert size_of(Item.objects.all()) == 0

    def test_leaves_the_session_as_it_was(self) -> None:
        before = setting()
        size_of(Item.objects.all())
        with transaction.atomic():
            size_of(Item.objects.all())
            assert setting() == before
        assert setting() == before


@pytest.mark.usefixtures("hasty")
class TestEstimated:
    def test_is_what_takes_long(self) -> None:
        found = size_of(slow())
        assert found is None if connection.vendor == "sqlite" else found is not None
        assert found is None or isinstance(found, Estimate)

    def test_leaves_the_session_as_it_was(self) -> None:
        before = setting()
        with transaction.atomic():
            size_of(slow())
            assert setting() == before
            Item.objects.create(pk=ROWS + 1)  # The transaction is usable.
        assert setting() == before
        assert Item.objects.count() == ROWS + 1
        assert len(list(Item.objects.all())) == ROWS + 1

    def test_is_about_right(self) -> None:
        estimate = sizes._ESTIMATES[connection.vendor]
        assert estimate(Item.objects.all()) == pytest.approx(ROWS, rel=0.1)

    def test_is_of_an_empty_table(self) -> None:
        Item.objects.all().delete()
        estimate = sizes._ESTIMATES[connection.vendor]
        # The planners of the servers remember what was there.
        assert estimate(Item.objects.all()) in range(ROWS + 1)

    def test_is_of_a_part_on_servers(self) -> None:
        found = sizes._ESTIMATES[connection.vendor](Item.objects.filter(pk__lte=40))
        if connection.vendor == "sqlite":
            assert found is None
        else:
            assert found == pytest.approx(40, rel=0.5)

    def test_is_of_a_join_on_servers(self) -> None:
        own = Item.objects.filter(pk__in=Item.objects.filter(pk__lte=40))
        found = sizes._ESTIMATES[connection.vendor](own)
        if connection.vendor == "sqlite":
            assert found is None
        else:
            assert found == pytest.approx(40, rel=0.5)

    def test_is_of_batches(self) -> None:
        batches = BatchesCollection(Batches(slow(), size=3), "default")
        found = batches.count()
        assert found is None or isinstance(found, Estimate)


def test_another_error_is_not_taken_for_slowness() -> None:
    gone = RawSQL("no_such_column", [], output_field=IntegerField())
    with pytest.raises(Exception, match="no_such_column") as caught:
        size_of(Item.objects.annotate(one=gone).filter(one=1))
    assert not isinstance(caught.value, AssertionError)


def test_batches_of_an_estimate_are_an_estimate() -> None:
    assert in_batches(None, 3) is None
    assert in_batches(7, 3) == 3
    assert not isinstance(in_batches(7, 3), Estimate)
    found = in_batches(Estimate(7), 3)
    assert found == 3
    assert isinstance(found, Estimate)


def test_a_count_that_fails_otherwise_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(_self: Any) -> int:
        raise OperationalError("The disk is full.")

    monkeypatch.setattr("django.db.models.QuerySet.count", count)
    with pytest.raises(OperationalError, match="full"):
        size_of(Item.objects.all())


class TestRough:
    """Batches of a large table are done so quickly that a count of it would weigh."""

    @pytest.fixture(autouse=True)
    def large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sizes, "LARGE", ROWS // 2)

    def test_is_what_a_server_plans_with_for_a_whole_table(self) -> None:
        found = BatchesCollection(
            Batches(Item.objects.all(), size=10), "default"
        ).count()
        assert found == pytest.approx(ROWS // 10, rel=0.1)
        assert isinstance(found, Estimate) == (connection.vendor != "sqlite")

    def test_is_counted_of_a_part(self) -> None:
        part = Item.objects.filter(pk__lte=ROWS - 1)
        found = BatchesCollection(Batches(part, size=10), "default").count()
        assert found == ROWS // 10
        assert not isinstance(found, Estimate)

    def test_is_counted_of_a_small_table(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sizes, "LARGE", ROWS * 2)
        assert not isinstance(rough_size_of(Item.objects.all()), Estimate)
