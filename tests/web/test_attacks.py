"""Ways in which the pages were broken once."""

from __future__ import annotations

from typing import Any

import pytest
from django import forms
from django.db import DatabaseError, transaction
from django.test import Client
from pytest_django import Settings

from tests.runs.stages import run_in
from tests.testapp.maintenance import Numbers, Report
from tests.web.conftest import Know
from tests.web.visits import JSON, SEE, START, STEER, markup, to, visitor
from upkeep import Task
from upkeep.runs.events import Event
from upkeep.runs.models import Run
from upkeep.runs.status import Status
from upkeep.runs.why import INVALID_FILE

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return visitor(SEE, START, STEER)


class TestSpelling:
    """MariaDB takes many spellings for the same; a permission knows one."""

    @pytest.fixture(autouse=True)
    def secretive(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Numbers, "permission", "auth.delete_group")
        run_in(Status.SUCCEEDED)

    @pytest.mark.parametrize(
        "label",
        ["testapp.numbers", "TESTAPP.NUMBERS", "testapp.Numbers ", "testapp.Númbers"],
    )
    @pytest.mark.parametrize("headers", [{}, JSON])
    def test_another_one_leads_nowhere(
        self, client: Client, label: str, headers: dict[str, str]
    ) -> None:
        answer = client.get(to("task", label), headers=headers)
        assert answer.status_code == 404
        assert to("run", Run.objects.get().pk) not in answer.content.decode()

    def test_what_is_not_there_names_nothing_that_is(self, client: Client) -> None:
        answer = client.get(to("task", "testapp.Numberss"))
        assert answer.status_code == 404
        assert "Did you mean" not in answer.content.decode()


class TestPrograms:
    """What a program sends is judged as what Python gives."""

    def start(self, client: Client, **options: Any) -> Any:
        return client.post(to("task", "testapp.Slowly"), headers=JSON, **options)

    def test_that_leave_a_parameter_out_get_its_initial_value(
        self, client: Client
    ) -> None:
        answer = self.start(client, data={"numbers": 3})
        assert answer.status_code == 201
        assert answer.json()["parameters"] == {"numbers": 3, "seconds": 0.05}

    def test_that_misspell_one_are_told(self, client: Client) -> None:
        answer = self.start(client, data={"numbers": 3, "secnods": 1})
        assert answer.status_code == 422
        assert "Unknown parameter: secnods." in str(answer.json())
        assert not Run.objects.exists()

    def test_that_send_no_form_are_told(self, client: Client) -> None:
        answer = self.start(
            client, data='{"numbers": 3}', content_type="application/json"
        )
        assert answer.status_code == 415
        assert "Send the parameters as a form" in answer.json()["error"]
        assert not Run.objects.exists()


class TestNames:
    """A parameter may be called what a dict has, too."""

    @pytest.mark.parametrize("name", ["items", "keys", "get", "forloop"])
    def test_of_parameters_are_shown_whatever_they_are(
        self, client: Client, known: Know[type[Task]], name: str
    ) -> None:
        members = {name: forms.CharField(), "__qualname__": "<locals>.Trial"}
        known(type("Trial", (Numbers,), members))
        answer = client.post(to("task", "testapp.Trial"), {name: "seven"}, follow=True)
        assert f"{name} seven" in markup(answer).words


class TestHalfLetters:
    """Half of a surrogate pair fits in JSON, and in no page."""

    @pytest.mark.parametrize("headers", [{}, JSON])
    @pytest.mark.parametrize("column", ["result", "parameters", "metadata"])
    def test_are_written_out(
        self, client: Client, column: str, headers: dict[str, str]
    ) -> None:
        run = run_in(Status.SUCCEEDED, Report)
        try:
            with transaction.atomic():
                Run.objects.update(**{column: {"name": "\ud800"}})
        except DatabaseError:
            return  # This database takes none.
        for address in (to("run", run.pk), to("task-list")):
            assert client.get(address, headers=headers).status_code == 200


class TestForms:
    def test_numbers_of_pages_are_plain(
        self, client: Client, settings: Settings
    ) -> None:
        settings.USE_THOUSAND_SEPARATOR = True
        run = Numbers.enqueue()
        first = run.events.get().pk + 5000
        Event.objects.bulk_create(
            Event(pk=first + number, run=run, kind=Event.Kind.LOG, text="…")
            for number in range(60)
        )
        page = client.get(to("run", run.pk)).content.decode()
        assert f"?before={first + 10}" in page


class TestWishes:
    def test_to_resume_is_not_offered_where_it_is_in_vain(self, client: Client) -> None:
        run = run_in(Status.ERRORED)
        Run.objects.update(error_class=INVALID_FILE)
        page = client.get(to("run", run.pk)).content.decode()
        assert to("run-resume", run.pk) not in page
        assert to("run-cancel", run.pk) in page

    def test_that_are_not_permitted_are_told_of(self) -> None:
        run = Numbers.enqueue()
        page = visitor(SEE).get(to("run", run.pk)).content.decode()
        assert "you need the permission upkeep.control_run" in page

    def test_of_a_run_that_is_gone_are_404(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It was deleted between the look-up and the wish."""
        run = Numbers.enqueue()

        def gone(self: Run, **options: Any) -> None:
            raise Run.DoesNotExist

        monkeypatch.setattr(Run, "pause", gone)
        assert client.post(to("run-pause", run.pk)).status_code == 404
