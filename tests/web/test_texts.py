"""
Whatever text a task, a person or an error brings along is text on the pages.

The table lists every field that can carry one; each is tried with what would run as
a script, open an element, or be worked out by a template.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django import forms
from django.core.files.base import ContentFile

from tests.runs.stages import claim
from tests.testapp.maintenance import ImportItems, Numbers
from tests.web.conftest import Know
from tests.web.visits import (
    JSON,
    KINDS,
    PAGE,
    PART,
    SEE,
    START,
    STEER,
    Markup,
    client_of,
    inline,
    text,
    to,
    user,
)
from upkeep import Task, parameter
from upkeep.runs.events import Event
from upkeep.runs.models import Run
from upkeep.runs.queues import Queue
from upkeep.runs.status import Status

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]

ATTACKS = {
    "script": "<script>alert(1)</script>",
    "attribute": "\"><img src=x onerror='alert(2)'>",
    "single": '\'><img src=x onerror="alert(2)">',
    "template": "{{ 70001|add:70001 }}{% debug %}",
    "end": "</textarea></title></pre></select><script>alert(3)</script>",
}

Place = Callable[[str], Run]


def with_columns(**columns: Any) -> Run:
    run = Numbers.enqueue()
    Run.objects.filter(pk=run.pk).update(**columns)
    run.refresh_from_db()
    return run


def errored(**columns: Any) -> Run:
    run = Numbers.enqueue()
    claim(run).end(Status.ERRORED, **{"error_class": "x.Error"} | columns)
    return run


def told(kind: Event.Kind, attack: str, **fields: Any) -> Run:
    run = Numbers.enqueue()
    run.tell(kind, attack, **fields)
    return run


def with_file_name(attack: str) -> Run:
    # A slash in it would be taken for the end of a folder's name.
    name = attack.replace("/", "\N{FRACTION SLASH}") + ".csv"
    return ImportItems.enqueue(csv_file=ContentFile(b"name,n\n", name=name))


def asked_for_by(attack: str) -> Run:
    return Numbers.using(by=user(name=attack)).enqueue()


def throttled(**columns: str) -> Run:
    told = {"throttled_by": "replica", "throttled_since": "2020-01-01T00:00Z"}
    return with_columns(run_after="2999-01-01T00:00Z", **told | columns)


def paused_by(attack: str) -> Run:
    run = Numbers.enqueue()
    run.pause(by=user(name=attack))
    return run


def waiting_in(attack: str) -> Run:
    Queue.objects.create(
        backend="default", name=attack[:64], taken_at="2020-01-01T00:00Z"
    )
    return with_columns(queue=attack[:64], created_at="2020-01-01T00:00Z")


# Fields of a row, by the name of who fills them.
PLACES: dict[str, Place] = {
    "parameter": lambda attack: with_columns(parameters={"n": attack}),
    "name of a parameter": lambda attack: with_columns(parameters={attack: 1}),
    "parameter within": lambda attack: with_columns(parameters={"n": [{"a": attack}]}),
    "file name": with_file_name,
    "log line": lambda attack: told(Event.Kind.LOG, attack),
    "reason": lambda attack: told(Event.Kind.MOVE, attack, status=Status.PAUSED),
    "throttle": lambda attack: throttled(throttled_by=attack),
    "reason of a throttle": lambda attack: throttled(throttled_reason=attack),
    "reason of now": lambda attack: with_columns(reason=attack),
    "actor": lambda attack: told(
        Event.Kind.MOVE, "", status=Status.PAUSED, actor=attack
    ),
    "actor of a pause": paused_by,
    "user": asked_for_by,
    "error class": lambda attack: errored(error_class=attack),
    "error message": lambda attack: errored(error_message=attack),
    "traceback": lambda attack: errored(traceback=f"Traceback\n{attack}\n"),
    "result": lambda attack: with_columns(result={"html": attack}),
    "key of a result": lambda attack: with_columns(result={attack: [1]}),
    "metadata": lambda attack: with_columns(metadata={"html": attack}),
    "worker": lambda attack: with_columns(worker=attack),
    "cursor": lambda attack: with_columns(cursor=[attack]),
    "queue": waiting_in,
    "backend": lambda attack: with_columns(backend=attack[:64]),
    "label of a vanished task": lambda attack: with_columns(task=f"testapp.{attack}"),
}

each_attack = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
each_kind = pytest.mark.parametrize("headers", KINDS.values(), ids=KINDS)


def assert_harmless(answer: Any, headers: dict[str, str]) -> None:
    """See that the answer has no element, attribute or sum that an attack brought."""
    if headers == JSON:
        assert answer["Content-Type"] == "application/json"
        assert answer["X-Content-Type-Options"] == "nosniff"
        return
    page = Markup(text(answer))
    assert list(inline(page)) == []
    assert page.all("img") == []
    assert len(page.all("script")) == (0 if headers == PART else 3)
    assert "140002" not in text(answer)


class TestStored:
    @pytest.mark.parametrize("place", PLACES)
    @each_attack
    @each_kind
    def test_a_text_of_a_run_is_text_on_every_page(
        self, place: str, attack: str, headers: dict[str, str]
    ) -> None:
        run = PLACES[place](attack)
        client = client_of(user(SEE, START, STEER))
        for url in (
            to("task-list"),
            to("task", run.task),
            to("run", run.pk),
            to("run-progress", run.pk),
        ):
            answer = client.get(url, headers=headers)
            assert answer.status_code == 200
            assert_harmless(answer, headers)

    @pytest.mark.parametrize(
        "place", sorted(set(PLACES) - {"reason of now", "backend"})
    )
    def test_and_it_is_there_to_be_read(self, place: str) -> None:
        """Or the table would try nothing."""
        run = PLACES[place]("<b onclick=x>")
        answer = client_of(user(SEE, START, STEER)).get(to("run", run.pk))
        assert "&lt;b onclick=x&gt;" in text(answer).replace("\\u003c", "<")

    @each_attack
    def test_the_name_of_who_looks_is_text(self, attack: str) -> None:
        client = client_of(user(SEE, name=attack))
        assert_harmless(client.get(to("task-list")), PAGE)

    @each_attack
    @each_kind
    def test_a_refused_wish_is_text(self, attack: str, headers: dict[str, str]) -> None:
        run = with_columns(task=f"testapp.{attack}")
        run.cancel()
        client = client_of(user(SEE, STEER))
        answer = client.post(to("run-pause", run.pk), headers=headers)
        assert answer.status_code == 409
        assert_harmless(answer, headers)


class TestDeclared:
    """What a developer writes, who may have meant no harm."""

    @pytest.fixture(params=list(ATTACKS.values()), ids=list(ATTACKS))
    def attack(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def task(self, known: Know[type[Task]], attack: str) -> type[Task]:
        choices = [(attack, attack), ("group" + attack, [("b" + attack, attack)])]

        class Declared(Numbers):
            """<script>alert("in the source")</script>."""

            text: str = parameter(
                forms.CharField(
                    initial=attack,
                    label=attack,
                    help_text=attack,
                    required=False,
                )
            )
            long: str = parameter(
                forms.CharField(initial=attack, widget=forms.Textarea, required=False)
            )
            choice: str = parameter(forms.ChoiceField(choices=choices, required=False))
            radio: str = parameter(
                forms.ChoiceField(
                    choices=choices, widget=forms.RadioSelect, required=False
                )
            )
            unseen: str = parameter(
                forms.CharField(
                    initial=attack, widget=forms.HiddenInput, required=False
                )
            )
            wrong: int = parameter(
                forms.IntegerField(required=False, error_messages={"invalid": attack})
            )

        Declared.__doc__ = f"{attack}\n\n{attack}"
        return known(Declared)

    @each_kind
    def test_is_text_on_every_page(
        self, task: type[Task], headers: dict[str, str]
    ) -> None:
        client = client_of(user(SEE, START))
        for url in (to("task-list"), to("task", task.label())):
            assert_harmless(client.get(url, headers=headers), headers)

    @each_kind
    def test_is_text_in_what_is_wrong(
        self, task: type[Task], attack: str, headers: dict[str, str]
    ) -> None:
        client = client_of(user(SEE, START))
        given = {"wrong": attack, "choice": attack + attack}
        answer = client.post(to("task", task.label()), given, headers=headers)
        assert answer.status_code == 422
        assert_harmless(answer, headers)

    @each_kind
    def test_is_text_where_the_class_says_it(
        self, known: Know[type[Task]], attack: str, headers: dict[str, str]
    ) -> None:
        @known
        class Choosy(Numbers):
            n: int = parameter(forms.IntegerField(required=False))

            def clean(self) -> None:
                raise forms.ValidationError(attack)

        client = client_of(user(SEE, START))
        answer = client.post(to("task", "testapp.Choosy"), headers=headers)
        assert answer.status_code == 422
        assert_harmless(answer, headers)


class TestReflected:
    """What an address brings along."""

    @each_attack
    @each_kind
    def test_words_that_are_searched_for(
        self, attack: str, headers: dict[str, str]
    ) -> None:
        client = client_of(user(SEE))
        answer = client.get(to("task-list"), {"q": attack}, headers=headers)
        assert answer.status_code == 200
        assert_harmless(answer, headers)

    @each_attack
    @each_kind
    def test_values_for_the_form(self, attack: str, headers: dict[str, str]) -> None:
        client = client_of(user(SEE, START))
        url = to("task", "testapp.CountUpTo")
        answer = client.get(url, {"up_to": attack, "before": attack}, headers=headers)
        assert answer.status_code == 200
        assert_harmless(answer, headers)

    @each_attack
    @each_kind
    def test_where_a_page_of_the_story_begins(
        self, attack: str, headers: dict[str, str]
    ) -> None:
        run = Numbers.enqueue()
        client = client_of(user(SEE))
        answer = client.get(to("run", run.pk), {"before": attack}, headers=headers)
        assert answer.status_code == 200
        assert_harmless(answer, headers)

    @each_attack
    @each_kind
    def test_labels_that_nobody_knows(
        self, attack: str, headers: dict[str, str]
    ) -> None:
        answer = client_of(user(SEE)).get(to("task", attack), headers=headers)
        assert answer.status_code == 404
        if headers != PART:  # which is plain text
            assert_harmless(answer, headers)
        else:
            assert answer["Content-Type"] == "text/plain"
