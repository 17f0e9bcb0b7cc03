"""How parameters are asked for: in forms of ISO, and without a million choices."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django import forms
from django.contrib.admin.widgets import AdminDateWidget, AdminSplitDateTime
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from pytest_django import Settings

from tests.management.commands import upkeep
from tests.testapp.maintenance import Numbers
from tests.testapp.models import Country, Item
from tests.web.conftest import Know
from tests.web.visits import JSON, SEE, START, Markup, markup, text, to, visitor
from upkeep import Task
from upkeep.forms import CSVField
from upkeep.runs.models import Run
from upkeep.web import inputs

pytestmark = pytest.mark.django_db

Make = Callable[..., str]

MOMENT = dt.datetime(2025, 2, 1, 9, 30, tzinfo=dt.UTC)
GERMAN_IN_LA = {"Accept-Language": "de", "X-Zone": "America/Los_Angeles"}


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.middleware.locale.LocaleMiddleware",
        "tests.web.visits.in_zone_of_person",
    ]
    with translation.override(None):  # The middleware leaves its language behind.
        yield visitor(SEE, START, headers=GERMAN_IN_LA)


@pytest.fixture
def address(known: Know[type[Task]]) -> Make:
    """Return what makes a task of a field, `it`, and gives the address of its page."""

    def make(field: forms.Field, **attributes: Any) -> str:
        members = {"it": field, "__module__": __name__, "__qualname__": "<locals>.One"}
        task = known(type("One", (Numbers,), members | attributes))
        return to("task", task.label())

    return make


def asked(page: Markup, name: str = "it") -> tuple[str, str | None]:
    (box,) = page.named(name)
    return box["type"], box.get("value")


class TestDatesAndTimes:
    @pytest.mark.parametrize(
        ("field", "shown"),
        [
            (forms.DateField(initial=dt.date(2025, 2, 1)), ("date", "2025-02-01")),
            (forms.TimeField(initial=dt.time(9, 30)), ("time", "09:30:00")),
            (
                forms.DateTimeField(initial=MOMENT),
                ("datetime-local", "2025-02-01T10:30:00"),
            ),
            (
                forms.DateTimeField(initial=lambda: MOMENT),
                ("datetime-local", "2025-02-01T10:30:00"),
            ),
            (
                forms.DateField(
                    initial=dt.date(2025, 2, 1), input_formats=["%d.%m.%Y"]
                ),
                ("text", "01.02.2025"),
            ),
            (
                forms.DateField(
                    initial=dt.date(2025, 2, 1), widget=forms.DateInput(format="%x")
                ),
                ("date", "2025-02-01"),
            ),
            (
                forms.DateField(initial=dt.date(2025, 2, 1), widget=AdminDateWidget),
                ("text", "2025-02-01"),
            ),
        ],
    )
    def test_are_asked_for_by_the_browser_in_the_projects_terms(
        self,
        client: Client,
        address: Make,
        field: forms.Field,
        shown: tuple[str, str],
    ) -> None:
        url = address(field)
        assert asked(markup(client.get(url))) == shown
        assert client.post(url, {"it": shown[1]}).status_code == 302

    @pytest.mark.parametrize("widget", [None, AdminSplitDateTime])
    def test_in_two_parts_likewise(
        self, client: Client, address: Make, widget: Any
    ) -> None:
        url = address(forms.SplitDateTimeField(initial=MOMENT, widget=widget))
        page = markup(client.get(url))
        assert asked(page, "it_0")[1] == "2025-02-01"
        assert asked(page, "it_1")[1] == "10:30:00"
        if widget is None:
            assert [asked(page, f"it_{n}")[0] for n in (0, 1)] == ["date", "time"]

    def test_come_back_as_they_were_read(self, client: Client, address: Make) -> None:
        """A form that comes back with an error, or an address, may have any text."""
        url = address(forms.DateField(), n=forms.IntegerField())
        page = markup(client.post(url, {"it": "01/02/2025", "n": "x"}))
        assert asked(page) == ("date", "2025-01-02")
        page = markup(client.get(url, {"it": "01/02/2025"}))
        assert asked(page) == ("date", "2025-01-02")

    def test_that_are_none_can_be_seen_and_corrected(
        self, client: Client, address: Make
    ) -> None:
        url = address(forms.DateTimeField())
        page = markup(client.post(url, {"it": "some day"}))
        assert asked(page) == ("text", "some day")
        url = address(forms.SplitDateTimeField())
        page = markup(client.post(url, {"it_0": "some day", "it_1": "10:00"}))
        assert asked(page, "it_0") == ("text", "some day")
        assert asked(page, "it_1") == ("time", "10:00:00")

    def test_at_the_end_of_time_are_refused(
        self, client: Client, address: Make
    ) -> None:
        url = address(forms.DateTimeField(), n=forms.IntegerField())
        text = "9999-12-31T23:59:59-10:00"
        page = markup(client.post(url, {"it": text, "n": "x"}))
        assert asked(page) == ("text", text)

    def test_chosen_from_lists_are_the_same_after_an_error(
        self, client: Client, address: Make
    ) -> None:
        widget = forms.SelectDateWidget(years=[2024, 2025])
        url = address(forms.DateField(widget=widget), n=forms.IntegerField())
        given = {"it_year": "2025", "it_month": "2", "it_day": "1", "n": "x"}
        page = markup(client.post(url, given))
        chosen = [each["value"] for each in page.all("option") if "selected" in each]
        assert sorted(chosen) == ["1", "2", "2025"]
        assert client.post(url, given | {"n": "1"}).status_code == 302
        assert Run.objects.get().parameters["it"] == {"$date": "2025-02-01"}

    @pytest.mark.parametrize(
        "field",
        [
            forms.DateTimeField(),
            forms.DateTimeField(help_text="Until then."),
            forms.SplitDateTimeField(),
            forms.ComboField(fields=[forms.DateTimeField()]),
        ],
    )
    @pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC"])
    def test_say_in_which_zone_they_are_read(
        self,
        client: Client,
        address: Make,
        settings: Settings,
        field: forms.Field,
        zone: str,
    ) -> None:
        settings.TIME_ZONE = zone
        page = markup(client.get(address(field)))
        assert f"{field.help_text} Time zone: {zone}".strip() in page.words
        assert "it_helptext" in " ".join(page.values("aria-describedby"))

    @pytest.mark.parametrize("field", [forms.DateField(), forms.TimeField()])
    def test_without_an_instant_need_no_zone(
        self, client: Client, address: Make, field: forms.Field
    ) -> None:
        assert "Time zone" not in markup(client.get(address(field))).words


class TestKinds:
    """What is asked for decides what is typed, ticked or chosen."""

    @pytest.mark.parametrize(
        ("field", "attributes"),
        [
            (forms.CharField(), {"type": "text"}),
            (forms.IntegerField(), {"type": "number"}),
            (forms.FloatField(), {"type": "number", "step": "any"}),
            (forms.DecimalField(), {"type": "number", "step": "any"}),
            (forms.BooleanField(required=False), {"type": "checkbox"}),
            (forms.FileField(), {"type": "file"}),
            (CSVField(), {"type": "file", "accept": ".csv,.tsv,.txt,text/csv"}),
        ],
    )
    def test_have_an_input_of_their_own(
        self,
        client: Client,
        address: Make,
        field: forms.Field,
        attributes: dict[str, str],
    ) -> None:
        (box,) = markup(client.get(address(field))).named("it")
        assert attributes.items() <= box.items()

    @pytest.mark.parametrize(
        ("field", "element"),
        [
            (forms.CharField(widget=forms.Textarea), "textarea"),
            (forms.ChoiceField(choices=[("a", "A")]), "select"),
        ],
    )
    def test_have_an_element_of_their_own(
        self, client: Client, address: Make, field: forms.Field, element: str
    ) -> None:
        page = markup(client.get(address(field)))
        assert [each["name"] for each in page.all(element)] == ["it"]

    @pytest.mark.parametrize("required", [True, False])
    def test_say_what_may_be_left_out(
        self, client: Client, address: Make, required: bool
    ) -> None:
        url = address(forms.CharField(required=required))
        page = markup(client.get(url, headers={"Accept-Language": "en"}))
        assert ("optional" in page.words) is not required
        (box,) = page.named("it")
        assert ("required" in box) is required


class TestChoices:
    CHOICES = [("a", "A"), ("b", "B")]

    def first(self, page: Markup) -> str:
        return page.all("option")[0]["value"]

    @pytest.mark.parametrize("required", [True, False])
    def test_none_is_chosen_by_itself(
        self, client: Client, address: Make, required: bool
    ) -> None:
        url = address(
            forms.ChoiceField(choices=lambda: self.CHOICES, required=required)
        )
        page = markup(client.get(url, headers={"Accept-Language": "en"}))
        assert self.first(page) == ""
        assert "Select a value" in page.words
        empty = client.post(url, {"it": ""}).status_code
        assert empty == (422 if required else 302)
        assert client.post(url, {"it": "b"}).status_code == 302

    @pytest.mark.parametrize(
        "field",
        [
            forms.ChoiceField(choices=CHOICES, initial="b"),
            forms.MultipleChoiceField(choices=CHOICES),
            forms.ChoiceField(choices=CHOICES, widget=forms.RadioSelect),
            forms.ChoiceField(choices=[("", "–"), *CHOICES]),
            forms.NullBooleanField(),
        ],
        ids=["initial", "several", "radio", "own", "null"],
    )
    def test_where_one_is_or_none_may_be_nothing_is_added(
        self, client: Client, address: Make, field: forms.Field
    ) -> None:
        page = markup(client.get(address(field), headers={"Accept-Language": "en"}))
        assert "Select a value" not in page.words


class TestRecords:
    @pytest.fixture(autouse=True)
    def many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(inputs, "MOST_CHOICES", 3)
        Item.objects.bulk_create(Item(pk=n, name=f"a,{n}") for n in range(1, 6))

    @pytest.mark.parametrize("several", [False, True])
    @pytest.mark.parametrize("key", [None, "name"])
    def test_too_many_are_asked_for_by_key(
        self, client: Client, address: Make, several: bool, key: str | None
    ) -> None:
        kind = forms.ModelMultipleChoiceField if several else forms.ModelChoiceField
        url = address(kind(Item.objects.order_by("n"), to_field_name=key))
        page = markup(client.get(url, headers={"Accept-Language": "en"}))
        assert asked(page)[0] == "text"
        assert page.all("option") == []
        called = "name" if key else "ID"
        how = "each, with commas" if several else "one"
        assert f"There are more than 3. Type the {called} of {how}." in page.words
        one = '"a,2"' if several else "a,2"
        assert client.post(url, {"it": one if key else "2"}).status_code == 302
        pk = Run.objects.get().parameters["it"]
        assert pk == ({"$models": "testapp.item", "pks": [2]} if several else _item(2))

    def test_several_keys_are_kept_through_an_error(
        self, client: Client, address: Make
    ) -> None:
        field = forms.ModelMultipleChoiceField(Item.objects, to_field_name="name")
        url = address(field, n=forms.IntegerField())
        keys = '"a,1", "a,2"'
        page = markup(client.post(url, {"it": keys, "n": "x"}))
        assert asked(page)[1] == keys
        page = markup(client.get(url, {"it": keys}))
        assert asked(page)[1] == keys

    @pytest.mark.parametrize("text", ["1" * 5_000, "[" * 5_000, '"\\ud800"', "{"])
    def test_json_that_cannot_be_read_or_written_comes_back_as_it_was(
        self, client: Client, address: Make, text: str
    ) -> None:
        url = address(forms.JSONField(), n=forms.IntegerField())
        answer = client.post(url, {"it": text, "n": "x"})
        assert answer.status_code == 422
        assert text in answer.content.decode().replace("&quot;", '"')

    def test_a_program_may_give_each_key_by_itself(
        self, client: Client, address: Make
    ) -> None:
        field = forms.ModelMultipleChoiceField(Item.objects, to_field_name="name")
        given = {"it": ["a,1", "a,2"]}
        answer = client.post(address(field), given, headers=JSON)
        assert answer.status_code == 201, answer.content

    def test_a_wrong_key_is_refused_beside_its_field(
        self, client: Client, address: Make
    ) -> None:
        url = address(forms.ModelMultipleChoiceField(Item.objects))
        for wrong in ("1, 99", "one", "1, ", "x" * 200_000):
            answer = client.post(url, {"it": wrong})
            assert answer.status_code == (302 if wrong == "1, " else 422)

    def test_an_initial_one_shows_its_key(self, client: Client, address: Make) -> None:
        item = Item.objects.get(pk=2)
        one = forms.ModelChoiceField(Item.objects, to_field_name="name", initial=item)
        assert asked(markup(client.get(address(one))))[1] == "a,2"
        first = Item.objects.filter(pk__lt=3)
        several = forms.ModelMultipleChoiceField(Item.objects, initial=first)
        assert asked(markup(client.get(address(several))))[1] == "1, 2"

    def test_a_few_are_a_list(self, client: Client, address: Make) -> None:
        url = address(forms.ModelChoiceField(Item.objects.filter(pk__lt=4)))
        assert len(markup(client.get(url)).all("option")) == 4
        url = address(
            forms.ModelChoiceField(Item.objects, limit_choices_to={"pk__lt": 4})
        )
        assert len(markup(client.get(url)).all("option")) == 4
        assert client.post(url, {"it": "4"}).status_code == 422
        assert client.post(url, {"it": "3"}).status_code == 302

    def test_choices_and_widgets_of_ones_own_are_left_alone(
        self, client: Client, address: Make
    ) -> None:
        field = forms.ModelChoiceField(Item.objects, widget=forms.HiddenInput)
        assert asked(markup(client.get(address(field))))[0] == "hidden"
        own = forms.ModelChoiceField(Country.objects)
        own.choices = [(str(n), str(n)) for n in range(9)]
        assert len(markup(client.get(address(own))).all("option")) == 9

    @pytest.mark.parametrize(
        "kind", [forms.ModelChoiceField, forms.ModelMultipleChoiceField]
    )
    def test_nowhere_are_more_of_them_read_than_are_shown(
        self, client: Client, address: Make, kind: Any
    ) -> None:
        url = address(kind(Item.objects.order_by("name")))
        label = url.rstrip("/").rpartition("/")[2]
        run = visitor(SEE, START).post(url, {"it": "2"})
        ways: list[Callable[[], Any]] = [
            lambda: client.get(url),
            lambda: client.get(url, headers=JSON),
            lambda: client.post(url, {"it": "99"}),
            lambda: client.get(run["Location"]),
            lambda: upkeep("list", label),
            lambda: upkeep("run", label, "-p", "it=3"),
            lambda: upkeep("status", Run.objects.latest("pk").pk),
        ]
        for way in ways:
            with CaptureQueriesContext(
                connection,
            ) as queries:
                way()
            of_items = [
                each["sql"] for each in queries if "testapp_item" in each["sql"]
            ]
            assert len(of_items) <= 4
            for sql in of_items:
                assert "LIMIT 4" in sql or "WHERE" in sql, sql


def _item(pk: int) -> dict[str, Any]:
    return {"$model": "testapp.item", "pk": pk}


def test_numbers_are_typed_as_numbers(client: Client, address: Make) -> None:
    for field, value in [
        (forms.IntegerField(initial=1234), "1234"),
        (forms.FloatField(initial=1.5), "1.5"),
        (forms.DecimalField(initial="1.10"), "1.10"),
    ]:
        assert asked(markup(client.get(address(field)))) == ("number", value)


def test_errors_are_in_the_language_of_the_person(
    client: Client, address: Make
) -> None:
    answer = client.post(address(forms.IntegerField()), {"it": "x"})
    assert "Bitte eine ganze Zahl eingeben." in text(answer)
