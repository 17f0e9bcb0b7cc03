"""The list of tasks, a task's page, and how a run is started there."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from django import forms
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import localtime
from pytest_django import Settings

from tests.registering import registered, renamed
from tests.runs.stages import run_in
from tests.testapp.maintenance import CountUp, Numbers
from tests.web.conftest import Know
from tests.web.visits import (
    JSON,
    PART,
    SEE,
    START,
    STEER,
    client_of,
    markup,
    text,
    to,
    user,
    visitor,
)
from upkeep import Task
from upkeep.runs.models import Run
from upkeep.runs.status import Status
from upkeep.tasks import registry
from upkeep.web.tasks import PAGE

pytestmark = pytest.mark.django_db

LIST = "/upkeep/"
NUMBERS = "/upkeep/tasks/testapp.Numbers/"
COUNT_UP = "/upkeep/tasks/testapp.CountUp/"
REPORT = "/upkeep/tasks/testapp.Report/"


@pytest.fixture
def client() -> Client:
    return visitor(SEE, START, STEER)


def live(answer: Any) -> dict[str, str] | None:
    """Return what a page asks for again and again, if it does."""
    found = [each for each in markup(answer).all("div") if "hx-get" in each]
    return found[0] if found else None


def retry_of(parent: Run, number: int = 1) -> None:
    for place in range(number):
        parent.dead_letters.create(item=f"item {place}", error_class="x.Error")
    parent.dead_letters.retry()


def version(answer: Any) -> str:
    part = live(answer)
    assert part is not None
    return part["hx-vals"].split('"')[3]


class TestStart:
    def test_leads_to_the_run(self) -> None:
        asker = user(SEE, START, name="ada")
        answer = client_of(asker).post(NUMBERS)
        run = Run.objects.get()
        assert (answer.status_code, answer["Location"]) == (302, to("run", run.pk))
        assert (run.requested_by, run.status) == (asker, Status.ENQUEUED)
        (event,) = run.events.all()
        assert (event.actor, event.source) == ("ada", "page")

    def test_in_json_tells_of_the_run(self, client: Client) -> None:
        answer = client.post(NUMBERS, headers=JSON)
        run = Run.objects.get()
        assert answer.status_code == 201
        assert answer.json()["id"] == run.pk
        assert answer.json()["url"] == to("run", run.pk)

    def test_is_409_while_the_same_is_under_way(self, client: Client) -> None:
        first = CountUp.enqueue()
        answer = client.post(COUNT_UP)
        assert answer.status_code == 409
        assert (
            f"un {first.pk} of testapp.CountUp with the same parameters is enqueued."
            in (markup(answer).words)
        )
        data = client.post(COUNT_UP, headers=JSON)
        assert data.status_code == 409
        assert "is enqueued" in data.json()["errors"]["__all__"][0]
        assert Run.objects.count() == 1

    def test_is_409_where_the_queue_refuses(
        self, client: Client, settings: Settings
    ) -> None:
        settings.TASKS = {"default": settings.TASKS["default"] | {"QUEUES": ["other"]}}
        answer = client.post(NUMBERS)
        assert answer.status_code == 409
        assert "TASKS['default'] has no queue 'default'." in markup(answer).words
        assert not Run.objects.exists()

    def test_is_409_where_the_task_is_gone(self, client: Client) -> None:
        Run.objects.create(task="testapp.Gone")
        answer = client.post(to("task", "testapp.Gone"))
        assert answer.status_code == 409
        assert "The task testapp.Gone is gone from the code." in markup(answer).words


class TestGone:
    """A task whose class is no more."""

    @pytest.mark.parametrize("label", ["testapp.Gone", "odd/label", "söß"])
    def test_has_a_page_as_long_as_it_has_runs(
        self, client: Client, label: str
    ) -> None:
        run = Run.objects.create(task=label)
        answer = client.get(to("task", label))
        assert answer.status_code == 200
        assert "This task is gone from the code." in markup(answer).words
        assert to("run", run.pk) in text(answer)
        assert 'method="post"' not in text(answer)
        assert "Source" not in markup(answer).words
        assert label in markup(client.get(LIST)).words.replace(" ", "")
        assert client.get(to("task", label), headers=JSON).json()["parameters"] is None


class TestRuns:
    """The runs of a task on its page."""

    def test_are_parted_into_active_and_earlier_ones(self, client: Client) -> None:
        active = run_in(Status.PAUSED, Numbers)
        ended = run_in(Status.CANCELLED, Numbers)
        words = markup(client.get(NUMBERS)).words
        first, second = words.split("Earlier runs")
        assert f"Active runs Run {active.pk} Paused" in first
        assert f"Run {ended.pk} Cancelled" in second
        assert f"Run {ended.pk}" not in first

    @pytest.mark.parametrize("status", list(Status))
    def test_have_number_status_and_moment(
        self, client: Client, status: Status
    ) -> None:
        run = run_in(status, Numbers)
        page = markup(client.get(NUMBERS))
        assert f"Run {run.pk} {status.label}" in page.words
        assert f"badge is-{status}" in page.values("class")
        began = localtime(run.created_at).date().isoformat()
        assert began in page.all("time")[0]["datetime"]

    @pytest.mark.parametrize("url", [LIST, NUMBERS])
    def test_that_retry_dead_letters_say_whose(self, client: Client, url: str) -> None:
        retry_of(parent := run_in(Status.SUCCEEDED), number=2)
        page = markup(client.get(url))
        words = f"retries 2 dead letters of run {parent.pk}"
        assert words in page.words.replace(" ,", ",")
        assert to("run", parent.pk) in [each["href"] for each in page.all("a")]

    @pytest.mark.parametrize("url", [LIST, NUMBERS])
    def test_that_retry_dead_letters_cost_what_others_do(
        self, client: Client, url: str
    ) -> None:
        retry_of(run_in(Status.SUCCEEDED))
        with CaptureQueriesContext(connection) as before:
            client.get(url)
        for _ in range(3):
            retry_of(run_in(Status.SUCCEEDED))
        with CaptureQueriesContext(connection) as after:
            client.get(url)
        assert len(after) == len(before)

    def test_that_there_are_none_is_said(self, client: Client) -> None:
        assert "It has never run." in markup(client.get(NUMBERS)).words


class TestList:
    def test_links_to_each_task_in_its_group(self, client: Client) -> None:
        Numbers.enqueue()
        run_in(Status.SUCCEEDED, CountUp)
        page = markup(client.get(LIST))
        linked = [each["href"] for each in page.all("a")]
        for task in registry.tasks():
            assert to("task", task.label()) in linked
        places = [linked.index(url) for url in (NUMBERS, REPORT, COUNT_UP)]
        assert places == sorted(places)
        headings = [page.words.index(group) for group in ("Active", "New", "Completed")]
        assert headings == sorted(headings)

    def test_costs_the_same_however_many_runs_and_tasks_there_are(
        self, client: Client, known: Know[type[Task]]
    ) -> None:
        run_in(Status.RUNNING, Numbers)
        client.get(LIST)
        with CaptureQueriesContext(connection) as before:
            client.get(LIST)
        for number in range(30):
            members = {"__module__": __name__, "__qualname__": f"<locals>.T{number}"}
            task = known(type(f"T{number}", (Numbers,), members))
            task.using(by=user()).enqueue()
            run_in(Status.SUCCEEDED, task)
        for _ in range(30):
            Numbers.using(by=user()).enqueue()
        for headers in ({}, JSON, PART):
            with CaptureQueriesContext(connection) as after:
                assert client.get(LIST, headers=headers).status_code == 200
            assert len(after) <= len(before)

    @pytest.mark.parametrize("headers", [{}, JSON, PART], ids=["page", "json", "part"])
    def test_asks_a_task_for_its_label_no_oftener_when_there_are_more(
        self, client: Client, headers: dict[str, str]
    ) -> None:
        def questions(tasks: int) -> int:
            module = {"__module__": "tests.testapp.maintenance"}
            made: list[type[Task]] = [
                type(f"T{n}", (Numbers,), module) for n in range(tasks)
            ]
            runs = [Run(task=task.label(), active_key=task.label()) for task in made]
            Run.objects.bulk_create(runs)
            label = mock.Mock(side_effect=lambda cls: f"testapp.{cls.__name__}")
            with mock.patch.object(Task, "label", classmethod(label)):
                assert "T0" in text(client.get(LIST, headers=headers))
            Run.objects.all().delete()
            return label.call_count

        with registered():
            few = questions(20)
        with registered():
            assert questions(40) <= 2 * few

    def test_finds_words_in_names_and_descriptions(self, client: Client) -> None:
        def labels(words: str) -> set[str]:
            answer = client.get(LIST, {"q": words}, headers=JSON)
            return {each["label"] for each in answer.json()["tasks"]}

        assert "testapp.Numbers" in labels("NUMB")
        assert "testapp.Numbers" in labels("walk a sequence")
        assert labels("no task says this") == set()

    def test_has_a_group_for_each_state(self, client: Client) -> None:
        Numbers.enqueue()
        run_in(Status.SUCCEEDED, CountUp)
        tasks = client.get(LIST, headers=JSON).json()["tasks"]
        groups = {each["label"]: each["group"] for each in tasks}
        assert groups["testapp.Numbers"] == "active"
        assert groups["testapp.CountUp"] == "completed"
        assert groups["testapp.Report"] == "new"


@pytest.mark.parametrize("url", [LIST, NUMBERS])
class TestPolls:
    def test_stop_when_nothing_is_active(self, client: Client, url: str) -> None:
        run = Numbers.enqueue()
        assert live(client.get(url)) is not None
        run.cancel()
        for headers in ({}, PART):
            assert live(client.get(url, headers=headers)) is None

    def test_are_204_when_nothing_is_new_and_200_when_something_is(
        self, client: Client, url: str
    ) -> None:
        run = run_in(Status.RUNNING, Numbers)
        page = client.get(url)
        seen = {"seen": version(page)}
        answer = client.get(url, seen, headers=PART)
        assert (answer.status_code, answer.content) == (204, b"")
        Run.objects.filter(pk=run.pk).update(done=5)
        answer = client.get(url, seen, headers=PART)
        assert answer.status_code == 200
        assert "<html" not in text(answer)
        seen = {"seen": version(answer)}
        assert client.get(url, seen, headers=PART).status_code == 204

    def test_see_a_run_that_begins(self, client: Client, url: str) -> None:
        Numbers.enqueue()
        seen = {"seen": version(client.get(url))}
        Numbers.enqueue()
        assert client.get(url, seen, headers=PART).status_code == 200

    def test_cost_at_most_four_queries_of_ours(self, client: Client, url: str) -> None:
        run_in(Status.RUNNING, Numbers)
        with CaptureQueriesContext(connection) as queries:
            client.get(url, headers=PART)
        ours = [each for each in queries.captured_queries if "upkeep_" in each["sql"]]
        assert 0 < len(ours) <= 4


class TestEarlierRuns:
    def test_come_in_pages_with_none_missed_and_none_twice(
        self, client: Client
    ) -> None:
        runs = [run_in(Status.CANCELLED, Numbers).pk for _ in range(2 * PAGE + 3)]
        shown, url, sizes = list[int](), NUMBERS, list[int]()
        while url:
            data = client.get(url, headers=JSON).json()
            page = [each["id"] for each in data["ended"]]
            shown += page
            sizes.append(len(page))
            # What is added meanwhile is no reason to show one twice.
            run_in(Status.CANCELLED, Numbers)
            url = f"{NUMBERS}?before-run={data['further']}" if data["further"] else ""
        assert shown == sorted(runs, reverse=True)
        assert sizes == [PAGE, PAGE, 3]

    def test_are_linked_from_page_to_page(self, client: Client) -> None:
        for _ in range(PAGE + 1):
            run_in(Status.CANCELLED, Numbers)
        first = markup(client.get(NUMBERS))
        (older,) = [
            each["href"] for each in first.all("a") if each.get("rel") == "next"
        ]
        second = markup(client.get(NUMBERS + older))
        assert NUMBERS in [each["href"] for each in second.all("a")]
        assert [each for each in second.all("a") if each.get("rel") == "next"] == []

    def test_are_never_counted_off(self, client: Client) -> None:
        for _ in range(PAGE + 1):
            run_in(Status.CANCELLED, Numbers)
        with CaptureQueriesContext(connection) as queries:
            client.get(NUMBERS, {"before-run": "5"})
        statements = [each["sql"] for each in queries.captured_queries]
        assert not [sql for sql in statements if "OFFSET" in sql or "COUNT(" in sql]

    @pytest.mark.parametrize(
        "before", ["-1", "x", "1.5", "9" * 19, "9" * 30, "9" * 5000, "²", "٣", "\0"]
    )
    def test_behind_anything_odd_are_no_error(
        self, client: Client, before: str
    ) -> None:
        run = Numbers.enqueue()
        for url in (NUMBERS, to("run", run.pk)):
            for headers in ({}, JSON, PART):
                query = {"before": before, "before-run": before}
                answer = client.get(url, query, headers=headers)
                assert answer.status_code == 200

    def test_and_a_parameter_may_have_any_name(
        self, client: Client, known: Know[type[Task]]
    ) -> None:
        class Tidy(Numbers):
            before = forms.IntegerField()

        url = to("task", known(Tidy).label())
        runs = [run_in(Status.CANCELLED, Tidy, before=1).pk for _ in range(PAGE + 1)]
        page = markup(client.get(url, {"before": runs[0]}))
        assert to("run", runs[-1]) in [each["href"] for each in page.all("a")]
        (older,) = [each["href"] for each in page.all("a") if each.get("rel") == "next"]
        (field,) = markup(client.get(url + older)).named("before")
        assert "value" not in field

    def test_of_a_renamed_task_are_there_under_both_names(self, client: Client) -> None:
        run = run_in(Status.CANCELLED, Numbers)
        Run.objects.update(task="testapp.Former")
        for label in ("testapp.Numbers", "testapp.Former"):
            with renamed(Numbers, former="testapp.Former"):
                data = client.get(to("task", label), headers=JSON).json()
            assert [each["id"] for each in data["ended"]] == [run.pk]
            assert data["label"] == "testapp.Numbers"
