"""Upkeep in Django's admin."""

from __future__ import annotations

from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import path
from pytest_django import Settings

from tests.registering import renamed
from tests.runs.stages import run_in
from tests.testapp.maintenance import Confide, Numbers
from tests.web.visits import SEE, client_of, markup, text, user
from upkeep.runs.dead_letters import DeadLetter
from upkeep.runs.models import Run
from upkeep.runs.status import Status

pytestmark = pytest.mark.django_db

INDEX = "/admin/"
RUNS = "/admin/upkeep/run/"
SECRET = "hush-hush-9001"


def staff(*permissions: str, **more: Any) -> Client:
    made = user(*permissions)
    User.objects.filter(pk=made.pk).update(is_staff=True, **more)
    return client_of(User.objects.get(pk=made.pk))


@pytest.fixture
def client() -> Client:
    return staff(is_superuser=True)


def one(run: Run) -> str:
    return f"{RUNS}{run.pk}/change/"


class TestRuns:
    def test_are_listed_with_where_they_stand(self, client: Client) -> None:
        run = Numbers.using(by=user(name="ada")).enqueue()
        Run.objects.update(done=3, total=7, created_at=datetime(2026, 1, 2, tzinfo=UTC))
        words = markup(client.get(RUNS)).words
        for word in ("testapp.Numbers", "Enqueued", "42 %", "2026-01-02 01:00:00"):
            assert word in words
        words = markup(client.get(one(run))).words
        for word in ("3 of 7 items (42 %)", "ada", "2026-01-02 01:00:00"):
            assert word in words
        assert f'<a href="/upkeep/runs/{run.pk}/">Open</a>' in text(client.get(RUNS))

    @pytest.mark.parametrize("status", list(Status))
    def test_can_be_looked_at_in_every_status(
        self, client: Client, status: Status
    ) -> None:
        run = run_in(status, Numbers)
        answer = client.get(one(run))
        assert answer.status_code == 200
        assert f"/upkeep/runs/{run.pk}/" in text(answer)

    def test_can_be_filtered_by_status_and_found_by_task(self, client: Client) -> None:
        waiting = run_in(Status.ENQUEUED, Numbers)
        Confide.run_now(api_key="opensesame")
        assert found(client.get(RUNS, {"status__exact": "enqueued"})) == [waiting]
        assert found(client.get(RUNS, {"q": "numb"})) == [waiting]
        assert found(client.get(RUNS, {"q": "nothing"})) == []

    def test_cost_the_same_number_of_queries_however_many_they_are(
        self, client: Client, django_assert_max_num_queries: Any
    ) -> None:
        for _ in range(30):
            Numbers.using(by=user()).enqueue()
        with django_assert_max_num_queries(8):
            assert len(found(client.get(RUNS))) == 30

    def test_cannot_be_added_changed_or_deleted(self, client: Client) -> None:
        run = Numbers.enqueue()
        assert client.get(f"{RUNS}add/").status_code == 403
        assert client.post(f"{RUNS}add/", {"task": "x"}).status_code == 403
        assert client.post(one(run), {"status": "succeeded"}).status_code == 403
        assert (
            client.post(f"{RUNS}{run.pk}/delete/", {"post": "yes"}).status_code == 403
        )
        mass = {"action": "delete_selected", "_selected_action": [run.pk]}
        client.post(RUNS, mass | {"post": "yes"})
        run.refresh_from_db()
        assert run.status == Status.ENQUEUED
        assert markup(client.get(one(run))).named("_save") == []

    def test_are_shown_to_those_alone_who_may_see_them(self) -> None:
        run = Numbers.enqueue()
        assert staff().get(RUNS).status_code == 403
        assert staff().get(one(run)).status_code == 403
        assert staff(SEE).get(RUNS).status_code == 200

    def test_of_tasks_that_ask_for_more_are_shown_to_those_who_have_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Numbers, "permission", "testapp.change_item")
        run = Numbers.enqueue()
        with renamed(Numbers, former="testapp.Former"):
            for label in ("testapp.Numbers", "testapp.Former", "testapp.Gone"):
                Run.objects.update(task=label)
                assert found(staff(SEE).get(RUNS)) == []
                assert staff(SEE).get(one(run)).status_code == 302
                assert found(staff(SEE, "testapp.change_item").get(RUNS)) == [run]


class TestDeadLetters:
    URL = "/admin/upkeep/deadletter/"

    @pytest.fixture
    def letter(self) -> DeadLetter:
        run = run_in(Status.SUCCEEDED)
        return run.dead_letters.create(
            item="item 7",
            payload={"number": "A-7"},
            error_class="builtins.KeyError",
            cursor={"at": SECRET},
            token=SECRET,
        )

    def test_are_listed_and_lead_to_their_page(
        self, client: Client, letter: DeadLetter
    ) -> None:
        DeadLetter.objects.create(call="shop.charge", item="charge(7)")
        words = markup(client.get(self.URL)).words
        for word in ("testapp.Numbers", "item 7", "shop.charge", "charge(7)"):
            assert word in words
        answer = client.get(f"{self.URL}{letter.pk}/change/")
        assert "number: A-7" in markup(answer).words
        assert f'<a href="/upkeep/dead-letters/{letter.pk}/">Open</a>' in text(answer)
        assert SECRET not in text(answer)

    def test_cannot_be_added_changed_or_deleted(
        self, client: Client, letter: DeadLetter
    ) -> None:
        assert client.get(f"{self.URL}add/").status_code == 403
        change = f"{self.URL}{letter.pk}/change/"
        assert client.post(change, {"state": "resolved"}).status_code == 403
        delete = f"{self.URL}{letter.pk}/delete/"
        assert client.post(delete, {"post": "yes"}).status_code == 403
        letter.refresh_from_db()
        assert letter.state == "open"

    def test_are_shown_to_those_alone_who_may_see_their_run(
        self, letter: DeadLetter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        DeadLetter.objects.create(call="shop.charge", item="charge(7)")
        assert staff().get(self.URL).status_code == 403
        assert "item 7" in text(staff(SEE).get(self.URL))
        monkeypatch.setattr(Numbers, "permission", "testapp.change_item")
        shown = text(staff(SEE).get(self.URL))
        assert "item 7" not in shown
        assert "charge(7)" in shown
        assert "item 7" in text(staff(SEE, "testapp.change_item").get(self.URL))

    @pytest.mark.parametrize("lookup", ["payload__icontains", "token", "cursor__at"])
    def test_cannot_be_guessed_by_asking_the_address(
        self, client: Client, letter: DeadLetter, lookup: str
    ) -> None:
        assert client.get(self.URL, {lookup: "h"}).status_code in {302, 400}


class TestSecrets:
    @pytest.fixture
    def run(self) -> Run:
        run = Confide.enqueue(story=SECRET, api_key=SECRET)
        Run.objects.update(cursor={"at": SECRET})
        return run

    def test_are_masked(self, client: Client, run: Run) -> None:
        for url in (RUNS, one(run), f"{RUNS}{run.pk}/history/"):
            assert SECRET not in text(client.get(url))
        assert "api_key: [FILTERED]" in markup(client.get(one(run))).words

    def test_are_masked_where_the_class_is_gone(self, client: Client, run: Run) -> None:
        Run.objects.update(task="testapp.Gone")
        assert SECRET not in text(client.get(one(run)))

    def test_no_token_is_shown(self, client: Client, run: Run) -> None:
        run.refresh_from_db()
        assert run.active_key
        for url in (RUNS, one(run)):
            answer = text(client.get(url))
            assert run.lease_token not in answer
            assert run.active_key not in answer

    @pytest.mark.parametrize(
        "lookup",
        [
            "parameters__api_key__startswith",
            "parameters__icontains",
            "lease_token",
            "lease_token__startswith",
            "cursor__contains",
            "requested_by__password",
        ],
    )
    def test_cannot_be_guessed_by_asking_the_address(
        self, client: Client, run: Run, lookup: str
    ) -> None:
        assert client.get(RUNS, {lookup: "h"}).status_code in {302, 400}

    def test_texts_are_escaped(self, client: Client) -> None:
        run = Numbers.enqueue()
        attack = "<img src=x onerror=alert(1)>"
        Run.objects.update(
            task=f"a.{attack}",
            parameters={attack: attack},
            metadata={attack: attack},
            result=attack,
            error_message=attack,
            traceback=attack,
            worker=attack,
        )
        for url in (RUNS, one(run)):
            page = markup(client.get(url))
            assert [each for each in page.all("img") if "onerror" in each] == []


class TestIndex:
    def test_leads_to_the_pages(self, client: Client) -> None:
        (link, *_) = [
            each["href"]
            for each in markup(client.get(INDEX)).all("a")
            if "taskpages" in each.get("href", "")
        ]
        assert client.get(link)["Location"] == "/upkeep/"

    def test_leads_nobody_who_may_not_see_them(self) -> None:
        assert "taskpages" not in text(staff().get(INDEX))
        assert staff().get("/admin/upkeep/taskpages/").status_code == 403
        assert "taskpages" in text(staff(SEE).get(INDEX))
        assert Client().get("/admin/upkeep/taskpages/").status_code == 302

    def test_needs_no_migration(self) -> None:
        call_command("makemigrations", "--check", "--dry-run", verbosity=0)

    def test_and_the_rest_pass_the_checks(self) -> None:
        call_command("check")


class TestWithoutThePages:
    @pytest.fixture(autouse=True)
    def no_pages(self, settings: Settings) -> None:
        module = ModuleType("tests.no_pages")
        module.urlpatterns = [path("admin/", admin.site.urls)]  # type: ignore[attr-defined]
        settings.ROOT_URLCONF = module

    def test_the_admin_works_all_the_same(self, client: Client) -> None:
        run = Numbers.enqueue()
        for url in (INDEX, "/admin/upkeep/", RUNS, one(run)):
            answer = client.get(url)
            assert answer.status_code == 200
            assert ">Open</a>" not in text(answer)
            assert 'href="/admin/upkeep/taskpages/"' not in text(answer)
        assert client.get("/admin/upkeep/taskpages/").status_code == 403


def found(answer: Any) -> list[Run]:
    return list(answer.context["cl"].result_list)
