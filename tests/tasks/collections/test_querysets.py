"""QuerySets, walked by primary key."""

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection, models
from django.db.models import Count, F, Window
from django.db.models.functions import Lower, RowNumber
from django.test.utils import CaptureQueriesContext, isolate_apps
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from tests.tasks.collections.walks import STEPS, Step, interrupted_walk, walk
from tests.testapp.models import Country, Document, Item, Note, Reading
from upkeep.exceptions import CursorMismatch, InvalidCollection
from upkeep.tasks.collections import Collection, collect, querysets

FEWER = settings(max_examples=40, deadline=None)

# Plain letters: what else is equal or greater is for each database to say.
CODES = st.text("abcdefghij", min_size=1, max_size=5)


def items(number: int) -> list[Item]:
    return Item.objects.bulk_create(Item(n=n) for n in range(number))


def walked(value: Any) -> Collection[Any]:
    return collect(value, alias="default")


@pytest.mark.django_db
class TestWalk:
    """Every record once, in the order of keys, wherever the walk is stopped."""

    # Each example begins by emptying the table: they share one transaction.

    @FEWER
    @given(number=st.integers(0, 25), steps=STEPS)
    def test_by_integer(self, number: int, steps: list[Step]) -> None:
        Item.objects.all().delete()
        keys = [item.pk for item in items(number)]
        done = interrupted_walk(lambda: walked(Item.objects.all()), steps)
        assert [item.pk for item in done] == keys

    @FEWER
    @given(keys=st.sets(st.uuids(version=4), max_size=25), steps=STEPS)
    def test_by_uuid(self, keys: set[uuid.UUID], steps: list[Step]) -> None:
        Document.objects.all().delete()
        Document.objects.bulk_create(Document(pk=key) for key in keys)
        done = interrupted_walk(lambda: walked(Document.objects.all()), steps)
        assert sorted(document.pk for document in done) == sorted(keys)

    @FEWER
    @given(keys=st.sets(CODES, max_size=25), steps=STEPS)
    def test_by_text(self, keys: set[str], steps: list[Step]) -> None:
        Country.objects.all().delete()
        Country.objects.bulk_create(Country(pk=key) for key in keys)
        done = interrupted_walk(lambda: walked(Country.objects.all()), steps)
        assert [country.pk for country in done] == sorted(keys)

    def test_stays_within_the_filter(self) -> None:
        items(10)
        done = walk(walked(Item.objects.filter(n__gte=4).exclude(n=7)), 2)
        assert [item.n for item in done] == [4, 5, 6, 8, 9]

    def test_of_annotated_and_deferred_records(self) -> None:
        items(3)
        queryset = Item.objects.annotate(times=Count("pk")).only("name")
        assert [item.times for item in walk(walked(queryset), 2)] == [1, 1, 1]

    def test_of_nothing(self) -> None:
        items(3)
        assert list(walk(walked(Item.objects.none()))) == []

    def test_costs_one_query_a_page(self) -> None:
        items(10)
        collection = walked(Item.objects.all())
        with CaptureQueriesContext(connection) as queries:
            assert len(list(walk(collection, 4))) == 10
        assert len(queries) == 3

    def test_counts_by_the_database(self) -> None:
        items(5)
        assert walked(Item.objects.filter(n__lt=3)).count() == 3


@pytest.mark.django_db
class TestChangesOnTheWay:
    """What a task does to its records moves nobody else's place."""

    def test_deleted_records_keep_the_place(self) -> None:
        items(6)
        collection = walked(Item.objects.all())
        page = collection.page(None, 3)
        for item in page.items:
            item.delete()
        following = collection.page(page.cursor_after(2), 3)
        assert [item.n for item in following.items] == [3, 4, 5]

    def test_records_that_are_copied_keep_the_place(self) -> None:
        """Setting `pk = None` and saving is Django's way to copy a record."""
        items(4)
        collection = walked(Item.objects.filter(n__lt=10))
        page = collection.page(None, 2)
        for item in page.items:
            item.pk = None
            item.n += 100
            item.save()
        following = collection.page(page.cursor_after(1), 10)
        assert [item.n for item in following.items] == [2, 3]

    def test_records_that_leave_the_filter_are_no_loss(self) -> None:
        items(6)
        collection = walked(Item.objects.filter(name=""))
        for item in walk(collection, 2):
            Item.objects.filter(pk=item.pk).update(name="done")
        assert Item.objects.filter(name="done").count() == 6


class TestOrder:
    """The primary key orders the walk, whatever the model says."""

    @pytest.mark.parametrize("order", ["pk", "id"])
    def test_by_key_may_be_said(self, order: str) -> None:
        walked(Item.objects.order_by(order))

    @isolate_apps("tests.testapp")
    def test_of_the_model_plays_no_part(self) -> None:
        class Ordered(models.Model):
            n = models.IntegerField()

            class Meta:
                app_label = "testapp"
                ordering = ["-n"]

            def __str__(self) -> str:
                return str(self.n)

        collection = walked(Ordered._default_manager.all())
        assert 'ORDER BY "testapp_ordered"."id" ASC' in str(
            collection.records.query  # type: ignore[attr-defined]
        ).replace("`", '"')


class TestRefusals:
    """What cannot be walked by key is refused in one sentence with a way out."""

    @pytest.mark.parametrize(
        ("queryset", "sentence"),
        [
            (Item.objects.all()[:5], "is sliced: filter it instead"),
            (Item.objects.distinct(), r"is distinct\(\): .*Exists"),
            (Item.objects.all().union(Item.objects.all()), "is combined by union"),
            (
                Item.objects.order_by("n"),
                r"is ordered, but .* by id: leave .* cursor_fields = \('n',\)",
            ),
            (
                Item.objects.select_for_update(skip_locked=True),
                "leaves out rows that others have locked, .*skip_locked",
            ),
            (Item.objects.order_by("-pk"), "is ordered"),
            (Item.objects.order_by("?"), "is ordered"),
            (Item.objects.reverse(), "is ordered"),
            (Item.objects.extra(order_by=["n"]), "is ordered"),
            (Item.objects.values("n"), r"gives values\(\) instead of records"),
            (Item.objects.values_list("pk"), r".*only\(…\)"),
            (Item.objects.using("replica"), "reads from .*'replica'.*'default'"),
        ],
    )
    def test_name_the_model_and_say_what_to_write(
        self, queryset: Any, sentence: str
    ) -> None:
        with pytest.raises(InvalidCollection, match=f"testapp.Item {sentence}"):
            walked(queryset)

    def test_of_a_cursor_by_other_fields(self) -> None:
        cursor = {"kind": "queryset", "fields": ["code"], "values": ["de"]}
        with pytest.raises(CursorMismatch, match=r"by code, .*testapp\.Item .*by id"):
            walked(Item.objects.all()).page(cursor, 10)

    def test_of_a_cursor_over_another_model(self) -> None:
        cursor = {
            "kind": "queryset",
            "model": "blog.Post",
            "fields": ["id"],
            "values": [7],
        }
        with pytest.raises(CursorMismatch, match=r"over blog\.Post, .*testapp\.Item"):
            walked(Item.objects.all()).page(cursor, 10)

    def test_not_of_a_proxy_which_has_the_same_records(self) -> None:
        cursor = walked(Item.objects.all()).cursor(7, None)  # type: ignore[attr-defined]

        class Proxy(Item):
            class Meta:
                app_label = "testapp"
                proxy = True

            def __str__(self) -> str:
                return "a proxy"

        records = walked(Proxy._default_manager.all()).after(cursor, None)  # type: ignore[attr-defined]
        assert [each.model for each in records] == [Proxy]

    def test_of_a_model_that_is_routed_elsewhere(self, settings: Settings) -> None:
        settings.DATABASE_ROUTERS = [f"{__name__}.ItemsElsewhere"]
        with pytest.raises(InvalidCollection, match="'elsewhere', as DATABASE_ROUTERS"):
            walked(Item.objects.all())
        walked(Item.objects.using("default"))

    def test_not_of_a_task_that_works_elsewhere_itself(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.DATABASE_ROUTERS = [f"{__name__}.ItemsElsewhere"]
        monkeypatch.setattr(querysets, "home", lambda: "the one of the runs")
        walked(Item.objects.all())


class TestJoins:
    """A record that comes once for each row of a join would be processed as often."""

    @pytest.mark.parametrize(
        "queryset",
        [
            Group.objects.filter(permissions__codename__startswith="a"),
            Group.objects.annotate(codename=F("permissions__codename")),
            Permission.objects.filter(group__name="a"),
            User.objects.filter(groups__permissions__codename="a"),
            Group.objects.annotate(n=Count("user"), c=F("permissions__codename")),
            Group.objects.annotate(
                n=Count("user"), c=Lower("permissions__content_type__model")
            ),
        ],
    )
    def test_to_many_are_refused(self, queryset: Any) -> None:
        with pytest.raises(
            InvalidCollection, match=r"joins a relation to many.*Exists"
        ):
            walked(queryset)

    @pytest.mark.parametrize(
        "queryset",
        [
            Group.objects.filter(pk__in=Group.objects.filter(permissions__id=1)),
            Group.objects.exclude(permissions__codename="a"),
            Group.objects.annotate(number=Count("permissions")),
            Group.objects.annotate(n=Count("user")).filter(permissions__codename="a"),
            Permission.objects.annotate(n=Count("user"), m=F("content_type__model")),
            Permission.objects.filter(content_type__app_label="auth"),
            Permission.objects.select_related("content_type"),
            Group.objects.prefetch_related("permissions"),
        ],
    )
    def test_to_one_and_none_are_walked(self, queryset: Any) -> None:
        walked(queryset)


class TestWeight:
    """A page holds as many records as weigh two megabytes, whatever is large there."""

    @pytest.mark.parametrize(
        "large",
        [
            "x" * 100_000,
            b"x" * 100_000,
            memoryview(b"x" * 100_000),
            {"deep": [{"text": "x" * 100_000}]},
            list(range(12_500)),
        ],
        ids=["text", "bytes", "memory", "JSON", "numbers"],
    )
    def test_is_that_of_values(self, large: Any) -> None:
        records = [Note(text="") for _ in range(30)]
        for record in records:
            vars(record)["value"] = large
        assert querysets.fitting(records) == 20

    def test_of_what_is_nested_deeply_is_known_too(self) -> None:
        deep: Any = []
        for _ in range(5_000):
            deep = [deep]
        record = Note(text="")
        vars(record)["value"] = deep
        assert querysets.fitting([record])

    @pytest.mark.django_db
    def test_is_that_of_what_is_fetched_with_them(self) -> None:
        country = Country.objects.create(code="at")
        readings = [Reading(country=country) for _ in range(200)]
        Reading.objects.bulk_create(readings)
        alone, together = (
            querysets.fitting(list(queryset)) or 0
            for queryset in (
                Reading.objects.all(),
                Reading.objects.select_related("country"),
            )
        )
        assert together < alone
        with_all = Country.objects.prefetch_related("reading_set")
        assert (querysets.fitting(list(with_all)) or 0) < alone / 100

    def test_of_a_record_that_many_refer_to_counts_once(self) -> None:
        country = Country(code="x" * 200_000)
        readings = [Reading(country=country) for _ in range(20)]
        vars(country)["text"] = "x" * 200_000
        for reading in readings:
            reading.country_id = "at"
        assert (querysets.fitting(readings) or 0) > 50


class TestWindows:
    """A window sees the rows of one page alone, so what it says there is wrong."""

    number = Window(RowNumber(), partition_by="name", order_by="pk")

    @pytest.mark.parametrize(
        "queryset",
        [
            Item.objects.annotate(number=number),
            Item.objects.annotate(number=number).filter(number__gt=1),
            Item.objects.annotate(number=number + 1),
            Item.objects.alias(number=number).filter(number__gt=1),
        ],
    )
    def test_are_refused(self, queryset: Any) -> None:
        with pytest.raises(InvalidCollection, match=r"window function.*pk__in"):
            walked(queryset)

    @pytest.mark.django_db
    def test_in_a_query_of_their_own_see_all(self) -> None:
        Item.objects.bulk_create(Item(name=name) for name in "aabab")
        repeated = Item.objects.annotate(number=self.number).filter(number__gt=1)
        items = Item.objects.filter(pk__in=repeated.values("pk"))
        assert [each.name for each in walk(walked(items), 1)] == ["a", "a", "b"]


class ItemsElsewhere:
    """A router that has the items in a database of their own."""

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str | None:
        return "elsewhere" if model is Item else None
