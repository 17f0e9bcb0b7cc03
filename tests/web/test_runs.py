"""A run's page, and what one can wish there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from tests.runs.stages import claim, run_in
from tests.testapp.maintenance import Confide, CountUp, Numbers
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
from upkeep.databases import Now
from upkeep.execution.claim import this_worker
from upkeep.runs.events import Event
from upkeep.runs.models import Run
from upkeep.runs.status import ACTIVE, Status
from upkeep.runs.why import why
from upkeep.testing import run_inline
from upkeep.web.runs import EVENTS

pytestmark = pytest.mark.django_db

# The wishes that change something, by status.
WISHES: dict[Status, set[str]] = {
    Status.ENQUEUED: {"pause", "cancel"},
    Status.RUNNING: {"pause", "cancel"},
    Status.INTERRUPTED: {"pause", "resume", "cancel"},
    Status.PAUSING: {"resume", "cancel"},
    Status.PAUSED: {"resume", "cancel"},
    Status.CANCELLING: set(),
    Status.CANCELLED: set(),
    Status.ERRORED: {"resume", "cancel"},
    Status.DISCARDED: set(),
    Status.SUCCEEDED: set(),
}

# A wish that is granted already is no error, and has no button.
GRANTED = {
    (Status.PAUSING, "pause"),
    (Status.PAUSED, "pause"),
    (Status.CANCELLING, "cancel"),
    (Status.CANCELLED, "cancel"),
}

# Tables of Django's own, of which each request asks once.
NOT_OURS = ("django_session", "auth_")


@pytest.fixture
def client() -> Client:
    return visitor(SEE, START, STEER)


def live(answer: Any) -> dict[str, str] | None:
    """Return what a page asks for again and again, if it does."""
    found = [each for each in markup(answer).all("div") if "hx-get" in each]
    return found[0] if found else None


def version(answer: Any) -> str:
    part = live(answer)
    assert part is not None
    return part["hx-vals"].split('"')[3]


each_status = pytest.mark.parametrize("status", list(Status))
each_wish = pytest.mark.parametrize("wish", ["pause", "resume", "cancel"])


class TestWishes:
    @each_status
    def test_have_a_button_where_they_change_something(
        self, client: Client, status: Status
    ) -> None:
        run = run_in(status, Numbers)
        page = markup(client.get(to("run", run.pk)))
        buttons = {each["action"] for each in page.all("form")}
        assert buttons == {to(f"run-{wish}", run.pk) for wish in WISHES[status]}

    @each_status
    @each_wish
    def test_are_granted_or_refused_in_a_sentence(
        self, client: Client, status: Status, wish: str
    ) -> None:
        run = run_in(status, Numbers)
        answer = client.post(to(f"run-{wish}", run.pk))
        run.refresh_from_db()
        if wish in WISHES[status]:
            assert (answer.status_code, answer["Location"]) == (302, to("run", run.pk))
            assert run.status != status
        elif (status, wish) in GRANTED:
            assert answer.status_code == 302
            assert run.status == status
        else:
            assert answer.status_code == 409
            assert "cannot be" in markup(answer).words
            assert f"its status is {status}." in markup(answer).words
            assert run.status == status

    def test_bear_the_name_of_who_had_them(self) -> None:
        run = Numbers.enqueue()
        client_of(user(SEE, STEER, name="ada")).post(to("run-pause", run.pk))
        event = Event.objects.filter(run=run).last()
        assert event is not None
        assert (event.actor, event.status) == ("ada", Status.PAUSED)

    def test_come_from_the_page(self, client: Client) -> None:
        run = Numbers.enqueue()
        for wish in ("pause", "resume", "cancel"):
            client.post(to(f"run-{wish}", run.pk))
        sources = run.events.values_list("source", flat=True)
        assert list(sources) == ["python", "page", "page", "page"]

    def test_by_htmx_are_answered_by_the_part(self, client: Client) -> None:
        run = Numbers.enqueue()
        answer = client.post(to("run-pause", run.pk), headers=PART)
        assert answer.status_code == 200
        assert "<html" not in text(answer)
        assert "Paused" in markup(answer).words
        refused = client.post(to("run-pause", run.pk), headers=PART)
        assert refused.status_code == 200  # It is granted already.
        run.cancel()
        refused = client.post(to("run-pause", run.pk), headers=PART)
        assert refused.status_code == 409
        assert "<html" not in text(refused)
        assert "its status is cancelled." in markup(refused).words

    def test_in_json_are_answered_by_the_run(self, client: Client) -> None:
        run = Numbers.enqueue()
        answer = client.post(to("run-cancel", run.pk), headers=JSON)
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        refused = client.post(to("run-resume", run.pk), headers=JSON)
        assert refused.status_code == 409
        assert "its status is cancelled." in refused.json()["error"]

    def test_to_resume_what_another_run_replaced_are_refused(
        self, client: Client
    ) -> None:
        run = run_in(Status.ERRORED, CountUp)
        other = CountUp.enqueue()
        answer = client.post(to("run-resume", run.pk))
        assert answer.status_code == 409
        assert f"un {other.pk} of testapp.CountUp with the same" in markup(answer).words

    def test_to_resume_where_the_class_is_gone_are_refused(
        self, client: Client
    ) -> None:
        run = changed(run_in(Status.ERRORED, Numbers), task="testapp.Gone")
        answer = client.post(to("run-resume", run.pk))
        assert answer.status_code == 409
        assert "There is no task 'testapp.Gone'." in markup(answer).words
        run.refresh_from_db()
        assert run.status == Status.ERRORED

    def test_to_resume_where_the_queue_is_gone_are_refused(
        self, client: Client, settings: Settings
    ) -> None:
        run = run_in(Status.PAUSED, Numbers)
        settings.TASKS = {"default": settings.TASKS["default"] | {"QUEUES": ["other"]}}
        answer = client.post(to("run-resume", run.pk))
        assert answer.status_code == 409
        assert "TASKS['default'] has no queue 'default'." in markup(answer).words
        run.refresh_from_db()
        assert run.status == Status.PAUSED


class TestPolls:
    @each_status
    @pytest.mark.parametrize("name", ["run", "run-progress"])
    def test_go_on_while_the_run_is_active(
        self, client: Client, status: Status, name: str
    ) -> None:
        run = run_in(status, Numbers)
        url = to(name, run.pk)
        for headers in ({}, PART):
            part = live(client.get(url, headers=headers))
            assert (part is not None) == (status in ACTIVE)
            assert part is None or part["hx-get"] == url

    @pytest.mark.parametrize("name", ["run", "run-progress"])
    def test_are_204_when_nothing_is_new_and_200_when_something_is(
        self, client: Client, name: str
    ) -> None:
        run = run_in(Status.RUNNING, Numbers)
        url = to(name, run.pk)
        seen = {"seen": version(client.get(url))}
        answer = client.get(url, seen, headers=PART)
        assert (answer.status_code, answer.content) == (204, b"")
        Run.objects.filter(pk=run.pk).update(done=5)
        answer = client.get(url, seen, headers=PART)
        assert answer.status_code == 200
        assert "<html" not in text(answer)

    def test_see_a_new_line_of_the_log(self, client: Client) -> None:
        run = run_in(Status.RUNNING, Numbers)
        seen = {"seen": version(client.get(to("run", run.pk)))}
        run.tell(Event.Kind.LOG, "News.")
        answer = client.get(to("run", run.pk), seen, headers=PART)
        assert "News." in markup(answer).words

    def test_see_the_end(self, client: Client) -> None:
        run = Numbers.enqueue()
        held = claim(run)
        seen = {"seen": version(client.get(to("run", run.pk)))}
        held.end(Status.SUCCEEDED)
        answer = client.get(to("run", run.pk), seen, headers=PART)
        assert answer.status_code == 200
        assert live(answer) is None

    @pytest.mark.parametrize("status", sorted(ACTIVE))
    @pytest.mark.parametrize("name", ["run", "run-progress"])
    def test_cost_at_most_four_queries_of_ours(
        self, client: Client, status: Status, name: str
    ) -> None:
        run = run_in(status, Numbers)
        Run.objects.update(requested_by=user(), failed=1)
        run.dead_letters.create(item="the third one", error_class="builtins.KeyError")
        for _ in range(60):
            run.tell(Event.Kind.LOG, "A line.")
        with CaptureQueriesContext(connection) as queries:
            client.get(to(name, run.pk), headers=PART)
        statements = [each["sql"] for each in queries.captured_queries]
        ours = [sql for sql in statements if "upkeep_" in sql]
        rest = [sql for sql in statements if "upkeep_" not in sql]
        assert 0 < len(ours) <= 4
        assert all(any(name in sql for name in NOT_OURS) for sql in rest)


def changed(run: Run, **columns: Any) -> Run:
    Run.objects.filter(pk=run.pk).update(**columns)
    return run


class TestBar:
    """The bar of a run, and the sentence beside it."""

    def bar(self, client: Client, run: Run) -> dict[str, str]:
        (bar,) = markup(client.get(to("run", run.pk))).all("progress")
        return bar

    def test_stands_where_the_run_is(self, client: Client) -> None:
        run = changed(run_in(Status.RUNNING, Numbers), done=3, total=7)
        bar = self.bar(client, run)
        assert (bar["value"], bar["max"]) == ("3", "7")
        assert "3 of 7 items (42 %)" in markup(client.get(to("run", run.pk))).words

    @pytest.mark.parametrize("status", sorted(set(Status) - {Status.CANCELLED}))
    def test_has_the_colour_of_the_status(self, client: Client, status: Status) -> None:
        run = run_in(status, Numbers)
        assert f"is-{status}" in self.bar(client, run)["class"].split()

    def test_without_a_total_has_no_value_while_the_run_is_active(
        self, client: Client
    ) -> None:
        run = changed(run_in(Status.RUNNING, Numbers), done=3, total=None)
        bar = self.bar(client, run)
        assert "value" not in bar
        assert "max" not in bar

    def test_without_a_total_is_full_when_the_run_is_over(self, client: Client) -> None:
        run = changed(run_in(Status.SUCCEEDED, Numbers), done=3, total=None)
        bar = self.bar(client, run)
        assert bar["value"] == bar["max"]

    def test_of_more_than_there_were_is_full(self, client: Client) -> None:
        run = changed(run_in(Status.RUNNING, Numbers), done=9, total=7)
        bar = self.bar(client, run)
        assert bar["value"] == bar["max"] == "7"


class TestFacts:
    def test_moments_can_be_read_by_a_program_too(self, client: Client) -> None:
        run = changed(
            run_in(Status.SUCCEEDED, Numbers),
            created_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        )
        page = markup(client.get(to("run", run.pk)))
        (asked_for,) = [
            each["datetime"]
            for each in page.all("time")
            if each["datetime"].startswith("2026-01-02")
        ]
        assert datetime.fromisoformat(asked_for) == datetime(
            2026, 1, 2, 3, 4, tzinfo=UTC
        )

    def test_have_the_metadata_where_there_are_any(self, client: Client) -> None:
        plain, run = Numbers.enqueue(), Numbers.using(metadata={"ticket": 7}).enqueue()
        assert "Metadata" not in markup(client.get(to("run", plain.pk))).words
        page = markup(client.get(to("run", run.pk)))
        assert 'Metadata { "ticket": 7 }' in page.words


class TestStory:
    def test_comes_in_pages_with_nothing_missed_and_nothing_twice(
        self, client: Client
    ) -> None:
        run = Numbers.enqueue()
        lines = [f"line {number:03}." for number in range(2 * EVENTS + 5)]
        run.tell(Event.Kind.LOG, *lines)
        shown, url = list[str](), to("run", run.pk)
        while url:
            page = markup(client.get(url))
            shown += [each for each in page.texts if each.startswith("line ")]
            further = [each for each in page.all("a") if each.get("rel") == "next"]
            run.tell(Event.Kind.LOG, "meanwhile")
            url = to("run", run.pk) + further[0]["href"] if further else ""
        assert shown == lines[::-1]

    def test_of_an_earlier_page_is_asked_for_again_where_it_is(
        self, client: Client
    ) -> None:
        run = Numbers.enqueue()
        run.tell(Event.Kind.LOG, *map(str, range(EVENTS + 5)))
        last = Event.objects.filter(run=run).order_by("-pk")[EVENTS].pk
        url = f"{to('run', run.pk)}?before={last}"
        part = live(client.get(url))
        assert part is not None
        assert part["hx-get"] == url

    def test_is_never_counted_off(self, client: Client) -> None:
        run = Numbers.enqueue()
        run.tell(Event.Kind.LOG, *map(str, range(EVENTS + 5)))
        with CaptureQueriesContext(connection) as queries:
            client.get(to("run", run.pk), {"before": "99999"})
        assert not [
            each for each in queries.captured_queries if "OFFSET" in each["sql"]
        ]

    def test_of_another_run_is_not_shown(self, client: Client) -> None:
        run, other = Numbers.enqueue(), Numbers.enqueue()
        other.tell(Event.Kind.LOG, "Not yours.")
        assert "Not yours." not in text(client.get(to("run", run.pk)))


class TestPlace:
    def test_of_each_stop_is_told_in_the_story(self, client: Client) -> None:
        run = run_inline(run_inline(Numbers, stop_after=2))
        words = markup(client.get(to("run", run.pk))).words
        assert "The test told it to stop. at position 2" in words
        assert "at position 7" in words

    def test_tells_no_secret(self, client: Client) -> None:
        run = Confide.enqueue(api_key="open-sesame")
        Run.objects.update(cursor={"kind": "iterate", "value": "open-sesame"})
        run.pause()
        for headers in ({}, JSON, PART):
            told = text(client.get(to("run", run.pk), headers=headers))
            assert "open-sesame" not in told


class TestSource:
    def test_is_told_beside_who_did_it(self, client: Client) -> None:
        run = Numbers.using(by="ada").enqueue()
        claim(run).end(Status.SUCCEEDED)
        page = markup(client.get(to("run", run.pk)))
        assert "ada · Python" in page.words
        assert f"{this_worker()} · worker" in page.words

    def test_is_left_out_where_it_is_not_known(self, client: Client) -> None:
        run = Numbers.using(by="ada").enqueue()
        run.events.update(source="")
        words = markup(client.get(to("run", run.pk))).words
        assert "Enqueued ada Facts" in words


class TestJSON:
    def test_is_the_run_with_why_and_where(self, client: Client) -> None:
        run = Numbers.enqueue()
        told = client.get(to("run", run.pk), headers=JSON).json()
        assert told["why"] == "It waits for a worker."
        assert told["url"] == to("run", run.pk)
        assert told["label"] == "testapp.Numbers"

    def test_has_the_story_that_the_page_tells(self, client: Client) -> None:
        run = Numbers.using(by="ada").enqueue()
        run.pause(by="bob", reason="The shop is busy.")
        told = client.get(to("run", run.pk), headers=JSON).json()
        assert told["earlier"] is None
        first, last = reversed(told["story"])
        assert (first["actor"], first["source"]) == ("ada", "python")
        assert last == {
            "id": run.events.latest("pk").pk,
            "kind": "move",
            "status": "paused",
            "text": "The shop is busy.",
            "actor": "bob",
            "source": "python",
            "created_at": last["created_at"],
            "cursor": None,
        }
        assert datetime.fromisoformat(last["created_at"]).tzinfo

    def test_of_the_story_has_the_places_at_which_it_stopped(
        self, client: Client
    ) -> None:
        run = run_inline(Numbers, stop_after=2)
        told = client.get(to("run", run.pk), headers=JSON).json()
        assert [each["cursor"] for each in told["story"]] == [run.cursor, None, None]

    def test_has_a_long_story_in_parts(self, client: Client) -> None:
        run = Numbers.enqueue()
        run.tell(Event.Kind.LOG, *map(str, range(EVENTS)))
        told = client.get(to("run", run.pk), headers=JSON).json()
        assert told["story"][0]["text"] == str(EVENTS - 1)
        rest = {"before": told["earlier"]}
        told = client.get(to("run", run.pk), rest, headers=JSON).json()
        assert [each["status"] for each in told["story"]] == ["enqueued"]

    def test_has_no_token(self, client: Client) -> None:
        run = run_in(Status.RUNNING, CountUp)
        told = text(client.get(to("run", run.pk), headers=JSON))
        assert run.lease_token not in told
        assert run.active_key
        assert run.active_key not in told


class TestError:
    def test_is_shown_with_its_secrets_masked(self, client: Client) -> None:
        run = Confide.run_now(story="a dark one", api_key="open-sesame")
        for headers in ({}, JSON, PART):
            told = text(client.get(to("run", run.pk), headers=headers))
            assert "[FILTERED] is out, and so is [FILTERED]" in told
            assert "a dark one" not in told
            assert "open-sesame" not in told


class TestThrottled:
    @pytest.fixture
    def run(self) -> Run:
        run = Numbers.enqueue()
        claim(run).let_go(
            reason="Throttled by replica: 40 s behind.",
            run_after=Now() + timedelta(minutes=4),
            throttled_by="replica",
            throttled_reason="40 s behind",
            throttled_since=Now(),
        )
        run.refresh_from_db()
        return run

    def test_the_page_says_by_what_since_when_and_until(
        self, client: Client, run: Run
    ) -> None:
        shown = text(client.get(to("run", run.pk)))
        assert "Throttled; it goes on by itself" in shown
        assert why(run) in shown
        assert why(run).startswith("Throttled by replica since ")

    def test_so_does_the_json(self, client: Client, run: Run) -> None:
        told = client.get(to("run", run.pk), headers=JSON).json()
        assert (told["throttled_by"], told["throttled_reason"]) == (
            *("replica", "40 s behind"),
        )
        assert told["throttled_since"] < told["run_after"]
        assert told["why"] == why(run)

    @each_wish
    def test_wishes_are_granted_at_once(
        self, client: Client, run: Run, wish: str
    ) -> None:
        client.post(to(f"run-{wish}", run.pk))
        run.refresh_from_db()
        assert run.status in {Status.PAUSED, Status.ENQUEUED, Status.CANCELLED}
        assert (run.throttled_by, run.run_after) == ("", None)
