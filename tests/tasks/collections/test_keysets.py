"""Which columns a walk may go by, and in which order."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.db.models import Count, F, Max
from django.db.models.functions import Lower
from django.test.utils import isolate_apps

from tests.tasks.collections.walks import stored, walk
from tests.testapp.models import Country, Item, Reading, Seat
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
