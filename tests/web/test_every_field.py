"""Every field of django.forms is a parameter, and means the same for everyone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django import forms
from django.core.files import File
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import models
from django.utils import timezone, translation
from PIL import Image
from pytest_django import Settings

from tests.execution.story import go_on
from tests.management.commands import upkeep
from tests.testapp.maintenance import Numbers
from tests.testapp.models import Item
from tests.web.conftest import Know
from tests.web.visits import SEE, START, markup, to, visitor
from upkeep import Task
from upkeep.runs.facts import parameters_in_words
from upkeep.runs.models import Run
from upkeep.tasks.parameters import fingerprint

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage", "items")]

BERLIN = dt.timezone(dt.timedelta(hours=1))
COLOURS = [("red", "Red"), ("blue", "Blue")]
HERE = Path(__file__).parent


def image() -> bytes:
    content = BytesIO()
    Image.new("RGB", (2, 2)).save(content, "PNG")
    return content.getvalue()


class Sides(forms.MultiValueField):
    """Two numbers as one value."""

    def __init__(self, **kwargs: Any) -> None:
        number = forms.IntegerField()
        super().__init__([number, number], widget=TwoNumbers(), **kwargs)

    def compress(self, numbers: list[int]) -> str:
        return "×".join(map(str, numbers))


class TwoNumbers(forms.MultiWidget):
    def __init__(self) -> None:
        super().__init__([forms.NumberInput(), forms.NumberInput()])

    def decompress(self, value: str | None) -> list[Any]:
        return value.split("×") if value else [None, None]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A field, one value of it, and how it is given."""

    make: Callable[..., forms.Field]
    texts: Sequence[str]
    """What a person types."""
    value: Any
    """What a program gives and a task sees; a function, where it needs the database."""
    names: Sequence[str] = field(default=("it",))
    """What the parts of the field are called in a form."""
    content: bytes = b""
    """What is in the file, where it is one."""


def kind(make: Callable[..., Any], text: str, value: Any, **options: Any) -> Kind:
    return Kind(make=make, texts=[text], value=value, **options)


def of(name: str, *args: Any, **options: Any) -> Callable[..., forms.Field]:
    return lambda **more: getattr(forms, name)(*args, **options | more)


MOMENT = dt.datetime(2025, 2, 1, 10, 30, tzinfo=BERLIN)
IN_PARTS = ["it_0", "it_1"]

KINDS: dict[str, Kind] = {
    "Field": kind(forms.Field, "as it is", "as it is"),
    "CharField": kind(forms.CharField, "٣ Äpfel\x01", "٣ Äpfel\x01"),
    "IntegerField": kind(forms.IntegerField, "12", 12),
    "FloatField": kind(forms.FloatField, "1.5e30", 1.5e30),
    "DecimalField": kind(forms.DecimalField, "1.10", Decimal("1.10")),
    "DateField": kind(forms.DateField, "01/02/2025", dt.date(2025, 1, 2)),
    "TimeField": kind(forms.TimeField, "23:59", dt.time(23, 59)),
    "DateTimeField": kind(forms.DateTimeField, "2025-02-01T10:30", MOMENT),
    "SplitDateTimeField": Kind(
        make=forms.SplitDateTimeField,
        texts=["02/01/2025", "10:30"],
        value=MOMENT,
        names=IN_PARTS,
    ),
    "DurationField": kind(
        forms.DurationField, "1 02:00:00", dt.timedelta(days=1, hours=2)
    ),
    "RegexField": kind(of("RegexField", r"^[a-z]+$"), "abc", "abc"),
    "EmailField": kind(forms.EmailField, "a@example.com", "a@example.com"),
    "URLField": kind(
        of("URLField", assume_scheme="https"),
        "https://a.example/",
        "https://a.example/",
    ),
    "SlugField": kind(forms.SlugField, "a-slug", "a-slug"),
    "UUIDField": kind(forms.UUIDField, str(UUID(int=7)), UUID(int=7)),
    "GenericIPAddressField": kind(
        forms.GenericIPAddressField, "2001:db8::1", "2001:db8::1"
    ),
    "JSONField": kind(
        forms.JSONField, '{"$date": [1.0, null]}', {"$date": [1.0, None]}
    ),
    "BooleanField": kind(forms.BooleanField, "on", True),
    "NullBooleanField": kind(forms.NullBooleanField, "false", False),
    "ChoiceField": kind(of("ChoiceField", choices=COLOURS), "red", "red"),
    "TypedChoiceField": kind(
        of("TypedChoiceField", choices=[(1, "One")], coerce=int), "1", 1
    ),
    "MultipleChoiceField": Kind(
        make=of("MultipleChoiceField", choices=COLOURS),
        texts=["red", "blue"],
        value=["red", "blue"],
    ),
    "TypedMultipleChoiceField": Kind(
        make=of("TypedMultipleChoiceField", choices=[(1, "1"), (2, "2")], coerce=int),
        texts=["1", "2"],
        value=[1, 2],
    ),
    "FilePathField": kind(
        of("FilePathField", str(HERE), match=r"^visits\.py$"),
        str(HERE / "visits.py"),
        str(HERE / "visits.py"),
    ),
    "ComboField": kind(
        lambda **more: forms.ComboField(
            fields=[forms.CharField(max_length=20), forms.EmailField()], **more
        ),
        "a@example.com",
        "a@example.com",
    ),
    "MultiValueField": Kind(make=Sides, texts=["2", "3"], value="2×3", names=IN_PARTS),
    "ModelChoiceField": kind(
        lambda **more: forms.ModelChoiceField(
            Item.objects.all(), to_field_name="name", **more
        ),
        "seven",
        lambda: Item.objects.get(pk=7),
    ),
    "ModelMultipleChoiceField": Kind(
        make=lambda **more: forms.ModelMultipleChoiceField(
            Item.objects.order_by("-pk"), **more
        ),
        texts=["7", "8"],
        value=lambda: Item.objects.filter(pk__in=[7, 8]),
    ),
    "FileField": kind(forms.FileField, "it.txt", None, content=b"it"),
    "ImageField": kind(forms.ImageField, "it.png", None, content=image()),
}


@pytest.fixture
def items() -> None:
    Item.objects.create(pk=7, name="seven")
    Item.objects.create(pk=8, name="eight")


seen: list[Any] = []


@pytest.fixture
def task(request: pytest.FixtureRequest, known: Know[type[Task]]) -> type[Task]:
    """A task with one parameter, which it tells us."""
    seen.clear()

    def count(self: Any) -> int:
        seen.append(comparable(self.it))
        return 7

    members = {
        "it": KINDS[request.param].make(),
        "count": count,
        "__module__": __name__,
        "__qualname__": "<locals>.One",
    }
    return known(type("One", (Numbers,), members))


def comparable(value: Any) -> Any:
    if isinstance(value, models.QuerySet):
        return {record.pk for record in value}
    if isinstance(value, File):
        with value.open() as file:
            return file.read()
    return value


def expected(kind: Kind) -> Any:
    value = kind.value() if callable(kind.value) else kind.value
    return comparable(kind.content or value)


# The three ways to start a run


def by_python(task: type[Task], kind: Kind, folder: Path) -> Run:
    if kind.content:
        return task.enqueue(it=folder / kind.texts[0])
    return task.enqueue(it=kind.value() if callable(kind.value) else kind.value)


def by_command(task: type[Task], kind: Kind, folder: Path) -> Run:
    texts = [f"@{folder}/{each}" if kind.content else each for each in kind.texts]
    words = [word for each in texts for word in ("-p", f"it={each}")]
    outcome = upkeep("run", task.label(), *words)
    assert outcome.status == 0, outcome
    return latest()


def by_page(
    task: type[Task], kind: Kind, folder: Path, *, headers: dict[str, str] | None = None
) -> Run:
    given: Any = dict(zip(kind.names, kind.texts, strict=False))
    if kind.content:
        given = {"it": SimpleUploadedFile(kind.texts[0], kind.content)}
    elif len(kind.texts) > len(kind.names):
        given = {"it": list(kind.texts)}
    client = visitor(SEE, START)
    answer = client.post(to("task", task.label()), given, headers=headers)
    assert answer.status_code == 302, markup(answer).words
    return latest()


WAYS = [by_python, by_command, by_page]


def latest() -> Run:
    return Run.objects.latest("pk")


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    for kind in KINDS.values():
        if kind.content:
            (tmp_path / kind.texts[0]).write_bytes(kind.content)
    return tmp_path


def test_every_field_of_django_is_tried() -> None:
    public = {
        name
        for name, value in vars(forms).items()
        if isinstance(value, type) and issubclass(value, forms.Field)
    }
    assert set(KINDS) == public


@pytest.mark.parametrize("task", KINDS, indirect=True)
@pytest.mark.parametrize("way", WAYS)
def test_a_worker_sees_what_was_given_and_people_may_read_it(
    way: Callable[..., Run],
    task: type[Task],
    folder: Path,
    request: pytest.FixtureRequest,
) -> None:
    kind = KINDS[request.node.callspec.params["task"]]
    run = way(task, kind, folder)
    assert go_on(run).status == "succeeded"
    assert seen == [expected(kind)]
    assert type(seen[0]) is type(expected(kind))
    (shown,) = parameters_in_words(run).values()
    page = markup(visitor(SEE).get(to("run", run.pk)))
    words = " ".join(shown.replace("\x01", " ").split())
    assert words in page.words.replace("\x01", "")
    status = upkeep("status", run.pk).out
    assert words in " ".join(status.replace("\x01", " ").split())


# Whoever asks, and whoever works

PEOPLE = [("de", "Europe/Berlin"), ("en-us", "America/Los_Angeles")]
WORKER = ("fa", "Asia/Kolkata")


@contextmanager
def being(language: str, zone: str) -> Iterator[None]:
    with translation.override(language), timezone.override(zone):
        yield


@pytest.fixture(params=["en-us", "de"])
def project(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Settings]:
    """A project whose people have locales and time zones of their own."""
    settings.LANGUAGE_CODE = request.param
    settings.USE_THOUSAND_SEPARATOR = True
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.middleware.locale.LocaleMiddleware",
        "tests.web.visits.in_zone_of_person",
    ]
    with translation.override(None):  # The middleware leaves its language behind.
        yield settings


def runs_of_everyone(task: type[Task], kind: Kind, folder: Path) -> Iterator[Run]:
    for language, zone in PEOPLE:
        with being(language, zone):
            yield by_python(task, kind, folder)
            yield by_command(task, kind, folder)
        headers = {"Accept-Language": language, "X-Zone": zone}
        yield by_page(task, kind, folder, headers=headers)


@pytest.mark.parametrize("task", KINDS, indirect=True)
def test_people_and_workers_agree_whatever_they_speak_and_wherever_they_are(
    task: type[Task], project: Settings, folder: Path, request: pytest.FixtureRequest
) -> None:
    kind = KINDS[request.node.callspec.params["task"]]
    if project.LANGUAGE_CODE == "de":
        kind = in_german(kind)
    runs = list(runs_of_everyone(task, kind, folder))
    with being(*WORKER):
        for run in runs:
            assert go_on(run).status == "succeeded"
    assert seen == [expected(kind)] * 6
    assert len({fingerprint(run.parameters) for run in runs}) == 1


def in_german(kind: Kind) -> Kind:
    """Return the kind as one writes it in a project whose language is German."""
    words = {"01/02/2025": "02.01.2025", "02/01/2025": "01.02.2025"}
    texts = [words.get(text, text) for text in kind.texts]
    return Kind(**vars(kind) | {"texts": texts})


LOCALIZED = {
    "IntegerField": ("1.234", 1234),
    "FloatField": ("1.234,5", 1234.5),
    "DecimalField": ("1.234,50", Decimal("1234.50")),
}


@pytest.mark.parametrize("project", ["de"], indirect=True)
@pytest.mark.parametrize("name", LOCALIZED)
def test_a_localized_number_is_written_as_in_the_project(
    name: str, project: Settings, known: Know[type[Task]], folder: Path
) -> None:
    text, value = LOCALIZED[name]
    it = getattr(forms, name)(localize=True, initial=value)
    members = {"it": it, "__module__": __name__, "__qualname__": "<locals>.Localized"}
    task = known(type("Localized", (Numbers,), members))
    made = kind(type(it), text, value)
    runs = list(runs_of_everyone(task, made, folder))
    assert [task.restore(run.parameters).values["it"] for run in runs] == [value] * 6
    for language, zone in PEOPLE:
        headers = {"Accept-Language": language, "X-Zone": zone}
        page = visitor(SEE, START).get(to("task", task.label()), headers=headers)
        (box,) = markup(page).named("it")
        assert task(it=box["value"]).values["it"] == value
