"""Nothing is open to whoever has no permission, by whatever way one comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
from django.conf import settings as suite
from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.db import DatabaseError, OperationalError, ProgrammingError, connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import override_script_prefix
from django.urls import URLPattern, URLResolver, include, path
from pytest_django import Settings

from tests.registering import renamed
from tests.runs.stages import run_in
from tests.testapp.maintenance import Numbers
from tests.web.conftest import Know
from tests.web.visits import (
    HANDLE,
    JSON,
    KINDS,
    PAGE,
    PART,
    SEE,
    START,
    STEER,
    address,
    client_of,
    letter_of,
    markup,
    text,
    to,
    user,
    visitor,
)
from upkeep import Task, urls
from upkeep.runs.models import Run
from upkeep.runs.status import Status

pytestmark = pytest.mark.django_db

OWN = "testapp.change_item"


@dataclass(frozen=True)
class Call:
    """A way to ask something of an address of ours."""

    name: str
    method: str = "get"
    needs: tuple[str, ...] = (SEE,)

    def __str__(self) -> str:
        return f"{self.method} {self.name}"

    def by(self, client: Client, run: Run, headers: dict[str, str] = PAGE) -> Any:
        return getattr(client, self.method)(address(self.name, run), headers=headers)


# Whoever adds an address adds it here, too.
CALLS = [
    Call("task-list"),
    Call("task"),
    Call("task", "post", (SEE, START)),
    Call("run"),
    Call("run-pause", "post", (SEE, STEER)),
    Call("run-resume", "post", (SEE, STEER)),
    Call("run-cancel", "post", (SEE, STEER)),
    Call("run-progress"),
    Call("letter-list"),
    *(
        call
        for name in ("run-letters", "call-letters", "letter")
        for call in (
            Call(name),
            Call(f"{name}-retry", "post", (SEE, HANDLE)),
            Call(f"{name}-discard", "post", (SEE, HANDLE)),
            Call(f"{name}-assign", "post", (SEE, HANDLE)),
        )
    ),
]
ALL = (SEE, START, STEER, HANDLE)

# Where the form of an address stands, by the first part of its name.
PAGES_OF = {"": "task"} | {
    name: name for name in ("run-letters", "call-letters", "letter")
}
GETS = [call for call in CALLS if call.method == "get"]
POSTS = [call for call in CALLS if call.method == "post"]
OF_NO_TASK = {"task-list", "letter-list"}
OF_A_TASK = [
    call
    for call in CALLS
    if call.name not in OF_NO_TASK and not call.name.startswith("call-")
]

each_call = pytest.mark.parametrize("call", CALLS, ids=str)
each_get = pytest.mark.parametrize("call", GETS, ids=str)
each_post = pytest.mark.parametrize("call", POSTS, ids=str)
each_kind = pytest.mark.parametrize("headers", KINDS.values(), ids=KINDS)


@pytest.fixture
def run() -> Run:
    return Numbers.enqueue()


def patterns(found: list[Any] = urls.urlpatterns) -> Iterator[URLPattern]:
    for each in found:
        if isinstance(each, URLResolver):
            yield from patterns(each.url_patterns)
        else:
            yield each


class TestAddresses:
    def test_are_all_known_to_the_tests_of_access(self) -> None:
        assert {pattern.name for pattern in patterns()} == {call.name for call in CALLS}

    def test_are_all_guarded(self) -> None:
        assert [
            each.name for each in patterns() if not hasattr(each.callback, "guard")
        ] == []

    def test_name_what_they_need(self) -> None:
        guards = {each.name: getattr(each.callback, "guard", ()) for each in patterns()}
        open_to_some = {name for name, guard in guards.items() if SEE not in guard}
        assert open_to_some == {"run-progress"}  # Whoever asked for the run may see it.


class TestNobody:
    @each_get
    @pytest.mark.parametrize("method", ["get", "head"])
    def test_is_sent_to_log_in_from_a_page(
        self, client: Client, run: Run, call: Call, method: str
    ) -> None:
        url = address(call.name, run)
        answer = getattr(client, method)(url)
        assert answer.status_code == 302
        assert answer["Location"] == f"/admin/login/?next={url}"

    @each_get
    @pytest.mark.parametrize("headers", [JSON, PART], ids=["json", "part"])
    def test_is_refused_all_else(
        self, client: Client, run: Run, call: Call, headers: dict[str, str]
    ) -> None:
        answer = call.by(client, run, headers)
        assert answer.status_code == 403
        assert "Log in first." in text(answer)

    @each_post
    @each_kind
    def test_is_refused_every_action(
        self, client: Client, run: Run, call: Call, headers: dict[str, str]
    ) -> None:
        assert call.by(client, run, headers).status_code == 403
        run.refresh_from_db()
        assert (run.status, Run.objects.count()) == (Status.ENQUEUED, 1)


@pytest.fixture
def project(settings: Settings) -> Callable[..., None]:
    """Return what gives the project other addresses beside ours."""

    def have(*patterns: Any) -> None:
        module = ModuleType("tests.web.other_urls")
        module.urlpatterns = [  # type: ignore[attr-defined]
            path("upkeep/", include("upkeep.urls")),
            *patterns,
        ]
        settings.ROOT_URLCONF = module

    return have


class TestLogin:
    def test_that_the_project_has_comes_first(
        self, client: Client, settings: Settings, project: Callable[..., None]
    ) -> None:
        project(
            path("enter/", lambda request: HttpResponse(), name="enter"),
            path("admin/", admin.site.urls),
        )
        for url in ("enter", "/enter/"):
            settings.LOGIN_URL = url
            assert client.get("/upkeep/")["Location"] == "/enter/?next=/upkeep/"

    def test_below_a_prefix_is_found(
        self, client: Client, settings: Settings, project: Callable[..., None]
    ) -> None:
        project(path("enter/", lambda request: HttpResponse(), name="enter"))
        settings.LOGIN_URL = "enter"
        with override_script_prefix("/below/"):
            answer = client.get("/upkeep/", SCRIPT_NAME="/below")
        assert answer["Location"] == "/below/enter/?next=/below/upkeep/"

    def test_elsewhere_is_believed(self, client: Client, settings: Settings) -> None:
        settings.LOGIN_URL = "https://login.example.com/"
        answer = client.get("/upkeep/")
        assert answer["Location"] == "https://login.example.com/?next=/upkeep/"

    def test_that_does_not_exist_is_said_in_a_sentence(
        self, client: Client, project: Callable[..., None]
    ) -> None:
        project()
        answer = client.get("/upkeep/")
        assert answer.status_code == 403
        assert (
            "This project has no page to log in: set LOGIN_URL, or add the admin."
            in (text(answer))
        )

    def test_without_any_middleware_nobody_is_let_in(
        self, client: Client, settings: Settings, run: Run
    ) -> None:
        settings.MIDDLEWARE = []
        for call in CALLS:
            assert call.by(client, run).status_code in {302, 403}


class TestLogout:
    def forms(self, client: Client, url: str = "/upkeep/") -> list[str]:
        page = markup(client.get(url))
        assert page.words.count("Log out") == len(page.all("form")) - 1
        return [each["action"] for each in page.all("form") if "action" in each]

    def test_of_the_project_is_offered(self, project: Callable[..., None]) -> None:
        project(path("leave/", LogoutView.as_view(next_page="/x/"), name="logout"))
        client = visitor(SEE, enforce_csrf_checks=True)
        assert self.forms(client) == ["/leave/"]
        token = client.cookies["csrftoken"].value
        answer = client.post("/leave/", {"csrfmiddlewaretoken": token})
        assert answer["Location"] == "/x/"
        assert client.get("/upkeep/").status_code == 403

    def test_of_the_admin_is_offered_to_those_whom_it_logs_out(self) -> None:
        who = user(SEE)
        assert self.forms(client_of(who)) == []
        who.is_staff = True
        who.save()
        client = client_of(who)
        assert self.forms(client) == ["/admin/logout/"]
        client.post("/admin/logout/")
        assert client.get("/upkeep/").status_code == 302

    def test_is_not_offered_where_there_is_none(
        self, project: Callable[..., None]
    ) -> None:
        project()
        who = user(SEE)
        who.is_staff = True
        who.save()
        assert self.forms(client_of(who)) == []

    def test_is_not_offered_to_nobody(
        self, client: Client, project: Callable[..., None]
    ) -> None:
        project(path("leave/", LogoutView.as_view(), name="logout"))
        assert "Log out" not in text(client.get("/upkeep/"))


class TestSomebody:
    @each_call
    @each_kind
    def test_without_permission_is_refused(
        self, run: Run, call: Call, headers: dict[str, str]
    ) -> None:
        answer = call.by(visitor(), run, headers)
        assert answer.status_code == 403
        assert SEE in text(answer)

    @each_call
    @each_kind
    def test_with_one_of_two_permissions_is_refused(
        self, run: Run, call: Call, headers: dict[str, str]
    ) -> None:
        for lacking in call.needs:
            has = [each for each in ALL if each != lacking]
            answer = call.by(visitor(*has), run, headers)
            assert answer.status_code == 403
            assert lacking in text(answer)
        run.refresh_from_db()
        assert (run.status, Run.objects.count()) == (Status.ENQUEUED, 1)

    @each_call
    @each_kind
    def test_with_just_what_it_needs_is_let_in(
        self, run: Run, call: Call, headers: dict[str, str]
    ) -> None:
        answer = call.by(visitor(*call.needs), run, headers)
        # What is enqueued cannot be resumed, nor given up without a reason.
        allowed = {200, 201, 302, 409, 422}
        assert answer.status_code in allowed

    def test_who_was_dismissed_is_nobody(self, run: Run) -> None:
        dismissed = user(SEE)
        client = client_of(dismissed)
        dismissed.is_active = False
        dismissed.save()
        assert client.get(to("task-list")).status_code == 302

    def test_sees_no_form_without_the_permission_to_start(self, run: Run) -> None:
        url = to("task", "testapp.Numbers")
        assert 'method="post"' not in text(visitor(SEE).get(url))
        assert 'method="post"' in text(visitor(SEE, START).get(url))

    def test_sees_no_buttons_without_the_permission_to_steer(self, run: Run) -> None:
        url = to("run", run.pk)
        assert 'method="post"' not in text(visitor(SEE, START).get(url))
        assert 'method="post"' in text(visitor(SEE, STEER).get(url))


class TestTaskWithItsOwnPermission:
    @pytest.fixture
    def run(self, known: Know[type[Task]]) -> Run:
        @known
        class Delicate(Numbers):
            permission = OWN

        return Delicate.enqueue()

    @pytest.mark.parametrize("call", OF_A_TASK, ids=str)
    @each_kind
    def test_asks_for_it_on_every_way(
        self, run: Run, call: Call, headers: dict[str, str]
    ) -> None:
        answer = call.by(visitor(*ALL), run, headers)
        assert answer.status_code == 403
        assert OWN in text(answer)
        run.refresh_from_db()
        assert (run.status, Run.objects.count()) == (Status.ENQUEUED, 1)

    @pytest.mark.parametrize("call", OF_A_TASK, ids=str)
    @each_kind
    def test_asks_for_it_in_addition(
        self, run: Run, call: Call, headers: dict[str, str]
    ) -> None:
        assert call.by(visitor(OWN), run, headers).status_code == 403
        client = visitor(OWN, *call.needs)
        assert call.by(client, run, headers).status_code in {200, 201, 302, 409, 422}

    @each_kind
    def test_is_listed_to_those_alone_who_have_it(
        self, run: Run, headers: dict[str, str]
    ) -> None:
        url = to("task-list")
        assert "Delicate" not in text(visitor(SEE).get(url, headers=headers))
        assert "Delicate" in text(visitor(SEE, OWN).get(url, headers=headers))

    def test_asks_for_it_under_a_former_name_as_well(self, run: Run) -> None:
        Run.objects.update(task="testapp.Former")
        client = visitor(*ALL)
        with renamed(run.task_class, former="testapp.Former"):
            assert client.get(to("run", run.pk)).status_code == 403
            assert client.get(to("task", "testapp.Former")).status_code == 403
            assert "Former" not in text(client.get(to("task-list")))


class TestTaskThatIsGone:
    """What it asked for when its runs began is asked for still."""

    @pytest.fixture
    def run(self, known: Know[type[Task]]) -> Run:
        @known
        class Delicate(Numbers):
            permission = OWN

        run = Delicate.enqueue()
        Run.objects.update(task="testapp.Gone")
        run.refresh_from_db()
        assert run.permission == OWN
        return run

    @pytest.mark.parametrize("call", OF_A_TASK, ids=str)
    @each_kind
    def test_is_kept_from_those_who_lack_it(
        self, run: Run, call: Call, headers: dict[str, str]
    ) -> None:
        answer = call.by(visitor(*ALL), run, headers)
        assert answer.status_code == 403
        assert OWN in text(answer)
        run.refresh_from_db()
        assert run.status == Status.ENQUEUED

    @pytest.mark.parametrize("call", OF_A_TASK, ids=str)
    def test_is_open_to_those_who_have_it(self, run: Run, call: Call) -> None:
        answer = call.by(visitor(*ALL, OWN), run)
        assert answer.status_code in {200, 302, 409, 422}

    @each_kind
    def test_is_listed_to_those_alone_who_have_it(
        self, run: Run, headers: dict[str, str]
    ) -> None:
        Run.objects.create(task="testapp.Gone")  # It asked for nothing before.
        url = to("task-list")
        assert "Gone" not in text(visitor(SEE).get(url, headers=headers))
        assert "Gone" in text(visitor(SEE, OWN).get(url, headers=headers))

    def test_that_asked_for_nothing_is_open(self) -> None:
        run = Run.objects.create(task="testapp.Gone")
        assert visitor(SEE).get(to("run", run.pk)).status_code == 200
        assert visitor(SEE).get(to("task", run.task)).status_code == 200


class TestProgress:
    """`run-progress`: for who asked for the run, who may know nothing else."""

    @each_kind
    def test_is_shown_to_who_asked_for_the_run(self, headers: dict[str, str]) -> None:
        asker = user()
        run = Numbers.using(by=asker).enqueue()
        url = to("run-progress", run.pk)
        assert client_of(asker).get(url, headers=headers).status_code == 200

    @each_kind
    def test_of_other_peoples_runs_is_refused(self, headers: dict[str, str]) -> None:
        asker = user()
        Numbers.using(by=asker).enqueue()
        for run in (Numbers.using(by=user()).enqueue(), Numbers.enqueue()):
            url = to("run-progress", run.pk)
            assert client_of(asker).get(url, headers=headers).status_code == 403

    @each_kind
    @pytest.mark.parametrize("status", list(Status))
    def test_tells_its_owner_no_parameter_and_no_error(
        self, headers: dict[str, str], status: Status
    ) -> None:
        asker = user(name="the-asker")
        run = run_in(status, Numbers)
        Run.objects.update(
            requested_by=asker,
            parameters={"name": "the-value"},
            error_class="the-class",
            error_message="the-message",
            traceback="the-traceback",
            worker="the-worker",
            metadata={"the": "the-metadata"},
        )
        answer = client_of(asker).get(to("run-progress", run.pk), headers=headers)
        told = text(answer)
        for word in ("value", "class", "message", "traceback", "worker", "metadata"):
            assert f"the-{word}" not in told

    def test_tells_a_program_whether_the_total_is_an_estimate(self) -> None:
        asker = user()
        run = Numbers.using(by=asker).enqueue()
        Run.objects.update(total=100, is_total_estimated=True)
        answer = client_of(asker).get(to("run-progress", run.pk), headers=JSON)
        assert (answer.json()["total"], answer.json()["is_total_estimated"]) == (
            100,
            True,
        )

    def test_opens_nothing_else_to_its_owner(self) -> None:
        asker = user()
        run = Numbers.using(by=asker).enqueue()
        for call in CALLS:
            if call.name != "run-progress":
                assert call.by(client_of(asker), run).status_code == 403


class TestNothingThere:
    HUGE = 10**30

    @pytest.mark.parametrize("call", OF_A_TASK, ids=str)
    @each_kind
    @pytest.mark.parametrize("number", [10**6, 2**63, HUGE])
    def test_is_said_as_404(
        self, call: Call, headers: dict[str, str], number: int
    ) -> None:
        client = visitor(*ALL)
        nothing = Run(pk=number, task=f"testapp.Nothing{number}")
        answer = call.by(client, nothing, headers)
        assert answer.status_code == 404
        assert str(number) in text(answer)

    def test_is_said_of_names_that_no_database_takes(self) -> None:
        client = visitor(SEE)
        for name in ("%00", "a%00b", "%ff", "x" * 20_000, "%2e%2e%2fx", "é"):
            assert client.get(f"/upkeep/tasks/{name}/").status_code == 404

    @each_call
    def test_is_not_said_to_who_may_not_know(self, call: Call) -> None:
        nothing = Run(pk=self.HUGE, task="testapp.Nothing")
        if call.name in {"task-list", "run-progress"}:
            return
        assert call.by(visitor(), nothing).status_code == 403


class TestForgery:
    @each_post
    @each_kind
    def test_without_a_token_is_refused(
        self, run: Run, call: Call, headers: dict[str, str]
    ) -> None:
        client = visitor(*call.needs, enforce_csrf_checks=True)
        assert call.by(client, run, headers).status_code == 403
        run.refresh_from_db()
        assert (run.status, Run.objects.count()) == (Status.ENQUEUED, 1)

    @each_post
    def test_is_refused_whatever_the_project_does_about_it(
        self, settings: Settings, run: Run, call: Call
    ) -> None:
        settings.MIDDLEWARE = [
            each for each in suite.MIDDLEWARE if "csrf" not in each.lower()
        ]
        client = visitor(*call.needs, enforce_csrf_checks=True)
        assert call.by(client, run).status_code == 403

    @each_post
    def test_with_the_token_of_the_page_it_is_none(self, run: Run, call: Call) -> None:
        client = visitor(*call.needs, enforce_csrf_checks=True)
        letter_of(run)
        client.get(address(PAGES_OF.get(call.name.rpartition("-")[0], "run"), run))
        token = client.cookies["csrftoken"].value
        answer = client.post(address(call.name, run), {"csrfmiddlewaretoken": token})
        assert answer.status_code in {302, 409, 422}


OF_AN_ACTION = [call for call in POSTS if call.name != "task"]

each_action = pytest.mark.parametrize("call", OF_AN_ACTION, ids=str)


class TestComingToAnActionByItsAddress:
    """As one does who is sent on by a login, or opens the address from the history."""

    @each_action
    @pytest.mark.parametrize("method", ["get", "head"])
    def test_leads_to_its_page_and_does_nothing(
        self, run: Run, call: Call, method: str
    ) -> None:
        letter = letter_of(run)
        client = visitor(*call.needs)
        answer = getattr(client, method)(address(call.name, run))
        page = address(call.name.rpartition("-")[0], run)
        assert (answer.status_code, answer["Location"]) == (302, page)
        words = "Nothing was done: press the button here if you still want it."
        assert words in markup(client.get(page)).words
        assert words not in markup(client.get(page)).words
        run.refresh_from_db()
        letter.refresh_from_db()
        assert (run.status, letter.state) == (Status.ENQUEUED, "open")

    @each_action
    def test_asks_for_the_same_permissions(self, run: Run, call: Call) -> None:
        for lacking in call.needs:
            has = [each for each in ALL if each != lacking]
            answer = visitor(*has).get(address(call.name, run))
            assert answer.status_code == 403
            assert lacking in text(answer)

    @each_action
    def test_without_a_login_leads_there_first(
        self, client: Client, run: Run, call: Call
    ) -> None:
        url = address(call.name, run)
        assert client.get(url)["Location"] == f"/admin/login/?next={url}"

    @each_action
    @pytest.mark.parametrize("headers", [JSON, PART], ids=["json", "part"])
    def test_is_for_a_program_the_wrong_method(
        self, run: Run, call: Call, headers: dict[str, str]
    ) -> None:
        answer = visitor(*ALL).get(address(call.name, run), headers=headers)
        assert (answer.status_code, answer["Allow"]) == (405, "POST")

    def test_of_nothing_is_404(self) -> None:
        for name in ("run-pause", "run-letters-retry", "letter-discard"):
            assert visitor(*ALL).get(to(name, 10**6)).status_code == 404
        url = to("call-letters-assign", "shop.nothing")
        assert visitor(*ALL).get(url).status_code == 404

    def test_asks_for_the_permission_of_the_task(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Numbers, "permission", OWN)
        for call in OF_AN_ACTION:
            if not call.name.startswith("call-"):
                answer = visitor(*ALL).get(address(call.name, run))
                assert answer.status_code == 403


class TestMethods:
    @each_call
    @pytest.mark.parametrize(
        "method", ["get", "head", "post", "put", "patch", "delete"]
    )
    def test_that_an_address_does_not_know_are_refused(
        self, run: Run, call: Call, method: str
    ) -> None:
        known = {each.method for each in CALLS if each.name == call.name}
        known |= {"head"} if "get" in known else set()
        ask = getattr(visitor(*ALL), method)
        answer = ask(address(call.name, run), headers=JSON)
        if method in known:
            assert answer.status_code != 405
        else:
            assert answer.status_code == 405
            assert set(answer["Allow"].lower().split(", ")) == known

    @each_get
    def test_head_is_answered_without_a_body(self, run: Run, call: Call) -> None:
        answer = visitor(SEE).head(address(call.name, run))
        assert (answer.status_code, answer.content) == (200, b"")


class TestDatabaseThatIsBusy:
    @pytest.fixture
    def visitor(self) -> Client:
        return visitor(SEE, STEER)

    @pytest.mark.parametrize("headers", KINDS.values(), ids=KINDS)
    def test_is_told_of_in_a_sentence(
        self,
        visitor: Client,
        run: Run,
        headers: dict[str, str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.answer(monkeypatch, OperationalError(1205, "Lock wait timeout exceeded"))
        answer = visitor.post(address("run-pause", run), headers=headers)
        assert answer.status_code == 503
        assert b"The database is locked" in answer.content
        is_told = b"an item of a run may hold it" in answer.content
        assert is_told == (connection.vendor == "sqlite")

    def test_is_not_blamed_for_an_error_of_ours(
        self, visitor: Client, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.answer(monkeypatch, ProgrammingError("no such column"))
        with pytest.raises(ProgrammingError):
            visitor.post(address("run-pause", run))

    def answer(self, monkeypatch: pytest.MonkeyPatch, error: DatabaseError) -> None:
        """Let the database answer by an error whoever wants a run to pause."""
        monkeypatch.setattr(Run, "pause", mock.Mock(side_effect=error))
