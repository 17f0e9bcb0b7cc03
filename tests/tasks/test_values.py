"""Whatever goes into a row as JSON comes out of it as it was."""

import json
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.db import models
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries, Settings

from upkeep.exceptions import VanishedReference
from upkeep.tasks.uploads import StoredFile
from upkeep.tasks.values import TAGGED, canonical, from_json, show, to_json

zones = st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)))

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters()),  # lone surrogates and NUL, too
    st.decimals(allow_nan=False),
    st.datetimes(),
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=zones),  # noqa: DTZ001
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.binary(),
)
keys = st.text() | st.sampled_from(["$dict", "$file", "$models", "$", "pk"])
storable_keys = keys.filter(lambda key: "\x00" not in key)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(storable_keys, inner),
    max_leaves=10,
)


def through_a_row(value: Any) -> Any:
    """Store the value as text in UTF-8, as a database does, and read it again."""
    stored = json.dumps(to_json(value), allow_nan=False, ensure_ascii=False)
    return from_json(json.loads(stored.encode()))


def through_jsonb(value: Any) -> Any:
    """The same with a database that has opinions on numbers, as PostgreSQL has."""
    stored = json.dumps(to_json(value), allow_nan=False)
    return from_json(json.loads(stored, parse_float=as_jsonb_prints))


def as_jsonb_prints(text: str) -> Any:
    number = f"{Decimal(text):f}"
    return float(number) if "." in number else int(number)


class TestRoundTrip:
    @given(values)
    def test_every_value_comes_back_with_its_type(self, value: Any) -> None:
        again = through_a_row(value)
        assert again == value
        assert type(again) is type(value)

    @given(st.floats(allow_nan=False))
    def test_a_float_survives_a_database_that_rewrites_numbers(
        self, value: Any
    ) -> None:
        again = through_jsonb(value)
        assert repr(again) == repr(value)

    @given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=zones))  # noqa: DTZ001
    def test_an_aware_moment_is_the_same_moment_in_utc(self, value: Any) -> None:
        assert through_a_row(value).tzinfo is UTC
        assert through_a_row(value) == value

    def test_a_naive_moment_stays_naive(self) -> None:
        naive = datetime(2024, 3, 31, 2, 30)  # noqa: DTZ001
        assert through_a_row(naive).tzinfo is None

    def test_not_a_number_stays_what_it_is(self) -> None:
        assert to_json(math.nan) == {"$float": "nan"}
        assert math.isnan(through_a_row(math.nan))

    def test_a_dict_that_looks_like_a_tag_is_only_a_dict(self) -> None:
        assert to_json({"$uuid": "no"}) == {"$dict": {"$uuid": "no"}}

    @given(values)
    def test_everything_can_be_shown_in_a_line(self, value: Any) -> None:
        assert isinstance(show(to_json(value)), str)


class TestStandIns:
    def test_a_member_of_an_enum_is_stored_as_its_value(self) -> None:
        class Color(Enum):
            RED = Decimal(1)

        class Size(models.TextChoices):
            SMALL = "s"

        assert to_json(Color.RED) == {"$decimal": "1"}
        assert to_json(Size.SMALL) == "s"

    def test_a_lazy_text_is_stored_as_text(self) -> None:
        assert to_json(gettext_lazy("Yes")) == "Yes"

    def test_a_tuple_is_stored_as_a_list(self) -> None:
        assert to_json((1, date(2024, 1, 2))) == [1, {"$date": "2024-01-02"}]


class TestForms:
    """The forms lie in rows for years: they never change."""

    @pytest.mark.parametrize(
        ("value", "data"),
        [
            (Decimal("1.10"), {"$decimal": "1.10"}),
            (
                datetime(2024, 1, 2, 3, tzinfo=UTC),
                {"$datetime": "2024-01-02T03:00:00+00:00"},
            ),
            (time(3, 4), {"$time": "03:04:00"}),
            (timedelta(days=1), {"$timedelta": "P1DT00H00M00S"}),
            (
                UUID("12345678123456781234567812345678"),
                {"$uuid": "12345678-1234-5678-1234-567812345678"},
            ),
            (b"\xff", {"$bytes": "/w=="}),
            (memoryview(b"\xff"), {"$bytes": "/w=="}),
            (1e16, {"$float": "1e+16"}),
            (-0.0, {"$float": "-0.0"}),
            (1.5, 1.5),
            ("a\x00", {"$text": "a\\x00"}),
        ],
    )
    def test_form(self, value: Any, data: Any) -> None:
        assert to_json(value) == data

    def test_the_tags(self) -> None:
        assert set(TAGGED) == {
            *("$float", "$text", "$dict", "$decimal", "$datetime", "$date", "$time"),
            *("$timedelta", "$uuid", "$bytes", "$model", "$models", "$file"),
        }

    def test_a_file(self) -> None:
        stored = StoredFile(name="a.csv", storage_name="x/a.csv", size=3, sha256="ab")
        data = {"$file": "x/a.csv", "name": "a.csv", "size": 3, "sha256": "ab"}
        assert to_json(stored) == data
        assert to_json(from_json(data)) == data

    def test_the_canonical_text_knows_no_order_and_no_spaces(self) -> None:
        assert canonical({"b": [1, 2], "a": "é"}) == '{"a":"é","b":[1,2]}'


class TestRefusals:
    def test_a_type_that_cannot_be_stored_is_named(self) -> None:
        with pytest.raises(TypeError, match="type generator cannot be stored"):
            to_json([(n for n in range(3))])

    def test_the_keys_of_a_dict_must_be_text(self) -> None:
        with pytest.raises(TypeError, match="keys are text; 1 is not"):
            to_json({1: "a"})

    def test_an_unsaved_record_could_not_be_found_again(self) -> None:
        with pytest.raises(TypeError, match=r"auth\.Group is not saved"):
            to_json(Group(pk=3, name="a"))

    def test_a_tag_of_a_newer_version_is_named(self) -> None:
        with pytest.raises(ValueError, match=r"\$color"):
            from_json({"$color": "red"})


@pytest.mark.django_db
class TestReferences:
    def test_a_record_is_fetched_afresh(self) -> None:
        group = Group.objects.create(name="old")
        data = to_json(group)
        Group.objects.update(name="new")
        assert data == {"$model": "auth.group", "pk": group.pk}
        assert from_json(data).name == "new"

    def test_a_lazy_record_is_a_record(self) -> None:
        group = Group.objects.create(name="a")
        assert to_json(SimpleLazyObject(lambda: group))["$model"] == "auth.group"

    def test_a_list_of_records_is_a_list(self) -> None:
        groups = [Group.objects.create(name=name) for name in "ab"]
        assert from_json(to_json(groups)) == groups

    def test_a_queryset_is_the_records_it_has_now(self) -> None:
        first, second = (Group.objects.create(name=name) for name in "ab")
        data = to_json(Group.objects.order_by("-pk"))
        Group.objects.create(name="c")
        assert data["$models"] == "auth.group"
        assert sorted(data["pks"]) == [first.pk, second.pk]
        assert set(from_json(data)) == {first, second}

    def test_a_record_that_is_gone_is_named(self) -> None:
        group = Group.objects.create(name="a")
        data = to_json(group)
        group.delete()
        with pytest.raises(VanishedReference, match=rf"group .* key {data['pk']} "):
            from_json(data)

    def test_of_a_queryset_those_are_left_that_still_exist(self) -> None:
        first, second = (Group.objects.create(name=name) for name in "ab")
        data = to_json(Group.objects.all())
        first.delete()
        assert list(from_json(data)) == [second]

    def test_a_model_that_is_gone_is_named(self) -> None:
        with pytest.raises(VanishedReference, match=r"model auth\.gone no longer"):
            from_json({"$model": "auth.gone", "pk": 1})

    def test_another_database_is_a_part_of_the_reference(self) -> None:
        group = Group.objects.create(name="a")
        group._state.db = "other"
        assert to_json(group)["database"] == "other"
        data = {"$models": "auth.group", "pks": [], "database": "other"}
        assert from_json(data).db == "other"

    def test_a_replica_is_not(self, settings: Settings) -> None:
        """A replica may lag behind what a task is about to change."""
        settings.DATABASE_ROUTERS = [WritesToDefault()]
        group = Group.objects.create(name="a")
        group._state.db = "replica"
        assert "database" not in to_json(group)

    def test_they_are_shown_without_asking_the_database(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        data = to_json([Group.objects.create(name="a")])
        with django_assert_num_queries(0):
            assert show(data) == f"group {data[0]['pk']}"
            assert show({"$model": "auth.gone", "pk": 1}) == "auth.gone 1"


class WritesToDefault:
    def db_for_write(self, model: Any, **hints: Any) -> Any:
        return "default"


class TestShow:
    @pytest.mark.parametrize("text", ["a\ud800", "\x00", {"deep": ["\udfff"]}])
    def test_what_is_shown_can_be_sent(self, text: Any) -> None:
        show(to_json(text)).encode()

    @pytest.mark.parametrize(
        ("value", "line"),
        [
            (None, "–"),
            (True, "Yes"),
            (3, "3"),
            (["a", Decimal("1.5")], "a, 1.5"),
            ({"a": 1, "b": None}, "a: 1, b: –"),
            ({"$a": 1}, "$a: 1"),
            (b"abc", "3\xa0bytes"),
            (timedelta(days=1, seconds=5), "1 day, 0:00:05"),
            (datetime(2024, 1, 2, 3, tzinfo=UTC), "2024-01-02 04:00:00+01:00"),
            (
                StoredFile(name="a.csv", storage_name="x/y", size=2048, sha256=""),
                "a.csv (2.0\xa0KB)",
            ),
        ],
    )
    def test_line(self, value: Any, line: str, settings: Settings) -> None:
        settings.TIME_ZONE = "Europe/Berlin"
        assert show(to_json(value)) == line
