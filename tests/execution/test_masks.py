"""Ways out that a masked value might find, from inside of a task and before it."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest
from django import forms
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.serializers.json import DjangoJSONEncoder
from pytest_django import Settings

from tests.execution.story import go_on
from tests.management.commands import upkeep
from upkeep import InvalidParameters, Job, Task, parameter
from upkeep.models import Run
from upkeep.runs.facts import facts

pytestmark = pytest.mark.django_db

Known = Callable[[Any], Any]

SECRET = 'open "sesame"\nund schließ/dich'
TELLTALES = ("sesame", "schlie", "dich")


def chained(text: str) -> Exception:
    error = ValueError("innocent")
    error.__cause__ = KeyError(text)
    error.__cause__.__context__ = OSError(5, text)
    return error


def with_note(text: str) -> Exception:
    error = ValueError("innocent")
    error.add_note(f"It was {text}")
    error.add_note(repr(text))
    return error


def in_group(text: str) -> Exception:
    return ExceptionGroup(text, [ValueError(text), TypeError(repr(text))])


ERRORS: dict[str, Callable[[str], BaseException]] = {
    "message": ValueError,
    "repr": lambda text: ValueError(repr(text)),
    "key": KeyError,
    "several": lambda text: ValueError("a", text, [text]),
    "validation": lambda text: ValidationError({"it": [text]}),
    "json": lambda text: ValueError(json.dumps({"key": text})),
    "bytes": lambda text: ValueError(text.encode()),
    "address": lambda text: OSError(f"GET /?key={quote_plus(text)} failed"),
    "chained": chained,
    "note": with_note,
    "group": in_group,
    "exit": SystemExit,
}


def told(run: Run, records: list[logging.LogRecord]) -> str:
    """Return all that can be read of a run, and what went to the log."""
    run.refresh_from_db()
    columns = [
        str(getattr(run, each.name))
        for each in Run._meta.concrete_fields
        if each.name != "parameters"
    ]
    logs = [logging.Formatter().format(record) for record in records]
    raw = [repr(record.args) for record in records]
    events = list(run.events.values_list("text", flat=True))
    by_command = [upkeep("status", run.pk).out, upkeep("log", run.pk).out]
    as_json = json.dumps(facts(run), cls=DjangoJSONEncoder, ensure_ascii=False)
    return "\n".join([*columns, *logs, *raw, *events, *by_command, as_json])


def assert_nothing_is_told(text: str) -> None:
    for telltale in TELLTALES:
        assert telltale not in text


@pytest.mark.parametrize("way", ERRORS)
def test_no_error_tells(
    way: str, known: Known, caplog: pytest.LogCaptureFixture
) -> None:
    @known
    class Trial(Job):
        key: str = parameter(forms.CharField())
        masked = ("key",)

        def perform(self) -> None:
            secret = self.key  # Local variables are not shown.
            raise ERRORS[way](secret)

    run = Trial.run_now(key=SECRET)
    assert run.status == "errored"
    assert_nothing_is_told(told(run, caplog.records))


def test_no_line_of_a_log_and_no_result_tells(
    known: Known, caplog: pytest.LogCaptureFixture
) -> None:
    @known
    class Trial(Job):
        key: str = parameter(forms.CharField())
        masked = ("key",)

        def perform(self) -> Any:
            for text in (self.key, repr(self.key), json.dumps(self.key)):
                self.log(f"I know: {text}")
            for line in self.key.splitlines():
                self.log(line)
            return {self.key: [self.key, {"a": repr(self.key)}]}

    run = Trial.run_now(key=SECRET)
    assert run.status == "succeeded"
    assert_nothing_is_told(told(run, caplog.records))


def test_the_name_and_the_place_of_a_masked_file_are_not_told(
    known: Known, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = settings.STORAGES | {"upkeep": memory}

    @known
    class Trial(Job):
        it: Any = parameter(forms.FileField())
        masked = ("it",)

        def perform(self) -> None:
            raise ValueError(f"{self.it} at {self.it.storage_name}")

    run = Trial.run_now(it=ContentFile(b"a", name="sesame dich.csv"))
    assert_nothing_is_told(told(run, caplog.records))


@pytest.mark.parametrize("change", ["type", "vanished", "taken away"])
def test_a_task_that_cannot_be_made_tells_nothing(
    change: str,
    known: Known,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    @known
    class Trial(Job):
        it: Any = parameter(forms.CharField())
        masked = ("it",)

    run = Trial.enqueue(it="sesame")
    field: forms.Field = forms.IntegerField()
    if change == "vanished":
        field = forms.ModelChoiceField(Group.objects, to_field_name="name")
        reference = {"it": {"$model": "auth.group", "pk": "sesame-dich"}}
        Run.objects.filter(pk=run.pk).update(parameters=reference)
    fields = {} if change == "taken away" else {"it": field}
    monkeypatch.setattr(Trial, "fields", fields)
    run = go_on(run)
    assert run.status == "errored"
    assert_nothing_is_told(told(run, caplog.records))


class TestRefused:
    """Before there is a run."""

    FIELDS: dict[str, forms.Field] = {
        "choice": forms.ChoiceField(choices=[("a", "A")]),
        "choices": forms.MultipleChoiceField(choices=[("a", "A")]),
        "yes or no": forms.BooleanField(),
        "file": forms.FileField(),
    }

    @pytest.fixture(params=FIELDS)
    def task(self, request: pytest.FixtureRequest, known: Known) -> type[Task]:
        members = {
            "it": self.FIELDS[request.param],
            "masked": ("it",),
            "__module__": __name__,
            "__qualname__": "<locals>.Trial",
        }
        return known(type("Trial", (Job,), members))  # type: ignore[no-any-return]

    def test_values_are_not_told_by_the_command(self, task: type[Task]) -> None:
        outcome = upkeep("run", task.label(), "-p", "it=@sesame-dich")
        assert outcome.status == 2
        assert_nothing_is_told(outcome.out + outcome.err.replace("@sesame-dich", "@"))

    def test_nor_by_the_error(self, task: type[Task]) -> None:
        with pytest.raises(InvalidParameters) as caught:
            task.enqueue(it=[SECRET], unknown=1)
        assert_nothing_is_told(str(caught.value))

    def test_nor_by_what_the_task_finds(self, known: Known) -> None:
        @known
        class Trial(Job):
            key: str = parameter(forms.CharField())
            masked = ("key",)

            def clean(self) -> None:
                raise ValidationError(f"{self.key} is wrong.")

        with pytest.raises(InvalidParameters, match=r"\[FILTERED\] is wrong") as caught:
            Trial.enqueue(key=SECRET)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_what_is_encoded_otherwise_is_not_found(known: Known) -> None:
    """As the reference says."""

    @known
    class Trial(Job):
        key: str = parameter(forms.CharField())
        masked = ("key",)

        def perform(self) -> None:
            self.log(base64.b64encode(self.key.encode()).decode())
            self.log(self.key.upper())

    run = Trial.run_now(key="open sesame")
    lines = list(run.events.filter(kind="log").values_list("text", flat=True))
    assert lines == ["b3BlbiBzZXNhbWU=", "OPEN SESAME"]
