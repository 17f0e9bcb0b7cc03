"""Each type of column is written as save() would, and recognized by its bytes."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.execution.updates.pages import raw, setter, work
from tests.testapp.models import Country, Document, Item, Specimen
from upkeep.execution.updates import Outcome

pytestmark = pytest.mark.django_db

ONE, TWO = UUID(int=0xAB << 120 | 1), UUID(int=2)
EAST = timezone(timedelta(hours=5, minutes=30))

# Of each field: what it may be, one after the other.
VALUES: dict[str, list[Any]] = {
    "integer": [0, 1, -5, 2_147_483_647],
    "big": [0, 2**62 + 1, -(2**63)],
    "small": [0, 1, 32_767],
    "flag": [True, False],
    "char": ["", "abc", "ABC", "abc ", "âbc", "a%sb", "it's", "a\\b", "日本 🎈"],
    "text": ["", "\n\t", "x" * 5_000, '{"json": 1}'],
    "slug": ["", "a-b"],
    "decimal": [
        Decimal(0),
        Decimal("1.5"),
        Decimal("-12345678901234567890.1234567891"),
        Decimal("12345678901234567890.1234567892"),
    ],
    "real": [0.0, -1.5, 0.1, 1e300, 5e-324, 1.0000000000000002, 123456789.123],
    "moment": [
        datetime(2024, 2, 29, 12, 0, tzinfo=UTC),
        datetime(2024, 10, 27, 2, 30, 0, 7, tzinfo=EAST),
        datetime(1000, 1, 1, tzinfo=UTC),
    ],
    "day": [date(2024, 2, 29), date(1000, 1, 1), date(9999, 12, 31)],
    "clock": [time(0, 0), time(23, 59, 59, 999_999), time(12, 0, 0, 1)],
    "lasting": [timedelta(0), timedelta(days=-3, microseconds=1), timedelta(days=31)],
    "code": [ONE, TWO],
    "blob": [b"", b"\x00\xff", b"'\\%s", bytearray(b"\x01"), memoryview(b"ab")],
    "address": ["10.0.0.1", "::1", "2001:db8::ff00:42:8329"],
    "document": [
        {},
        [],
        {"a": [1, 2.5, None, True], "b": {"é": "'\\%s"}},
        [1],
        [1.0],
        [True],
        "text",
        0,
        False,
    ],
    "file": ["a.txt", "folder/b.txt"],
    "cipher": [{"a": 1}, [1, 2], "text"],
    "lower": ["abc", "ABC"],
    "owner_id": [1, 2],
    "country_id": ["de", "fr"],
    "paper_id": [ONE, TWO],
}
STEPS = [
    (field, before, after)
    for field, values in VALUES.items()
    for before, after in zip([None, *values], [*values, None], strict=True)
]


@pytest.fixture(autouse=True)
def others() -> None:
    """Have rows to refer to."""
    Item.objects.bulk_create([Item(pk=1), Item(pk=2)])
    Country.objects.bulk_create([Country(code="de"), Country(code="fr")])
    Document.objects.bulk_create([Document(pk=ONE), Document(pk=TWO)])


class TestEachType:
    @pytest.mark.parametrize(("field", "before", "after"), STEPS)
    def test_is_written_as_save_does(self, field: str, before: Any, after: Any) -> None:
        specimen = Specimen.objects.create(**{field: before})
        twin = Specimen.objects.create(**{field: before})
        outcome = work(
            Specimen.objects.filter(pk=specimen.pk),
            field.removesuffix("_id"),
            process=setter(**{field: after}),
        )
        setattr(twin, field, after)
        twin.save(update_fields=[field])
        assert outcome == Outcome(changed=1, unchanged=0, conflicts=[])
        if field == "cipher":
            assert Specimen.objects.get(pk=specimen.pk).cipher == after
        else:
            assert raw(Specimen, specimen.pk, field) == raw(Specimen, twin.pk, field)

    @pytest.mark.parametrize(("field", "value", "_"), STEPS)
    def test_is_unchanged_when_it_is_set_to_what_it_was(
        self, field: str, value: Any, _: Any
    ) -> None:
        Specimen.objects.create(**{field: value})
        again = Specimen.objects.values_list(field, flat=True).get()
        outcome = work(
            Specimen.objects.all(),
            field.removesuffix("_id"),
            process=setter(**{field: again}),
        )
        assert outcome == Outcome(changed=0, unchanged=1, conflicts=[])

    @pytest.mark.parametrize(("field", "before", "after"), STEPS)
    def test_is_not_overwritten_if_somebody_else_changed_it(
        self, field: str, before: Any, after: Any
    ) -> None:
        specimen = Specimen.objects.create(**{field: before})

        def meanwhile() -> None:
            setattr(specimen, field, after)
            specimen.save(update_fields=[field])

        outcome = work(
            Specimen.objects.all(),
            "integer",
            process=setter(integer=77),
            meanwhile=meanwhile,
        )
        assert outcome == Outcome(changed=0, unchanged=0, conflicts=[specimen.pk])
        specimen.refresh_from_db()
        assert specimen.integer != 77

    @pytest.mark.parametrize("field", VALUES)
    def test_of_many_records_are_written_together(self, field: str) -> None:
        values = [None, *VALUES[field]]
        made = Specimen.objects.bulk_create(
            Specimen(**{field: value}) for value in values
        )
        turned = dict(zip([each.pk for each in made], [*values[1:], None], strict=True))
        outcome = work(
            Specimen.objects.all(),
            field.removesuffix("_id"),
            process=lambda record: setattr(record, field, turned[record.pk]),
        )
        assert outcome == Outcome(changed=len(values), unchanged=0, conflicts=[])
        twins = Specimen.objects.bulk_create(
            Specimen(**{field: value}) for value in turned.values()
        )
        if field != "cipher":
            for pk, twin in zip(turned, twins, strict=True):
                assert raw(Specimen, pk, field) == raw(Specimen, twin.pk, field)
