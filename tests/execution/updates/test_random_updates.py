"""Random pages, processed at random while others change the same rows."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.execution.updates.pages import raws, setter
from tests.testapp.models import Country, Document, Item, Specimen
from upkeep.execution.updates import Updates

KEYS = [1, 2]
CODES = ["de", "fr"]
PAPERS = [Document(pk=f"{n:032x}").pk for n in (1, 2)]

is_mysql = connection.vendor == "mysql"
is_postgresql = connection.vendor == "postgresql"

# What every database takes as text; some of it is easily taken for something else.
TEXTS = st.one_of(
    st.sampled_from(
        ["a", "A", "á", "a ", " a", "", "null", "1", "1.0", "'", "\\", "%s"]
    ),
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9
    ),
)
# psycopg writes -0.0 as a decimal, and so save() drops the sign on PostgreSQL.
FLOATS = st.one_of(
    st.sampled_from([0.0, 1.0, 0.1]),
    st.floats(allow_nan=is_postgresql, allow_infinity=not is_mysql).filter(
        lambda number: repr(number) != "-0.0"
    ),
)
DOCUMENTS = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False, width=32),
        TEXTS,
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(string.ascii_letters, max_size=3), inner, max_size=3),
    ),
    max_leaves=5,
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "integer": st.integers(-(2**31), 2**31 - 1),
    "big": st.integers(-(2**63), 2**63 - 1),
    "small": st.integers(0, 2**15 - 1),
    "flag": st.booleans(),
    "char": TEXTS,
    "text": TEXTS,
    "slug": TEXTS,
    "lower": TEXTS,
    "decimal": st.decimals(
        Decimal(-(10**19)), Decimal(10**19), places=10, allow_nan=False
    ),
    "real": FLOATS,
    "moment": st.datetimes(
        datetime(1000, 1, 2),  # noqa: DTZ001 - Hypothesis adds the zone
        datetime(9999, 12, 30),  # noqa: DTZ001
        timezones=st.just(UTC),
    ),
    "day": st.dates(min_value=datetime(1000, 1, 1, tzinfo=UTC).date()),
    "clock": st.times(time(0), time(23, 59, 59, 999_999)),
    "lasting": st.timedeltas(timedelta(days=-9999), timedelta(days=9999)),
    "code": st.uuids(version=4),  # MariaDB refuses what no version makes
    "blob": st.binary(max_size=9),
    "address": st.ip_addresses().map(str),
    "document": DOCUMENTS,
    "owner_id": st.sampled_from(KEYS),
    "country_id": st.sampled_from(CODES),
    "paper_id": st.sampled_from(PAPERS),
}
NAMES = list(VALUES)


def values(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Return values of some of these fields."""
    each = {name: st.one_of(st.none(), VALUES[name]) for name in names}
    return st.fixed_dictionaries({}, optional=each)


@st.composite
def pages(draw: st.DrawFn) -> tuple[list[str], list[str], list[Any]]:
    """
    Draw what is declared, what is loaded beside it, and some rows.

    Of each row: what it is, what process() sets, and what others set meanwhile, or
    that they delete it.
    """
    some = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)
    declared, loaded = draw(some), draw(some)
    near = st.sampled_from([*declared, *loaded])
    row = st.tuples(
        values(NAMES),
        st.one_of(values(declared), st.just({})),
        st.one_of(st.just({}), values(draw(st.lists(near, max_size=2))), st.none()),
    )
    return declared, loaded, draw(st.lists(row, min_size=1, max_size=6))


@pytest.fixture(autouse=True)
def others(db: None) -> None:
    """Have rows to refer to."""
    Item.objects.bulk_create(Item(pk=key) for key in KEYS)
    Country.objects.bulk_create(Country(code=code) for code in CODES)
    Document.objects.bulk_create(Document(pk=key) for key in PAPERS)


class Trial:
    """Rows that are processed as a page, and twins of them that save() saves."""

    def __init__(self, rows: list[Any]) -> None:
        Specimen.objects.all().delete()
        self.rows = rows
        self.keys = self.made({} for _ in rows)
        self.twins = self.made({} for _ in rows)
        # What the rows would be if nobody else were there.
        self.wishes = self.made(wanted for _, wanted, _ in rows)

    def made(self, changed: Iterable[dict[str, Any]]) -> list[int]:
        """Make all rows, and return their keys."""
        pairs = zip(self.rows, changed, strict=True)
        made = [Specimen.objects.create(**now | other) for (now, _, _), other in pairs]
        return [each.pk for each in made]

    def processed(self, queryset: QuerySet[Specimen]) -> list[Specimen]:
        """Return records after process()."""
        records = list(queryset.order_by("pk"))
        for record, (_, wanted, _) in zip(records, self.rows, strict=True):
            setter(**wanted)(record)
        return records

    def meanwhile(self) -> None:
        """Do what others do, to the twins too."""
        for key, twin, (_, _, theirs) in self.each():
            both = Specimen.objects.filter(pk__in=[key, twin])
            if theirs is None:
                both.delete()
            elif theirs:
                both.update(**theirs)

    def save_twins(self, twins: list[Specimen]) -> None:
        """Save what process() changed."""
        for twin, (_, wanted, theirs) in zip(twins, self.rows, strict=True):
            if wanted and theirs is not None:
                twin.save(update_fields=list(wanted))

    def each(self) -> Iterator[tuple[int, int, Any]]:
        return zip(self.keys, self.twins, self.rows, strict=True)


@given(pages(), st.booleans())
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_are_as_save_leaves_them_or_as_others_left_them(
    page: tuple[list[str], list[str], list[Any]], loads_all: bool
) -> None:
    declared, loaded, rows = page
    trial = Trial(rows)
    writer = Updates(Specimen, declared, "default")
    twins = trial.processed(Specimen.objects.filter(pk__in=trial.twins))

    queryset = Specimen.objects.filter(pk__in=trial.keys).order_by("pk")
    queryset = queryset if loads_all else queryset.only(*declared, *loaded)
    records = list(writer.reading(queryset))
    sheets = writer.remember(records)
    for record, (_, wanted, _) in zip(records, rows, strict=True):
        setter(**wanted)(record)
    first = raws(Specimen)
    trial.meanwhile()
    second = raws(Specimen)
    outcome = writer.write(sheets)
    trial.save_twins(twins)
    third = raws(Specimen)

    seen = NAMES if loads_all else [*declared, *loaded]
    for (key, twin, (_, _, theirs)), wish in zip(
        trial.each(), trial.wishes, strict=True
    ):
        if theirs is not None and all(
            first[key][name] == second[key][name] for name in seen
        ):
            assert key not in outcome.conflicts
            assert third[key] == third[twin]
        else:
            assert third.get(key) == second.get(key)
            assert key in outcome.conflicts or first[key] == first[wish]
    told = outcome.changed + outcome.unchanged + len(outcome.conflicts)
    assert told == len(rows)
