"""Parameters: collected from a class, cleaned, stored, loaded again, and shown."""

import datetime as dt
import io
import re
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django import forms
from django.contrib.auth.models import Group
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import models
from django.utils import timezone, translation
from pytest_django import DjangoAssertNumQueries, Settings

from upkeep.exceptions import InvalidParameters, InvalidTask, VanishedReference
from upkeep.tasks.parameters import (
    clean,
    collect,
    delete_files,
    describe,
    dump,
    fingerprint,
    from_text,
    load,
    parameter,
)
from upkeep.tasks.uploads import StoredFile, storage
from upkeep.tasks.values import to_json

BERLIN = dt.timezone(dt.timedelta(hours=1))


class Size(models.TextChoices):
    SMALL = "s"
    LARGE = "l"


class Color(Enum):
    RED = "r"
    BLUE = "b"


COLORS = [(color.value, color.name) for color in Color]


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> Any:
    """A storage that is empty."""
    settings.BASE_DIR = tmp_path
    return tmp_path / "upkeep-files"


def files_in(folder: Path) -> Any:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if path.name != ".gitignore"]


def cleaned(field: forms.Field, value: Any) -> Any:
    return clean({"it": field}, {"it": value})["it"]


def errors_of(fields: Any, given: Any) -> Any:
    with pytest.raises(InvalidParameters) as caught:
        clean(fields, given)
    return caught.value.errors


def stored_and_loaded(field: forms.Field, value: Any) -> Any:
    fields = {"it": field}
    return load(fields, dump(fields, clean(fields, {"it": value})))["it"]


class Parent:
    content: str = parameter(forms.CharField())
    amount = forms.IntegerField()
    other = "no field"


class TestParameter:
    def test_takes_a_field_and_nothing_else(self) -> None:
        with pytest.raises(InvalidTask, match=r"takes a form field, .* not <class"):
            parameter(int)


class TestCollect:
    def test_fields_come_in_the_order_of_declaration(self) -> None:
        class Child(Parent):
            zeal = forms.IntegerField()
            age = forms.IntegerField()

        fields = collect(Child, reserved=())
        assert list(fields) == ["content", "amount", "zeal", "age"]

    def test_a_child_can_take_a_field_away(self) -> None:
        class Child(Parent):
            content = None  # type: ignore[assignment]

        assert list(collect(Child, reserved=())) == ["amount"]

    def test_a_child_can_change_a_field(self) -> None:
        class Child(Parent):
            content = parameter(forms.SlugField())

        assert isinstance(collect(Child, reserved=())["content"], forms.SlugField)

    def test_a_mixin_brings_its_fields(self) -> None:
        class Mixin:
            dry = forms.BooleanField()

        class Child(Mixin, Parent):
            pass

        assert set(collect(Child, reserved=())) == {"content", "amount", "dry"}

    @pytest.mark.parametrize(
        ("name", "reason"),
        [("_hidden", "begins with an underscore"), ("process", "attribute or method")],
    )
    def test_a_name_that_is_taken_is_refused(self, name: str, reason: str) -> None:
        cls = type("Purge", (), {name: forms.CharField()})
        with pytest.raises(InvalidTask, match=f"Purge .* '{name}': that .*{reason}"):
            collect(cls, reserved={"process"})


class TestPythonValues:
    @pytest.mark.parametrize(
        ("field", "value", "expected"),
        [
            (forms.CharField(), " text ", "text"),
            (forms.CharField(), 5, "5"),
            (forms.IntegerField(), 5, 5),
            (forms.FloatField(), 1.5, 1.5),
            (forms.DecimalField(), Decimal("1.10"), Decimal("1.10")),
            (forms.BooleanField(required=False), False, False),
            (forms.NullBooleanField(), None, None),
            (forms.DateField(), dt.date(2024, 1, 2), dt.date(2024, 1, 2)),
            (forms.TimeField(), dt.time(3, 4), dt.time(3, 4)),
            (forms.DurationField(), dt.timedelta(hours=1), dt.timedelta(hours=1)),
            (forms.UUIDField(), UUID(int=1), UUID(int=1)),
            (forms.JSONField(), {"a": [1, None]}, {"a": [1, None]}),
            (forms.ChoiceField(choices=Size.choices), Size.SMALL, "s"),
            (forms.ChoiceField(choices=COLORS), Color.RED, "r"),
            (
                forms.MultipleChoiceField(choices=COLORS),
                (Color.RED, "b"),
                ["r", "b"],
            ),
            (
                forms.TypedChoiceField(choices=COLORS, coerce=Color),
                Color.RED,
                Color.RED,
            ),
        ],
    )
    def test_a_value_is_taken_as_it_is(
        self, field: forms.Field, value: Any, expected: Any
    ) -> None:
        value = cleaned(field, value)
        assert value == expected
        assert type(value) is type(expected)

    @pytest.mark.parametrize(
        "field", [forms.DateTimeField(), forms.SplitDateTimeField()]
    )
    def test_a_moment_keeps_its_instant(self, field: forms.Field) -> None:
        moment = dt.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=BERLIN)
        with timezone.override("Asia/Tokyo"):
            assert cleaned(field, moment) == moment

    def test_a_field_of_several_values_takes_them_as_a_list_too(self) -> None:
        value = [dt.date(2024, 1, 2), dt.time(3)]
        expected = dt.datetime(2024, 1, 2, 3, tzinfo=BERLIN)
        assert cleaned(forms.SplitDateTimeField(), value) == expected

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            (forms.DateField(), 5),
            (forms.GenericIPAddressField(), object()),
            (forms.SplitDateTimeField(), 5),
        ],
    )
    def test_a_type_that_a_field_cannot_take_is_named(
        self, field: forms.Field, value: Any
    ) -> None:
        (sentence,) = errors_of({"it": field}, {"it": value})["it"]
        kinds = f"{type(field).__name__} .* type {type(value).__name__}: .*attribute"
        assert re.search(kinds, sentence)


class TestTexts:
    """What a form would submit, or a person types."""

    @pytest.mark.parametrize(
        ("field", "text", "expected"),
        [
            (forms.IntegerField(), "5", 5),
            (forms.DecimalField(), "1.10", Decimal("1.10")),
            (forms.DateField(), "2024-01-02", dt.date(2024, 1, 2)),
            (forms.DurationField(), "1:00:00", dt.timedelta(hours=1)),
            (forms.BooleanField(), "true", True),
            (forms.JSONField(), '{"a": 1}', {"a": 1}),
        ],
    )
    def test_text_becomes_typed(
        self, field: forms.Field, text: str, expected: Any
    ) -> None:
        assert cleaned(field, text) == expected

    def test_text_is_read_in_the_language_of_the_project(
        self, settings: Settings
    ) -> None:
        field = forms.DecimalField(localize=True)
        settings.LANGUAGE_CODE = "de"
        with translation.override("en"):
            assert cleaned(field, "1234,5") == Decimal("1234.5")

    @pytest.mark.parametrize(("zone", "hour"), [("Asia/Tokyo", 0), ("UTC", 9)])
    def test_text_is_read_in_the_time_zone_of_the_project(
        self, settings: Settings, zone: str, hour: int
    ) -> None:
        settings.TIME_ZONE = zone
        with timezone.override("America/Los_Angeles"):
            moment = cleaned(forms.DateTimeField(), "2024-01-02 09:00")
        assert moment == dt.datetime(2024, 1, 2, hour, tzinfo=dt.UTC)

    @pytest.mark.parametrize("text", ["9999-12-31T23:00-10:00", "0001-01-01T00:00"])
    def test_a_moment_at_the_end_of_time_is_refused(self, text: str) -> None:
        fields = {"it": forms.DateTimeField()}
        with pytest.raises(InvalidParameters, match="before the year 1 or after the"):
            dump(fields, clean(fields, {"it": text}))

    def test_what_is_wrong_is_said_in_the_language_of_the_caller(self) -> None:
        with translation.override("de"):
            errors = errors_of({"it": forms.IntegerField(max_value=5)}, {"it": "x"})
        assert errors == {"it": ["Bitte eine ganze Zahl eingeben."]}


class TestLeftOut:
    def test_it_takes_its_initial(self) -> None:
        assert clean({"n": forms.IntegerField(initial=5)}, {}) == {"n": 5}

    def test_an_initial_that_is_callable_is_called_each_time(self) -> None:
        numbers = iter([1, 2])
        fields = {"n": forms.IntegerField(initial=lambda: next(numbers))}
        assert [clean(fields, {})["n"] for _ in "12"] == [1, 2]

    def test_an_initial_is_cleaned_as_any_value(self) -> None:
        moment = dt.datetime(2024, 1, 2, tzinfo=BERLIN)
        fields = {"at": forms.SplitDateTimeField(initial=moment)}
        assert clean(fields, {}) == {"at": moment}

    def test_none_is_not_left_out(self) -> None:
        fields = {"n": forms.IntegerField(initial=5, required=False)}
        assert clean(fields, {"n": None}) == {"n": None}

    def test_without_an_initial_the_field_decides(self) -> None:
        fields = {"n": forms.IntegerField(), "s": forms.CharField(required=False)}
        assert errors_of(fields, {}) == {"n": ["This field is required."]}
        assert clean(fields, {"n": 1}) == {"n": 1, "s": ""}

    def test_a_disabled_field_keeps_its_initial(self) -> None:
        fields = {"n": forms.IntegerField(initial=5, disabled=True)}
        assert clean(fields, {"n": 7}) == {"n": 5}


class TestErrors:
    def test_all_of_them_come_together(self) -> None:
        fields = {"a": forms.IntegerField(), "b": forms.DateField()}
        with pytest.raises(InvalidParameters) as caught:
            clean(fields, {"a": "x", "b": "y", "c": 1, "d": 2}, owner="Purge")
        assert caught.value.errors == {
            "__all__": ["Unknown parameters: c, d. Purge takes: a, b."],
            "a": ["Enter a whole number."],
            "b": ["Enter a valid date."],
        }
        assert str(caught.value) == (
            "Unknown parameters: c, d. Purge takes: a, b. "
            "a: Enter a whole number. b: Enter a valid date."
        )

    def test_a_task_without_parameters_says_so(self) -> None:
        (sentence,) = errors_of({}, {"a": 1})["__all__"]
        assert sentence == "Unknown parameter: a. The task takes none."


@pytest.mark.django_db
class TestRecords:
    def test_one_is_given_as_itself_or_as_its_key(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        group = Group.objects.create(name="a")
        field = forms.ModelChoiceField(Group.objects)
        for value in (group, group.pk, str(group.pk)):
            with django_assert_num_queries(1):
                assert cleaned(field, value) == group

    def test_one_that_is_not_among_the_choices_is_refused(self) -> None:
        group = Group.objects.create(name="a")
        field = forms.ModelChoiceField(Group.objects.exclude(name="a"))
        for value in (group, Group(name="b"), -1, "x"):
            assert "valid choice" in errors_of({"it": field}, {"it": value})["it"][0]

    def test_the_key_that_is_refused_is_named(self) -> None:
        field = forms.ModelChoiceField(Group.objects)
        assert errors_of({"it": field}, {"it": "977"})["it"] == [
            "Select a valid choice. 977 is not one of the available choices."
        ]
        field.error_messages["invalid_choice"] = "No such group."
        assert errors_of({"it": field}, {"it": "977"})["it"] == ["No such group."]

    def test_several_are_given_in_any_form(self) -> None:
        groups = [Group.objects.create(name=name) for name in "ab"]
        field = forms.ModelMultipleChoiceField(Group.objects)
        pks = [group.pk for group in groups]
        for value in (groups, pks, [str(pk) for pk in pks], Group.objects.all()):
            assert set(cleaned(field, value)) == set(groups)

    def test_they_are_stored_as_references_and_fetched_afresh(self) -> None:
        group = Group.objects.create(name="old")
        fields = {
            "one": forms.ModelChoiceField(Group.objects),
            "several": forms.ModelMultipleChoiceField(Group.objects),
        }
        data = dump(fields, clean(fields, {"one": group, "several": [group]}))
        Group.objects.update(name="new")
        values = load(fields, data)
        assert values["one"].name == "new"
        assert [each.name for each in values["several"]] == ["new"]

    def test_one_that_is_no_longer_among_the_choices_is_still_the_one(self) -> None:
        """What was accepted when the run was made is not judged again."""
        group = Group.objects.create(name="draft")
        fields = {"one": forms.ModelChoiceField(Group.objects.filter(name="draft"))}
        data = dump(fields, {"one": group})
        Group.objects.update(name="published")
        assert load(fields, data) == {"one": group}

    def test_one_that_is_gone_is_named_with_its_parameter(self) -> None:
        group = Group.objects.create(name="a")
        fields = {"one": forms.ModelChoiceField(Group.objects)}
        data = dump(fields, {"one": group})
        group.delete()
        with pytest.raises(VanishedReference, match=r"Parameter one: The auth\.group"):
            load(fields, data)


class TestStorage:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            (forms.CharField(), "a"),
            (forms.DecimalField(), Decimal("1.10")),
            (forms.DateTimeField(), dt.datetime(2024, 1, 2, tzinfo=BERLIN)),
            (forms.DurationField(), dt.timedelta(seconds=1.5)),
            (forms.UUIDField(), UUID(int=1)),
            (forms.JSONField(), {"$file": "no file"}),
            (forms.TypedChoiceField(choices=COLORS, coerce=Color), Color.RED),
            (
                forms.TypedMultipleChoiceField(choices=COLORS, coerce=Color),
                [Color.RED, Color.BLUE],
            ),
            (
                forms.TypedChoiceField(choices=COLORS, coerce=Color, required=False),
                "",
            ),
        ],
    )
    def test_a_worker_sees_what_the_caller_gave(
        self, field: forms.Field, value: Any
    ) -> None:
        again = stored_and_loaded(field, value)
        assert again == value
        assert type(again) is type(value)

    def test_a_value_is_not_cleaned_twice(self) -> None:
        """A coercion that takes text would make False of a stored True."""
        field = forms.TypedChoiceField(
            choices=[(True, "Yes"), (False, "No")], coerce=lambda text: text == "True"
        )
        assert stored_and_loaded(field, "True") is True

    def test_a_value_that_cannot_be_stored_is_named_with_its_parameter(self) -> None:
        class Odd(forms.Field):
            def to_python(self, value: Any) -> Any:
                return object()

        fields = {"odd": Odd()}
        with pytest.raises(TypeError, match=r"Parameter odd: .* type object"):
            dump(fields, clean(fields, {}))


class TestDeploys:
    """The class has changed since the run was made."""

    def test_a_new_parameter_takes_its_initial(self) -> None:
        fields = {"new": forms.IntegerField(initial=5), "old": forms.CharField()}
        assert load(fields, {"old": "a"}) == {"new": 5, "old": "a"}

    def test_a_new_parameter_without_a_value_stops_the_run(self) -> None:
        with pytest.raises(InvalidParameters, match=r"^new: .* before the task had"):
            load({"new": forms.IntegerField()}, {})

    def test_a_parameter_that_is_gone_stops_the_run(self) -> None:
        with pytest.raises(InvalidParameters, match=r"^old: .* no longer takes"):
            load({}, {"old": "a"})

    def test_a_parameter_of_another_type_stops_the_run(self) -> None:
        with pytest.raises(InvalidParameters) as caught:
            load({"n": forms.IntegerField()}, {"n": "many"})
        assert str(caught.value) == (
            "n: The run was started with many, and IntegerField makes values of "
            "another type. Give the parameter its former field and resume the run, or "
            "cancel the run and start a new one."
        )

    def test_a_masked_one_is_not_told(self) -> None:
        with pytest.raises(InvalidParameters, match=r"^n: .* with \[FILTERED\], and"):
            load({"n": forms.IntegerField()}, {"n": "many"}, masked=["n"])

    def test_what_is_refused_today_was_accepted_once(self) -> None:
        fields = {"n": forms.IntegerField(max_value=5)}
        assert load(fields, {"n": 12}) == {"n": 12}


class WrappedFile:
    """What a field makes of a file."""

    def __init__(self, file: Any) -> None:
        self.file = file


class WrappingField(forms.FileField):
    def wrap(self, file: Any) -> Any:
        return WrappedFile(file)

    def clean(self, data: Any, initial: Any = None) -> Any:
        return self.wrap(super().clean(data, initial))


class SeveralFilesField(forms.FileField):
    def clean(self, data: Any, initial: Any = None) -> Any:
        return [super(SeveralFilesField, self).clean(item) for item in data]


class TestFiles:
    def test_a_file_is_kept_and_read_again(self, folder: Path) -> None:
        file = stored_and_loaded(forms.FileField(), SimpleUploadedFile("a", b"abc"))
        with file.open() as stored:
            assert stored.read() == b"abc"
        assert isinstance(file, StoredFile)

    def test_a_path_will_do(self, folder: Path, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_bytes(b"abc")
        assert stored_and_loaded(forms.FileField(), path).name == "a.csv"

    def test_an_open_file_will_do(self, folder: Path, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_bytes(b"abc")
        with path.open("rb") as file:
            assert stored_and_loaded(forms.FileField(), file).name == "a.csv"
        unnamed = io.BytesIO(b"abc")
        assert stored_and_loaded(forms.FileField(), unnamed).name == "file"

    @pytest.mark.parametrize("text", [io.StringIO("a"), ContentFile("a", name="a")])
    def test_a_file_that_gives_text_is_refused(self, text: str) -> None:
        (sentence,) = errors_of({"it": forms.FileField()}, {"it": text})["it"]
        assert sentence.startswith("Open the file in binary mode ('rb')")

    def test_a_path_as_text_is_refused(self) -> None:
        (sentence,) = errors_of({"it": forms.FileField()}, {"it": "a.csv"})["it"]
        assert sentence == "Give an open file or a pathlib.Path, not text."

    def test_a_path_that_leads_nowhere_is_refused(self, tmp_path: Path) -> None:
        given = {"it": tmp_path / "gone"}
        (sentence,) = errors_of({"it": forms.FileField()}, given)["it"]
        assert sentence.endswith("gone cannot be read: No such file or directory.")

    def test_an_optional_file_may_be_left_out(self) -> None:
        assert stored_and_loaded(forms.FileField(required=False), None) is None

    def test_a_field_can_wrap_its_file(self, folder: Path) -> None:
        fields = {"it": WrappingField()}
        values = clean(fields, {"it": SimpleUploadedFile("a", b"abc")})
        value = load(fields, dump(fields, values))["it"]
        assert isinstance(value, WrappedFile)
        assert isinstance(value.file, StoredFile)

    def test_several_files_are_a_list(self, folder: Path) -> None:
        files = [SimpleUploadedFile(name, b"abc") for name in "ab"]
        loaded = stored_and_loaded(SeveralFilesField(), files)
        assert [file.name for file in loaded] == ["a", "b"]

    def test_each_run_has_its_own_copy(self, folder: Path) -> None:
        """So that the end of one run takes nothing away from another."""
        first = stored_and_loaded(forms.FileField(), SimpleUploadedFile("a", b"abc"))
        second = stored_and_loaded(forms.FileField(), first)
        assert second.storage_name != first.storage_name
        first.close()

    def test_the_files_of_a_run_can_be_deleted(self, folder: Path) -> None:
        fields = {"one": forms.FileField(), "more": SeveralFilesField()}
        files = {
            "one": SimpleUploadedFile("a", b"abc"),
            "more": [SimpleUploadedFile("b", b"abc")],
        }
        data = dump(fields, files)
        assert len(files_in(folder)) == 2
        delete_files(data)
        assert files_in(folder) == []

    def test_a_dict_that_looks_like_a_file_deletes_nothing(self, folder: Path) -> None:
        stored = stored_and_loaded(forms.FileField(), SimpleUploadedFile("a", b"abc"))
        delete_files({"it": to_json(to_json(stored))})
        assert storage().exists(stored.storage_name)

    def test_where_storing_fails_no_file_is_left(self, folder: Path) -> None:
        fields = {"file": forms.FileField(), "odd": forms.Field()}
        values = {"file": SimpleUploadedFile("a", b"abc"), "odd": object()}
        with pytest.raises(TypeError):
            dump(fields, values)
        assert files_in(folder) == []


class SeveralFilesInput(forms.FileInput):
    allow_multiple_selected = True


class TestFingerprint:
    def test_the_same_parameters_have_the_same(self) -> None:
        assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})

    def test_other_parameters_have_another(self) -> None:
        assert fingerprint({"a": 1}) != fingerprint({"a": "1"})

    def test_the_same_upload_twice_is_the_same(self, folder: Path) -> None:
        fields = {"it": forms.FileField()}

        def upload(name: str, content: Any) -> Any:
            return fingerprint(dump(fields, {"it": SimpleUploadedFile(name, content)}))

        assert upload("a.csv", b"abc") == upload("a.csv", b"abc")
        assert upload("a.csv", b"abc") != upload("a.csv", b"abd")
        assert upload("a.csv", b"abc") != upload("b.csv", b"abc")

    def test_dicts_that_look_like_files_differ_by_all_they_hold(self) -> None:
        one, other = ({"it": to_json({"$file": name})} for name in "ab")
        assert fingerprint(one) != fingerprint(other)

    def test_it_says_nothing_of_the_values(self) -> None:
        assert len(fingerprint({"a": "x" * 1000})) == 64


class TestFromText:
    FIELDS = {
        "content": forms.CharField(),
        "ids": forms.TypedMultipleChoiceField(choices=[(1, "a"), (2, "b")], coerce=int),
        "at": forms.SplitDateTimeField(),
        "sure": forms.BooleanField(required=False),
        "maybe": forms.NullBooleanField(),
        "file": forms.FileField(),
        "files": SeveralFilesField(
            widget=type(
                "Several", (forms.FileInput,), {"allow_multiple_selected": True}
            )
        ),
    }

    def read(self, *pairs: Any, **kwargs: Any) -> Any:
        return from_text(self.FIELDS, pairs, **kwargs)

    def errors(self, *pairs: Any) -> Any:
        with pytest.raises(InvalidParameters) as caught:
            self.read(*pairs)
        return caught.value.errors

    def test_a_text_is_that_text(self) -> None:
        assert self.read(("content", "@home - or not")) == {"content": "@home - or not"}

    def test_a_name_that_is_repeated_makes_a_list(self) -> None:
        given = self.read(("ids", "1"), ("ids", "2"))
        assert given == {"ids": ["1", "2"]}
        assert cleaned(self.FIELDS["ids"], given["ids"]) == [1, 2]

    def test_one_value_for_a_field_of_several_makes_a_list_too(self) -> None:
        assert self.read(("ids", "1")) == {"ids": ["1"]}

    def test_the_parts_of_a_composed_field_are_given_in_turn(self) -> None:
        given = self.read(("at", "2024-01-02"), ("at", "03:04"))
        assert given == {"at": ["2024-01-02", "03:04"]}

    def test_a_field_of_one_value_is_given_once(self) -> None:
        assert self.errors(("content", "a"), ("content", "b")) == {
            "content": ["Given 2 times, but it takes one value."]
        }

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            *(("true", True), ("YES", True), ("on", True), ("1", True)),
            *(("false", False), ("no", False), ("Off", False), ("0", False)),
        ],
    )
    def test_yes_and_no(self, text: str, value: Any) -> None:
        given = self.read(("sure", text), ("maybe", text))
        assert given == {"sure": value, "maybe": value}

    def test_unknown_is_for_fields_that_know_it(self) -> None:
        assert self.read(("maybe", "unknown")) == {"maybe": None}
        assert self.errors(("sure", "unknown")) == {
            "sure": ["Say yes or no, true or false, not 'unknown'."]
        }

    def test_a_file_is_given_by_its_path(self, tmp_path: Path, folder: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_bytes(b"abc")
        given = self.read(("file", f"@{path}"))
        assert stored_and_loaded(self.FIELDS["file"], given["file"]).size == 3

    def test_several_files_are_given_by_their_paths(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"abc")
        given = self.read(*[("files", f"@{tmp_path / 'a'}")] * 2)
        assert [file.name for file in given["files"]] == ["a", "a"]

    def test_a_file_comes_from_standard_input(self, folder: Path) -> None:
        with self.read(("file", "-"), stdin=Pipe(b"abc"))["file"] as file:
            stored = stored_and_loaded(self.FIELDS["file"], file)
        assert (stored.name, stored.size) == ("standard-input", 3)

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("@gone.csv", "gone.csv cannot be read: No such file or directory."),
            (f"@{Path(__file__).parent}", "cannot be read: Is a directory."),
            ("a.csv", "Give a file as @path, or - for the standard input."),
        ],
    )
    def test_a_file_that_cannot_be_read_is_named(
        self, text: str, sentence: str
    ) -> None:
        assert self.errors(("file", text))["file"][0].endswith(sentence)

    def test_a_name_that_nobody_knows_is_left_to_cleaning(self) -> None:
        assert self.read(("nobody", "@knows")) == {"nobody": "@knows"}


class Pipe(io.BytesIO):
    """A stream that can be read once."""

    def seekable(self) -> Any:
        return False

    def seek(self, *args: Any) -> Any:
        raise io.UnsupportedOperation


class TestDescribe:
    FIELDS = {"content": forms.CharField(), "n": forms.IntegerField()}

    def test_the_tasks_own_order_comes_first(self) -> None:
        shown = describe(self.FIELDS, {"gone": True, "n": 5, "content": "a"}, ())
        assert list(shown.items()) == [("content", "a"), ("n", "5"), ("gone", "Yes")]

    def test_what_is_masked_is_hidden_even_where_it_is_empty(self) -> None:
        data = {"content": None, "n": 5, "old_password": "a"}
        assert describe(self.FIELDS, data, ["content"]) == {
            "content": "[FILTERED]",
            "n": "5",
            "old_password": "[FILTERED]",
        }

    def test_files_are_shown_by_name_and_size(self, folder: Path) -> None:
        fields = {"it": forms.FileField()}
        data = dump(fields, {"it": File(io.BytesIO(b"abc"), name="a.csv")})
        assert describe(fields, data, ()) == {"it": "a.csv (3\xa0bytes)"}
