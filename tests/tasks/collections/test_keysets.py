"""Which columns a walk may go by, and in which order."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.db.models import Avg, Count, ExpressionWrapper, F, Max, Q, QuerySet
from django.db.models.functions import (
    MD5,
    Cast,
    Coalesce,
    JSONObject,
    Lower,
    Now,
    TruncDate,
    TruncDay,
    TruncHour,
)
from django.test.utils import isolate_apps

from tests.tasks.collections.walks import stored, walk
from tests.testapp.models import Country, Item, Reading, Seat
from upkeep import Batches
from upkeep.exceptions import CursorMismatch, InvalidCollection
from upkeep.tasks.collections import Collection, collect
from upkeep.tasks.collections.querysets import RecordsCollection


def walked(value: Any, *fields: str, **options: Any) -> Collection[Any]:
    return collect(value, alias="default", cursor_fields=fields or None, **options)


def spelled(collection: Collection[Any]) -> list[str]:
    assert isinstance(collection, RecordsCollection)
    return collection.keyset.spelled


class TestColumns:
    """The primary key is appended where it is missing, column by column."""

    @pytest.mark.parametrize(
        ("queryset", "fields", "columns"),
        [
            (Item.objects.all(), (), ["id"]),
            (Item.objects.all(), ("-pk",), ["-id"]),
            (Item.objects.all(), ("n",), ["n", "id"]),
            (Item.objects.all(), ("-n", "-id"), ["-n", "-id"]),
            (Item.objects.order_by("n"), ("n",), ["n", "id"]),
            (Item.objects.order_by("n", "pk"), ("n",), ["n", "id"]),
            (Seat.objects.all(), (), ["row", "number"]),
            (Seat.objects.all(), ("-pk",), ["-row", "-number"]),
            (Seat.objects.all(), ("number",), ["number", "row"]),
            (Reading.objects.all(), ("country",), ["country_id", "id"]),
            (Reading.objects.all(), ("country__pk",), ["country__pk", "id"]),
        ],
    )
    def test_end_with_the_key(
        self, queryset: Any, fields: tuple[str, ...], columns: list[str]
    ) -> None:
        assert spelled(walked(queryset, *fields)) == columns

    @pytest.mark.parametrize(
        ("queryset", "field", "sentence"),
        [
            (Item.objects.all(), "nn", r"'nn', but testapp\.Item .* id, n, name"),
            (Item.objects.all(), "", "no such field"),
            (Item.objects.all(), "n__gt", "no such field"),
            (Item.objects.all(), "?", "no such field"),
            (Group.objects.all(), "permissions", r"to many rows.*Max"),
            (Group.objects.all(), "permissions__codename", "to many rows"),
            (ContentType.objects.all(), "permission", "to many rows"),
            (Item.objects.order_by("-n"), "n", r"by n, id: .*\('-n',\)"),
            (Item.objects.order_by(F("n")), "n", "leave the ordering out"),
            (Item.objects.order_by("n").reverse(), "n", "leave the ordering out"),
        ],
    )
    def test_that_are_none_are_refused(
        self, queryset: Any, field: str, sentence: str
    ) -> None:
        with pytest.raises(InvalidCollection, match=sentence):
            walked(queryset, field)

    @isolate_apps("tests.testapp")
    def test_of_json_are_refused(self) -> None:
        class Note(models.Model):
            data = models.JSONField()

            class Meta:
                app_label = "testapp"

            def __str__(self) -> str:
                return str(self.data)

        with pytest.raises(InvalidCollection, match="a JSONField"):
            walked(Note._default_manager.all(), "data")

    @isolate_apps("tests.testapp")
    def test_that_sqlite_would_round_are_refused_there(self) -> None:
        class Price(models.Model):
            amount = models.DecimalField(max_digits=20, decimal_places=10)

            class Meta:
                app_label = "testapp"

            def __str__(self) -> str:
                return str(self.amount)

        queryset = Price._default_manager.all()
        if connection.vendor == "sqlite":
            with pytest.raises(InvalidCollection, match="more than 15 digits"):
                walked(queryset, "amount")
        else:
            walked(queryset, "amount")

    @pytest.mark.parametrize(
        ("value", "sentence"),
        [
            (JSONObject(n="number"), "a JSONField"),
            (TruncDay("moment"), r"cut off in another time zone .* TruncDate"),
            (Coalesce(TruncHour("moment"), Now()), "cut off in another time zone"),
        ],
    )
    def test_that_are_computed_and_compared_otherwise_are_refused(
        self, value: Any, sentence: str
    ) -> None:
        with pytest.raises(InvalidCollection, match=sentence):
            walked(Reading.objects.annotate(x=value), "x")

    def test_of_a_moment_cut_off_where_it_is_compared_are_walked(self) -> None:
        walked(Reading.objects.annotate(x=TruncDay("moment", tzinfo=UTC)), "x")

    @pytest.mark.parametrize("value", [[1, 2], range(3)])
    @pytest.mark.parametrize("options", [{"cursor_fields": ["n"]}, {"bounded": True}])
    def test_are_for_records_alone(self, value: Any, options: dict[str, Any]) -> None:
        with pytest.raises(InvalidCollection, match="are for QuerySets and Batches"):
            collect(value, alias="default", **options)


@pytest.mark.django_db
class TestWalk:
    """Records come in the order of the columns, each once."""

    def test_by_a_related_column(self) -> None:
        codes = ["de", "at", "ch"]
        Country.objects.bulk_create(Country(code=code) for code in codes)
        Reading.objects.bulk_create(
            Reading(number=n, country_id=codes[n % 3]) for n in range(7)
        )
        Reading.objects.create(number=7)
        done = list(walk(walked(Reading.objects.all(), "-country__code", "-number"), 2))
        with_country = [each.number for each in done if each.country_id]
        assert with_country == [6, 3, 0, 5, 2, 4, 1]
        assert {each.number for each in done} == set(range(8))

    def test_by_an_annotation(self) -> None:
        Item.objects.bulk_create(Item(name=name) for name in ["b", "A", "c", "B"])
        queryset = Item.objects.annotate(low=Lower("name"))
        done = [item.name for item in walk(walked(queryset, "low"), 1)]
        assert done == ["A", "b", "B", "c"]

    def test_by_what_is_gathered_over_rows_of_many(self) -> None:
        users = [User.objects.create(username=name) for name in "abc"]
        for user, number in zip(users, [2, 0, 1], strict=True):
            for n in range(number):
                user.groups.add(Group.objects.create(name=f"{user}{n}"))
        queryset = User.objects.annotate(number=Count("groups"), top=Max("groups"))
        done = [user.username for user in walk(walked(queryset, "-number"), 1)]
        assert done == ["a", "c", "b"]

    @pytest.mark.parametrize(
        "value",
        [
            F("price") / 3,
            ExpressionWrapper(
                F("price") / 3, models.DecimalField(max_digits=9, decimal_places=2)
            ),
            Cast(F("price") / 3, models.FloatField()),
            MD5("text"),
            F("number") / 2,
            TruncHour("moment"),
            TruncDate("moment"),
            Q(number__gt=2),
            Count("country__reading"),
            Avg("country__reading__price"),
        ],
    )
    @pytest.mark.parametrize("fields", [("x",), ("-x",), ("flag", "x")])
    @pytest.mark.parametrize("kind", [QuerySet, Batches])
    def test_by_what_is_computed_takes_in_all_or_is_refused(
        self, value: Any, fields: tuple[str, ...], kind: Any
    ) -> None:
        countries = [Country.objects.create(code=code) for code in ("at", "de")]
        for n in range(9):
            Reading.objects.create(
                number=n % 5,
                text="ab"[n % 2] * n,
                price=Decimal(n) / 10,
                moment=datetime(2025, 3, 30, n % 3, 30, tzinfo=UTC),
                flag=bool(n % 2),
                country=countries[n % 2],
            )
        queryset = Reading.objects.annotate(x=value)
        try:
            done = list(
                walk(
                    walked(
                        queryset.all() if kind is QuerySet else Batches(queryset, 2),
                        *fields,
                    ),
                    2,
                )
            )
        except InvalidCollection:
            return
        keys = [each.pk for each in (done if kind is QuerySet else chain(*done))]
        assert sorted(keys) == list(
            Reading.objects.order_by("pk").values_list("pk", flat=True)
        )

    def test_a_place_that_is_computed_is_found_again_or_refused(self) -> None:
        Reading.objects.bulk_create(Reading(number=n % 4) for n in range(9))

        class Rounded(models.Func):
            """The half of a number, which its type rounds for Python alone."""

            template = "(%(expressions)s * 0.5)"
            output_field = models.IntegerField()

        halves = walked(Reading.objects.annotate(x=Rounded("number")), "x")
        with pytest.raises(InvalidCollection, match="cannot find its place again"):
            list(walk(halves, 5))

    def test_a_row_that_others_change_in_the_same_instant_is_no_refusal(self) -> None:
        Item.objects.bulk_create(Item(name="a") for n in range(3))
        collection = walked(Item.objects.annotate(low=Lower("name")), "low")
        assert isinstance(collection, RecordsCollection)
        last = Item.objects.latest("pk")
        collection.check_place(["a", last.pk])
        Item.objects.update(name="b")
        collection.check_place(["a", last.pk])
        last.delete()
        collection.check_place(["a", last.pk or 0])

    def test_by_a_column_that_the_records_leave_out(self) -> None:
        Item.objects.bulk_create(Item(n=-n, name="x") for n in range(5))
        for queryset in (Item.objects.only("name"), Item.objects.defer("n")):
            done = list(walk(walked(queryset, "n"), 2))
            assert [item.pk for item in done] == sorted(
                (item.pk for item in done), reverse=True
            )
            assert all("n" in item.get_deferred_fields() for item in done)

    def test_with_locks_on_the_rows(self) -> None:
        Item.objects.bulk_create(Item(n=n) for n in range(5))
        queryset = Item.objects.select_for_update().order_by("-n")
        assert len(list(walk(walked(queryset, "-n"), 2))) == 5

    @pytest.mark.parametrize("kind", [QuerySet, Batches])
    @pytest.mark.parametrize("bounded", [False, True])
    @pytest.mark.parametrize("fields", [(), ("country__code",)])
    def test_with_locks_on_the_rows_of_some_tables(
        self, kind: Any, bounded: bool, fields: tuple[str, ...]
    ) -> None:
        country = Country.objects.create(code="at")
        Reading.objects.bulk_create(Reading(country=country) for _ in range(5))
        tables = (
            ("self", "country") if connection.features.has_select_for_update_of else ()
        )
        queryset = (
            Reading.objects.filter(country__isnull=False)
            .select_related("country")
            .select_for_update(of=tables)
        )
        value = queryset if kind is QuerySet else Batches(queryset, 2)
        done = list(walk(walked(value, *fields, bounded=bounded), 2))
        assert len(done if kind is QuerySet else list(chain(*done))) == 5

    def test_a_place_is_found_again_though_others_are_gone(self) -> None:
        Item.objects.bulk_create(Item(n=n) for n in [1, 1, 1, 2])
        page = walked(Item.objects.all(), "n").page(None, 2)
        cursor = stored(page.cursor_after(1))
        Item.objects.filter(pk__in=[item.pk for item in page.items]).delete()
        rest = walked(Item.objects.all(), "n").page(cursor, 10)
        assert [item.n for item in rest.items] == [1, 2]


@pytest.mark.django_db
class TestBounds:
    """A bounded walk ends where the records ended when it began."""

    def feed(self, **options: Any) -> int:
        """Walk over items each of which makes another one, and count them."""
        Item.objects.bulk_create(Item(n=n, name="first") for n in range(5))
        done = 0
        for item in walk(walked(Item.objects.all(), **options), 2):
            done += 1
            if done < 50:
                Item.objects.create(n=item.n + 5, name="then")
        return done

    def test_rows_that_come_meanwhile_are_left_out(self) -> None:
        assert self.feed(bounded=True) == 5

    def test_without_they_are_walked_too(self) -> None:
        assert self.feed() > 5

    def test_by_another_column_up_to_its_last_value(self) -> None:
        Item.objects.bulk_create(Item(n=n) for n in [1, 2, 3])
        collection = walked(Item.objects.all(), "n", bounded=True)
        page = collection.page(None, 1)
        Item.objects.bulk_create(Item(n=n) for n in [3, 4])
        cursor = stored(page.cursor_after(0))
        again = walked(Item.objects.all(), "n", bounded=True)
        rest = again.page(cursor, 10)
        assert [item.n for item in rest.items] == [2, 3, 3]

    def test_of_nothing_ends_at_once(self) -> None:
        assert list(walk(walked(Item.objects.all(), bounded=True))) == []


class TestDeploys:
    """A cursor of another order or collection is found out."""

    @pytest.mark.parametrize("fields", [("n",), ("-pk",), ("n", "name")])
    def test_another_order_is_refused(self, fields: tuple[str, ...]) -> None:
        cursor = {
            "kind": "queryset",
            "model": "testapp.Item",
            "fields": ["name", "id"],
            "values": ["x", 1],
        }
        with pytest.raises(CursorMismatch, match=r"walk by name, id, .*cursor_fields"):
            walked(Item.objects.all(), *fields).page(cursor, 10)

    def test_a_value_that_cannot_be_kept_is_named(self) -> None:
        collection = walked(Item.objects.all(), "n")
        assert isinstance(collection, RecordsCollection)
        with pytest.raises(InvalidCollection, match=r"by n, id .*complex cannot be"):
            collection.cursor([1j, 1], None)
