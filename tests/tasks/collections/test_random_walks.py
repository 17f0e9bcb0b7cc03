"""Walks over random tables, while others change them, stopped and resumed anywhere."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Model, Q
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.tasks.collections.walks import stored
from tests.testapp.models import Country, Document, Reading, Seat
from upkeep import Batches
from upkeep.tasks.collections import Collection, collect

# Few values of each type, so that rows tie; among them those that are easily mangled.
VALUES: dict[str, list[Any]] = {
    "number": [-1, 0, 2147483647],
    "text": ["", "a", "Ä", "b c", "10", "9"],
    "price": [Decimal("-0.001"), Decimal("1.100"), Decimal("123456789.999")],
    "moment": [
        datetime(2025, 3, 30, 0, 59, 59, 999999, tzinfo=UTC),
        datetime(2025, 3, 30, 1, 0, tzinfo=UTC),
        datetime(2025, 10, 26, 0, 30, tzinfo=UTC),
        datetime(2025, 10, 26, 1, 30, tzinfo=UTC),
    ],
    "day": [date(1000, 1, 1), date(2025, 2, 28), date(2025, 3, 1)],
    "clock": [time(0, 0), time(12, 0, 0, 1), time(23, 59, 59, 999999)],
    "lasting": [timedelta(0), timedelta(microseconds=1), timedelta(days=3)],
    "code": [uuid.UUID(int=1), uuid.UUID(int=1 << 100), uuid.UUID(int=(1 << 128) - 1)],
    "flag": [True, False],
    "real": [0.1, 1 / 3, -1e300, 5e-324],
    "blob": [b"", b"\x00", b"a\xff"],
    "address": ["10.0.0.1", "9.0.0.1", "::1"],
    "country_id": ["AT", "DE"],
    "document_id": [uuid.UUID(int=7), uuid.UUID(int=8)],
}
PATHS = {"country_id": "country__code", "document_id": "document"}

ROWS = st.fixed_dictionaries(
    {name: st.sampled_from([None, *values]) for name, values in VALUES.items()}
)


@st.composite
def orders(draw: st.DrawFn) -> tuple[str, ...]:
    """One to three columns, each up or down, or only the key."""
    names = draw(st.lists(st.sampled_from([*VALUES, "pk"]), max_size=3, unique=True))
    return tuple(
        draw(st.sampled_from(["", "-"])) + PATHS.get(name, name) for name in names
    )


# What happens between two pages: the size of the page, how many of its items are worked
# on before the place is written down, whether another worker takes over, and what
# others do to the table meanwhile.
MOMENTS = st.tuples(
    st.integers(1, 7),
    st.integers(1, 7),
    st.booleans(),
    st.sampled_from(["nothing", "insert", "delete", "delete what is done"]),
    ROWS,
)


@pytest.fixture
def related(db: None) -> None:
    Country.objects.bulk_create(Country(code=code) for code in VALUES["country_id"])
    Document.objects.bulk_create(Document(pk=key) for key in VALUES["document_id"])


class Crowd:
    """Others that change the table while it is walked."""

    def __init__(self, model: type[Model], choice: int) -> None:
        self.objects = model._default_manager
        self.there_all_along = set(self.objects.values_list("pk", flat=True))
        self.choice = choice

    def act(self, what: str, row: dict[str, Any], done: list[Any]) -> None:
        if what == "insert":
            self.objects.create(**row)
        elif what == "delete":
            self._delete(list(self.objects.order_by("pk").values_list("pk", flat=True)))
        elif what == "delete what is done":
            self._delete(done)

    def _delete(self, keys: list[Any]) -> None:
        if keys:
            key = keys[self.choice % len(keys)]
            self.objects.filter(pk=key).delete()
            self.there_all_along.discard(key)


def walk_in_a_crowd(
    make: Callable[[], Collection[Any]],
    moments: list[tuple[int, int, bool, str, dict[str, Any]]],
    crowd: Crowd,
    keys_of: Callable[[Any], list[Any]] = lambda item: [item.pk],
) -> list[Any]:
    """Return the keys that were worked on, in this order."""
    collection, cursor = make(), None
    done: list[Any] = []
    calm = (5, 5, False, "nothing", dict[str, Any]())
    for size, stop, takeover, what, row in itertools.chain(
        moments, itertools.repeat(calm)
    ):
        page = collection.page(cursor, size)
        worked_on = page.items[:stop]
        for item in worked_on:
            done += keys_of(item)
        if page.last and len(worked_on) == len(page.items):
            return done
        if worked_on:
            cursor = stored(page.cursor_after(len(worked_on) - 1))
        if takeover:
            collection.close()
            collection = make()
        crowd.act(what, row, done)
    raise AssertionError


def check_each_once(done: list[Any], crowd: Crowd) -> None:
    twice = [key for key, times in Counter(done).items() if times > 1]
    assert not twice
    assert crowd.there_all_along <= set(done)


# The tables are emptied at the start of each example: they share one transaction.
ONE_BY_ONE = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@ONE_BY_ONE
@given(
    rows=st.lists(ROWS, max_size=25),
    order=orders(),
    moments=st.lists(MOMENTS, max_size=10),
    choice=st.integers(0, 24),
    batch=st.none() | st.integers(1, 7),
    is_bounded=st.booleans(),
)
def test_each_row_that_stays_is_met_once(
    related: None,
    rows: list[dict[str, Any]],
    order: tuple[str, ...],
    moments: list[tuple[int, int, bool, str, dict[str, Any]]],
    choice: int,
    batch: int | None,
    is_bounded: bool,
) -> None:
    """Whatever the order, the ties and empty values, the stops, and what others do."""
    Reading.objects.all().delete()
    Reading.objects.bulk_create(Reading(**row) for row in rows)
    crowd = Crowd(Reading, choice)

    def make() -> Collection[Any]:
        records = Reading.objects.select_related("country")
        value = records if batch is None else Batches(records, size=batch)
        return collect(
            value, alias="default", cursor_fields=order or None, bounded=is_bounded
        )

    done = walk_in_a_crowd(
        make, moments, crowd, keys_of if batch else lambda item: [item.pk]
    )
    note(f"walked {done}")
    check_each_once(done, crowd)


def keys_of(batch: Any) -> list[Any]:
    return [record.pk for record in batch]


SEATS = st.tuples(st.integers(0, 3), st.integers(0, 3))


@ONE_BY_ONE
@given(
    seats=st.sets(SEATS, max_size=16),
    order=st.sampled_from([None, ("pk",), ("-pk",), ("guest", "-row"), ("-number",)]),
    moments=st.lists(MOMENTS, max_size=10),
    choice=st.integers(0, 15),
    batch=st.none() | st.integers(1, 7),
)
def test_each_row_with_a_key_of_several_columns_is_met_once(
    db: None,
    seats: set[tuple[int, int]],
    order: tuple[str, ...] | None,
    moments: list[tuple[int, int, bool, str, dict[str, Any]]],
    choice: int,
    batch: int | None,
) -> None:
    Seat.objects.all().delete()
    Seat.objects.bulk_create(
        Seat(row=row, number=number, guest="ab"[row % 2]) for row, number in seats
    )
    crowd = Crowd(Seat, choice)
    moments = [
        (size, stop, takeover, what.replace("insert", "nothing"), row)
        for size, stop, takeover, what, row in moments
    ]

    def make() -> Collection[Any]:
        records = Seat.objects.filter(~Q(guest="c"))
        value = records if batch is None else Batches(records, size=batch)
        return collect(value, alias="default", cursor_fields=order)

    done = walk_in_a_crowd(
        make, moments, crowd, keys_of if batch else lambda item: [item.pk]
    )
    check_each_once(done, crowd)
