"""The form of a task: what it shows, what it takes, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import django
import pytest
from django import forms
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.mail import EmailMessage
from django.test import Client
from pytest_django import Settings

from tests.management.commands import upkeep
from tests.testapp.maintenance import Numbers
from tests.testapp.models import Item
from tests.web.conftest import Know
from tests.web.visits import (
    JSON,
    KINDS,
    PART,
    SEE,
    START,
    STEER,
    markup,
    text,
    to,
    visitor,
)
from upkeep import InvalidParameters, Task, parameter
from upkeep.forms import CSVField
from upkeep.runs.models import Run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]

COLOURS = [("red", "Red"), ("blue", "Blue")]


@pytest.fixture
def client() -> Client:
    return visitor(SEE, START, STEER)


@pytest.fixture
def with_field(known: Know[type[Task]]) -> Callable[[forms.Field], type[Task]]:
    """Return what makes a task with one parameter, `it`, from a field."""

    def make(field: forms.Field, **attributes: Any) -> type[Task]:
        members = {"it": field, "__module__": __name__, "__qualname__": "<locals>.One"}
        return known(type("One", (Numbers,), members | attributes))

    return make


def uploaded(name: str = "a.csv", content: bytes = b"name,n\na,1\n") -> Any:
    return SimpleUploadedFile(name, content)


def first_item() -> Item:
    return Item.objects.get(pk=7)


Kind = tuple[Callable[[], forms.Field], dict[str, Any], Any]

# A field, what a browser sends for it, and the value that the task sees.
FIELDS: dict[str, Kind] = {
    "text": (forms.CharField, {"it": " a text "}, "a text"),
    "long text": (
        lambda: forms.CharField(widget=forms.Textarea),
        {"it": "two\r\nlines"},
        "two\r\nlines",
    ),
    "whole number": (forms.IntegerField, {"it": "12"}, 12),
    "number": (forms.FloatField, {"it": "1.5"}, 1.5),
    "decimal": (forms.DecimalField, {"it": "1.10"}, Decimal("1.10")),
    "e-mail": (forms.EmailField, {"it": "a@example.com"}, "a@example.com"),
    "choice": (lambda: forms.ChoiceField(choices=COLOURS), {"it": "red"}, "red"),
    "radio": (
        lambda: forms.ChoiceField(choices=COLOURS, widget=forms.RadioSelect),
        {"it": "blue"},
        "blue",
    ),
    "typed choice": (
        lambda: forms.TypedChoiceField(choices=[(1, "One")], coerce=int),
        {"it": "1"},
        1,
    ),
    "several choices": (
        lambda: forms.MultipleChoiceField(choices=COLOURS),
        {"it": ["red", "blue"]},
        ["red", "blue"],
    ),
    "boxes": (
        lambda: forms.MultipleChoiceField(
            choices=COLOURS, widget=forms.CheckboxSelectMultiple
        ),
        {"it": ["blue"]},
        ["blue"],
    ),
    "no boxes": (
        lambda: forms.MultipleChoiceField(
            choices=COLOURS, widget=forms.CheckboxSelectMultiple, required=False
        ),
        {},
        [],
    ),
    "ticked": (forms.BooleanField, {"it": "on"}, True),
    "not ticked": (
        lambda: forms.BooleanField(required=False, initial=True),
        {},
        False,
    ),
    "yes": (forms.NullBooleanField, {"it": "true"}, True),
    "unknown": (forms.NullBooleanField, {"it": "unknown"}, None),
    "date": (forms.DateField, {"it": "2024-02-29"}, date(2024, 2, 29)),
    "date in parts": (
        lambda: forms.DateField(widget=forms.SelectDateWidget(years=[2024])),
        {"it_year": "2024", "it_month": "2", "it_day": "29"},
        date(2024, 2, 29),
    ),
    "split moment": (
        forms.SplitDateTimeField,
        {"it_0": "2024-01-02", "it_1": "10:00"},
        datetime(2024, 1, 2, 9, tzinfo=UTC),
    ),
    "record": (
        lambda: forms.ModelChoiceField(Item.objects.all()),
        {"it": "7"},
        first_item,
    ),
    "hidden": (
        lambda: forms.CharField(widget=forms.HiddenInput),
        {"it": "unseen"},
        "unseen",
    ),
    "JSON": (forms.JSONField, {"it": '{"a": [1]}'}, {"a": [1]}),
    "left empty": (lambda: forms.CharField(required=False), {"it": ""}, ""),
    "disabled": (
        lambda: forms.CharField(disabled=True, initial="as it is"),
        {"it": "changed"},
        "as it is",
    ),
}


# What is the same as nothing, and what nobody can change.
CANNOT_BE_NAMED = {"disabled", "left empty", "no boxes", "not ticked", "unknown"}


class TestEveryKindOfField:
    @pytest.mark.parametrize("kind", FIELDS)
    def test_is_shown_and_starts_a_run(
        self, client: Client, with_field: Callable[..., type[Task]], kind: str
    ) -> None:
        Item.objects.create(pk=7, name="seven")
        make, given, value = FIELDS[kind]
        task = with_field(make())
        page = markup(client.get(to("task", task.label())))
        for name in given:
            assert page.named(name)
        answer = client.post(to("task", task.label()), given)
        run = Run.objects.get()
        assert (answer.status_code, answer["Location"]) == (302, to("run", run.pk))
        seen = task.restore(run.parameters).values["it"]
        assert seen == (value() if callable(value) else value)
        assert client.get(to("run", run.pk)).status_code == 200

    @pytest.mark.parametrize("field", [forms.FileField, CSVField])
    def test_files_are_uploaded(
        self,
        client: Client,
        with_field: Callable[..., type[Task]],
        field: type[forms.FileField],
    ) -> None:
        task = with_field(field())
        page = client.get(to("task", task.label()))
        assert 'enctype="multipart/form-data"' in text(page)
        answer = client.post(to("task", task.label()), {"it": uploaded()})
        assert answer.status_code == 302
        run = Run.objects.get()
        assert "a.csv" in text(client.get(to("run", run.pk)))

    def test_stand_in_the_order_of_their_declaration(
        self, client: Client, known: Know[type[Task]]
    ) -> None:
        names = ["zeal", "age", "mark"]
        members = {"__module__": __name__, "__qualname__": "<locals>.Ordered"}
        fields = {name: forms.CharField() for name in names}
        task = known(type("Ordered", (Numbers,), members | fields))
        page = markup(client.get(to("task", task.label())))
        asked = [each["name"] for each in page.all("input") if each.get("name")]
        assert [name for name in asked if name in names] == names

    def test_without_files_nothing_is_uploaded(
        self, client: Client, with_field: Callable[..., type[Task]]
    ) -> None:
        page = text(client.get(to("task", with_field(forms.CharField()).label())))
        assert "multipart" not in page
        assert 'type="file"' not in page

    def test_a_file_that_is_no_csv_is_refused_beside_its_field(
        self, client: Client, with_field: Callable[..., type[Task]]
    ) -> None:
        task = with_field(CSVField(columns=["price"]))
        answer = client.post(to("task", task.label()), {"it": uploaded()})
        assert answer.status_code == 422
        assert "The header lacks: price. It names: name, n." in markup(answer).words

    def test_a_file_that_is_missing_is_asked_for(
        self, client: Client, with_field: Callable[..., type[Task]]
    ) -> None:
        task = with_field(forms.FileField())
        answer = client.post(to("task", task.label()))
        assert answer.status_code == 422
        assert "This field is required." in markup(answer).words

    def test_a_parameter_may_have_any_name(
        self, client: Client, known: Know[type[Task]]
    ) -> None:
        """Even one that the form has for itself."""
        names = ("data", "files", "given", "refusals", "unsaid", "errors", "fields_")
        fields = {name: forms.CharField() for name in names}
        members = {"__module__": __name__, "__qualname__": "<locals>.Named"}
        task = known(type("Named", (Numbers,), members | fields))
        given = {name: f"the {name}" for name in names}
        assert client.post(to("task", task.label()), given).status_code == 302
        assert Run.objects.get().parameters == given


DEEP = "[" * 100_000 + "]" * 100_000

# What fields take, but no row can keep: a field, a value, and what is said of it.
UNSTORABLE: dict[str, tuple[Callable[[], forms.Field], str, str]] = {
    "the first day": (forms.DateTimeField, "0001-01-01 00:00", "before the year 1"),
    "far too deep": (forms.JSONField, DEEP, "more than 30 deep"),
    "too deep": (forms.JSONField, "[" * 31 + "]" * 31, "more than 30 deep"),
    "too deep a dict": (forms.JSONField, '{"a":' * 31 + "1" + "}" * 31, "30 deep"),
    "NUL in a key": (forms.JSONField, r'{"a\u0000": 1}', r"'a\x00' is not"),
    "half a letter": (forms.JSONField, r'[{"\ud800": 1}]', r"'\ud800' is not"),
}


@pytest.mark.parametrize("kind", UNSTORABLE)
class TestUnstorableValue:
    @pytest.fixture
    def task(self, kind: str, with_field: Callable[..., type[Task]]) -> type[Task]:
        return with_field(UNSTORABLE[kind][0]())

    @pytest.mark.parametrize("headers", KINDS.values(), ids=KINDS)
    def test_is_422_with_a_sentence(
        self, client: Client, task: type[Task], kind: str, headers: dict[str, str]
    ) -> None:
        _, value, sentence = UNSTORABLE[kind]
        answer = client.post(to("task", task.label()), {"it": value}, headers=headers)
        assert answer.status_code == 422
        assert not Run.objects.exists()
        if headers == JSON:
            assert sentence in answer.json()["errors"]["it"][0]
        elif headers != PART:
            page = markup(answer)
            assert sentence in page.words
            assert "it_error" in page.named("it")[0]["aria-describedby"]

    def test_is_invalid_from_python_and_the_command_line(
        self, task: type[Task], kind: str
    ) -> None:
        _, value, sentence = UNSTORABLE[kind]
        with pytest.raises(InvalidParameters) as caught:
            task.enqueue(it=value)
        assert sentence in caught.value.errors["it"][0]
        outcome = upkeep("run", task.label(), "-p", f"it={value}")
        assert outcome.status == 2
        assert sentence in outcome.err
        assert not Run.objects.exists()


def test_a_moment_is_shown_where_no_local_clock_had_it(
    client: Client, with_field: Callable[..., type[Task]], settings: Settings
) -> None:
    task = with_field(forms.DateTimeField())
    run = task.enqueue(it=datetime(1, 1, 1, tzinfo=UTC))
    settings.TIME_ZONE = "America/New_York"
    answer = client.get(to("run", run.pk))
    assert (answer.status_code, "0001-01-01" in text(answer)) == (200, True)


def test_json_that_is_as_deep_as_it_may_be_is_kept(
    client: Client, with_field: Callable[..., type[Task]]
) -> None:
    task = with_field(forms.JSONField())
    given = {"it": "[" * 30 + "]" * 30}
    assert client.post(to("task", task.label()), given).status_code == 302
    assert client.get(to("run", Run.objects.get().pk)).status_code == 200


def test_json_comes_back_as_it_was_written(
    client: Client, known: Know[type[Task]]
) -> None:
    class Two(Numbers):
        n: int = parameter(forms.IntegerField())
        it: Any = parameter(forms.JSONField())

    written = r'{"a":"\ud800"}'
    url = to("task", known(Two).label())
    assert written in markup(client.post(url, {"it": written, "n": "x"})).words
    assert '{"a": 1}' in markup(client.get(url, {"it": '{"a": 1}'})).words


class TestAsJson:
    def parameter(self, client: Client, task: type[Task]) -> dict[str, Any]:
        answer = client.get(to("task", task.label()), headers=JSON)
        (told,) = answer.json()["parameters"]
        return dict(told)

    def test_a_parameter_tells_what_a_program_has_to_know(
        self, client: Client, with_field: Callable[..., type[Task]]
    ) -> None:
        groups = [("Warm", [("red", "Red")]), ("blue", "Blue")]
        field = forms.ChoiceField(choices=groups, initial="blue", help_text="Paint.")
        assert self.parameter(client, with_field(field)) == {
            "name": "it",
            "kind": "ChoiceField",
            "label": "It",
            "help": "Paint.",
            "required": True,
            "masked": False,
            "initial": "blue",
            "choices": [["red", "Red"], ["blue", "Blue"]],
        }

    @pytest.mark.parametrize(
        ("initial", "told"),
        [
            (None, None),
            (lambda: 6 * 7, 42),
            (date(2024, 2, 29), {"$date": "2024-02-29"}),
            (object, str),
        ],
    )
    def test_an_initial_value_is_as_a_run_keeps_it(
        self,
        client: Client,
        with_field: Callable[..., type[Task]],
        initial: Any,
        told: Any,
    ) -> None:
        task = with_field(forms.Field(initial=initial))
        found = self.parameter(client, task)["initial"]
        assert isinstance(found, str) if told is str else found == told

    def test_a_masked_initial_value_is_not_told(
        self, client: Client, with_field: Callable[..., type[Task]]
    ) -> None:
        for initial in (SECRET, lambda: SECRET):
            task = with_field(forms.CharField(initial=initial), masked=("it",))
            told = self.parameter(client, task)
            assert (told["masked"], told["initial"]) == (True, None)

    def test_records_are_not_counted_out(
        self, client: Client, with_field: Callable[..., type[Task]]
    ) -> None:
        Item.objects.create(pk=7, name="seven")
        task = with_field(forms.ModelChoiceField(Item.objects.all()))
        assert self.parameter(client, task)["choices"] is None


class TestWrongValue:
    @pytest.fixture
    def label(self, known: Know[type[Task]]) -> str:
        class Strict(Numbers):
            n: int = parameter(forms.IntegerField(max_value=5))
            colour: str = parameter(forms.ChoiceField(choices=COLOURS))
            note: str = parameter(forms.CharField(widget=forms.Textarea))
            ticket: str = parameter(
                forms.IntegerField(widget=forms.HiddenInput, required=False)
            )

            def clean(self) -> None:
                if self.note == "no":
                    raise forms.ValidationError("Not so.")
                if self.note == "by name":
                    raise forms.ValidationError({"note": "Say more."})

        return known(Strict).label()

    def test_is_422_with_the_reason_beside_its_field(
        self, client: Client, label: str
    ) -> None:
        given = {"n": "12", "colour": "blue", "note": "keep me"}
        answer = client.post(to("task", label), given)
        assert answer.status_code == 422
        page = markup(answer)
        sentence = "Ensure this value is less than or equal to 5."
        assert sentence in page.words
        (field,) = page.named("n")
        assert field["aria-invalid"] == "true"
        assert "n_error" in field["aria-describedby"]
        assert not Run.objects.exists()

    def test_keeps_the_rest_of_the_form(self, client: Client, label: str) -> None:
        given = {"n": "12", "colour": "blue", "note": "keep me"}
        answer = client.post(to("task", label), given)
        page = markup(answer)
        assert page.named("n")[0]["value"] == "12"
        assert [each["value"] for each in page.all("option") if "selected" in each] == (
            ["blue"]
        )
        assert "keep me" in page.words

    def test_of_the_task_as_a_whole_is_said_above_the_form(
        self, client: Client, label: str
    ) -> None:
        given = {"n": "1", "colour": "blue", "note": "no"}
        answer = client.post(to("task", label), given)
        assert answer.status_code == 422
        assert "Not so." in markup(answer).words

    def test_that_the_task_itself_finds_is_said_beside_its_field(
        self, client: Client, label: str
    ) -> None:
        given = {"n": "1", "colour": "blue", "note": "by name"}
        page = markup(client.post(to("task", label), given))
        assert "Say more." in page.words
        assert page.named("note")[0]["aria-invalid"] == "true"

    def test_of_a_hidden_field_is_said_where_it_can_be_read(
        self, client: Client, label: str
    ) -> None:
        given = {"n": "1", "colour": "blue", "note": "x", "ticket": "wrong"}
        answer = client.post(to("task", label), given)
        assert "ticket: Enter a whole number." in markup(answer).words

    def test_is_said_in_json_by_field(self, client: Client, label: str) -> None:
        answer = client.post(to("task", label), {"n": "x"}, headers=JSON)
        assert answer.status_code == 422
        assert answer.json() == {
            "errors": {
                "n": ["Enter a whole number."],
                "colour": ["This field is required."],
                "note": ["This field is required."],
            }
        }


def filled_in(answer: Any) -> list[Any]:
    """Return the fields of the form, as they come from the server."""
    page = markup(answer)
    chosen = [each for each in page.all("option") if "selected" in each]
    fields = [
        each for _, each in page.elements if each.get("name", "").startswith("it")
    ]
    return [fields, chosen, page.words]


class TestValuesBeforehand:
    def value(self, answer: Any, name: str = "it") -> str | None:
        (field,) = markup(answer).named(name)
        return field.get("value")

    def test_an_initial_one_shows(
        self, client: Client, with_field: Callable[..., type[Task]]
    ) -> None:
        task = with_field(forms.IntegerField(initial=42))
        assert self.value(client.get(to("task", task.label()))) == "42"

    def test_one_that_is_made_when_asked_for_shows(
        self, client: Client, with_field: Callable[..., type[Task]]
    ) -> None:
        task = with_field(forms.IntegerField(initial=lambda: 6 * 7))
        assert self.value(client.get(to("task", task.label()))) == "42"

    def test_one_that_the_address_names_shows(
        self, client: Client, with_field: Callable[..., type[Task]]
    ) -> None:
        task = with_field(forms.IntegerField(initial=42))
        url = to("task", task.label())
        assert self.value(client.get(url, {"it": "7"})) == "7"

    @pytest.mark.parametrize("kind", sorted(set(FIELDS) - CANNOT_BE_NAMED))
    def test_the_address_can_name_every_kind(
        self, client: Client, with_field: Callable[..., type[Task]], kind: str
    ) -> None:
        Item.objects.create(pk=7, name="seven")
        make, given, _ = FIELDS[kind]
        url = to("task", with_field(make()).label())
        assert filled_in(client.get(url, given)) != filled_in(client.get(url))

    def test_a_name_that_the_task_does_not_know_is_passed_over(
        self, client: Client, with_field: Callable[..., type[Task]]
    ) -> None:
        url = to("task", with_field(forms.IntegerField(initial=42)).label())
        answer = client.get(url, {"nobody": "knows-me"})
        assert (answer.status_code, self.value(answer)) == (200, "42")
        assert "knows-me" not in text(answer)

    def test_what_is_not_named_keeps_its_initial(
        self, client: Client, known: Know[type[Task]]
    ) -> None:
        class Two(Numbers):
            a: int = parameter(forms.IntegerField(initial=1))
            b: bool = parameter(forms.BooleanField(initial=True, required=False))

        url = to("task", known(Two).label())
        page = markup(client.get(url, {"a": "5"}))
        assert page.named("a")[0]["value"] == "5"
        assert "checked" in page.named("b")[0]

    def test_a_wrong_one_is_there_to_be_corrected(
        self, client: Client, with_field: Callable[..., type[Task]]
    ) -> None:
        task = with_field(forms.DateField())
        answer = client.get(to("task", task.label()), {"it": "some day"})
        assert (answer.status_code, self.value(answer)) == (200, "some day")


SECRET = "hush-hush-9001"

SECRET_FIELDS: dict[str, Callable[[], forms.Field]] = {
    "text": lambda: forms.CharField(required=False),
    "long text": lambda: forms.CharField(widget=forms.Textarea, required=False),
    "e-mail": lambda: forms.EmailField(required=False),
    "password that is shown": lambda: forms.CharField(
        widget=forms.PasswordInput(render_value=True), required=False
    ),
    "hidden": lambda: forms.CharField(widget=forms.HiddenInput, required=False),
    "choice": lambda: forms.ChoiceField(choices=COLOURS),
    "pattern": lambda: forms.RegexField(r"^\d+$", required=False),
    "date": lambda: forms.DateField(required=False),
    "json": lambda: forms.JSONField(required=False),
    "split": lambda: forms.SplitDateTimeField(required=False),
    "file": lambda: forms.FileField(required=False),
}


class TestSecrets:
    """Masked parameters, of every kind, in no answer of any kind."""

    @pytest.fixture(params=SECRET_FIELDS)
    def task(
        self, request: pytest.FixtureRequest, known: Know[type[Task]]
    ) -> type[Task]:
        members = {
            "it": SECRET_FIELDS[request.param](),
            "n": forms.IntegerField(),
            "masked": ("it",),
            "__module__": __name__,
            "__qualname__": "<locals>.Discreet",
        }
        return known(type("Discreet", (Numbers,), members))

    @pytest.mark.parametrize("headers", KINDS.values(), ids=KINDS)
    def test_are_not_taken_from_the_address(
        self, client: Client, task: type[Task], headers: dict[str, str]
    ) -> None:
        named = {"it": SECRET, "it_0": SECRET, "n": "1"}
        answer = client.get(to("task", task.label()), named, headers=headers)
        assert answer.status_code == 200
        assert SECRET not in text(answer)

    @pytest.mark.parametrize("headers", KINDS.values(), ids=KINDS)
    def test_are_not_shown_again_when_something_is_wrong(
        self, client: Client, task: type[Task], headers: dict[str, str]
    ) -> None:
        given = {"it": SECRET, "it_0": SECRET, "it_1": SECRET, "n": "wrong"}
        answer = client.post(to("task", task.label()), given, headers=headers)
        assert answer.status_code == 422
        assert SECRET not in text(answer)

    @pytest.mark.parametrize("headers", KINDS.values(), ids=KINDS)
    def test_are_not_shown_of_a_run(
        self, client: Client, task: type[Task], headers: dict[str, str]
    ) -> None:
        run = Run.objects.create(
            task=task.label(), parameters={"it": SECRET, "n": 12345678}
        )
        for url in (
            to("task-list"),
            to("task", task.label()),
            to("run", run.pk),
            to("run-progress", run.pk),
        ):
            assert SECRET not in text(client.get(url, headers=headers))
        assert "[FILTERED]" in text(client.get(to("run", run.pk), headers=JSON))

    def test_are_not_shown_where_the_class_is_gone(self, client: Client) -> None:
        run = Run.objects.create(task="testapp.Gone", parameters={"innocent": SECRET})
        for headers in KINDS.values():
            assert SECRET not in text(client.get(to("run", run.pk), headers=headers))

    def test_are_typed_unseen(
        self, client: Client, with_field: Callable[..., type[Task]]
    ) -> None:
        for field in (forms.CharField(), forms.EmailField(), forms.IntegerField()):
            task = with_field(field, masked=("it",))
            (box,) = markup(client.get(to("task", task.label()))).named("it")
            assert (box["type"], box["autocomplete"]) == ("password", "off")

    def test_left_empty_are_what_the_task_says(
        self, client: Client, with_field: Callable[..., type[Task]]
    ) -> None:
        """Their initial value is not shown, and must not have to be known."""
        task = with_field(forms.CharField(initial=SECRET), masked=("it",))
        answer = client.get(to("task", task.label()))
        assert SECRET not in text(answer)
        assert client.post(to("task", task.label()), {"it": ""}).status_code == 302
        assert Run.objects.get().parameters == {"it": SECRET}
        assert client.post(to("task", task.label()), {"it": "own"}).status_code == 302
        assert Run.objects.first().parameters == {"it": "own"}  # type: ignore[union-attr]

    def test_are_not_in_a_report_of_an_error(
        self,
        client: Client,
        with_field: Callable[..., type[Task]],
        settings: Settings,
        mailoutbox: list[EmailMessage],
    ) -> None:
        class Broken(forms.CharField):
            def clean(self, value: Any) -> Any:
                raise RuntimeError("It is broken.")

        settings.ADMINS = ["admin@example.com"]
        if django.VERSION < (6, 0):
            settings.ADMINS = [("Admin", "admin@example.com")]
        task = with_field(Broken(), masked=("it",))
        client.raise_request_exception = False
        answer = client.post(to("task", task.label()), {"it": SECRET})
        assert answer.status_code == 500
        (mail,) = mailoutbox
        assert "It is broken." in mail.body
        assert SECRET not in mail.body

    def test_are_masked_in_the_sentence_that_refuses_them(
        self, client: Client, known: Know[type[Task]]
    ) -> None:
        class Blabbing(Numbers):
            api_key: str = parameter(forms.CharField())

            def clean(self) -> None:
                raise forms.ValidationError(f"{self.api_key} is wrong.")

        url = to("task", known(Blabbing).label())
        for headers in KINDS.values():
            answer = client.post(url, {"api_key": SECRET}, headers=headers)
            assert answer.status_code == 422
            assert SECRET not in text(answer)
            if headers != PART:
                assert "[FILTERED] is wrong." in text(answer)
