"""`{% load upkeep %}`, in the pages of a host."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps.registry import Apps
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.template import RequestContext, Template
from django.test import RequestFactory
from pytest_django import Settings

from tests.runs.stages import run_in
from tests.testapp.maintenance import Numbers
from tests.web.visits import SEE, Markup, client_of, inline, to, user
from upkeep.runs.models import Run
from upkeep.runs.status import ACTIVE, Status

pytestmark = pytest.mark.django_db

TAG = "{% load upkeep %}{% upkeep_progress run %}"


def shown(template: str = TAG, *, by: Any = None, **context: Any) -> Markup:
    """Render a page for somebody: without a name, for one who may see all runs."""
    request = RequestFactory().get("/")
    request.user = by or user(SEE)
    return Markup(Template(template).render(RequestContext(request, context)))


def live(page: Markup) -> list[dict[str, str]]:
    return [each for each in page.all("div") if "hx-get" in each]


class TestProgress:
    @pytest.mark.parametrize("status", list(Status))
    def test_is_live_while_the_run_is_active(self, status: Status) -> None:
        run = run_in(status, Numbers)
        page = shown(run=run)
        assert len(page.all("progress")) == 1
        asked = [each["hx-get"] for each in live(page)]
        assert asked == ([to("run-progress", run.pk)] if status in ACTIVE else [])
        assert list(inline(page)) == []

    def test_says_how_far_the_run_is(self) -> None:
        run = run_in(Status.RUNNING, Numbers)
        run.done, run.total = 3, 7
        assert "3 of 7 items (42 %)" in shown(run=run).words

    def test_is_what_the_address_gives_to_who_asked_for_the_run(self) -> None:
        asker = user()
        run = Numbers.using(by=asker).enqueue()
        (part,) = live(shown(run=run, by=asker))
        headers = {"HX-Request": "true"}
        answer = client_of(asker).get(part["hx-get"], {"seen": ""}, headers=headers)
        (again,) = live(Markup(answer.content.decode()))
        assert answer.status_code == 200
        assert (again["id"], again["hx-get"]) == (part["id"], part["hx-get"])

    @pytest.mark.parametrize("task", ["testapp.Numbers", "testapp.Gone"])
    def test_is_shown_to_those_alone_who_have_what_its_task_asks_for(
        self, monkeypatch: pytest.MonkeyPatch, task: str
    ) -> None:
        own = "testapp.change_item"
        monkeypatch.setattr(Numbers, "permission", own)
        run = Numbers.enqueue()
        run.task = task
        assert shown(run=run, by=user(SEE)).words == ""
        assert shown(run=run, by=user(SEE, own)).words != ""

    def test_is_shown_to_nobody_else(self) -> None:
        run = Numbers.using(by=user()).enqueue()
        for stranger in (user(), AnonymousUser()):
            page = shown(TAG + "{{ word }}", run=run, by=stranger, word="Hello.")
            assert page.words.strip() == "Hello."
            assert not page.all("script")

    def test_of_several_runs_have_ids_of_their_own(self) -> None:
        runs = [Numbers.enqueue(), Numbers.enqueue()]
        loop = "{% for run in runs %}" + TAG + "{% endfor %}"
        ids = [each["id"] for each in live(shown(loop, runs=runs))]
        assert len(set(ids)) == 2


class TestScripts:
    @pytest.fixture
    def run(self) -> Run:
        return Numbers.enqueue()

    def test_are_there_once(self, run: Run) -> None:
        page = shown(TAG + TAG, run=run)
        assert [each["src"] for each in page.all("script")] == [
            "/static/upkeep/htmx.min.js",
            "/static/upkeep/progress.js",
        ]
        assert len(page.all("link")) == 1

    def test_are_there_once_in_included_templates(
        self, settings: Settings, run: Run
    ) -> None:
        part = ("django.template.loaders.locmem.Loader", {"part.html": TAG})
        ours = "django.template.loaders.app_directories.Loader"
        settings.TEMPLATES = [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"loaders": [part, ours]},
            }
        ]
        for include in (
            "{% include 'part.html' %}",
            "{% include 'part.html' with run=run only %}",
        ):
            page = shown(include * 3, run=run)
            assert len(page.all("progress")) == 3
            assert len(page.all("script")) == 2

    def test_come_with_every_page_anew(self, run: Run) -> None:
        for _ in range(2):
            page = shown(run=run)
            assert len(page.all("script")) == 2

    def test_can_be_left_out(self, run: Run) -> None:
        page = shown(
            "{% load upkeep %}{% upkeep_progress run scripts=False %}", run=run
        )
        assert page.all("script") == page.all("link") == []
        assert len(live(page)) == 1


class TestLogout:
    def test_is_looked_for_whatever_users_a_project_has(self) -> None:
        """Django asks of them for no more than AbstractBaseUser has."""

        class Member(AbstractBaseUser):
            class Meta:
                app_label = "testapp"
                apps = Apps()

        page = shown("{% load upkeep %}[{% logout_address %}]", by=Member())
        assert page.words == "[]"


class TestFilters:
    def test_split_a_label(self) -> None:
        page = shown(
            "{% load upkeep %}{% with p=label|label_parts %}"
            "{{ p.0 }}|{{ p.1 }}{% endwith %}",
            label="a.b.Task",
        )
        assert page.words == "a.b|Task"
