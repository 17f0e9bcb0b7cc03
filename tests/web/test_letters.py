"""Pages of dead letters, and what one does with them there."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from tests.runs.stages import run_in
from tests.testapp.maintenance import CountUp, Numbers
from tests.web.conftest import Know
from tests.web.visits import (
    CALL,
    HANDLE,
    JSON,
    SEE,
    client_of,
    markup,
    text,
    to,
    user,
    visitor,
)
from upkeep import Task
from upkeep.runs import tallies
from upkeep.runs.dead_letters import DeadLetter
from upkeep.runs.models import Run
from upkeep.runs.status import Status
from upkeep.web import deeds
from upkeep.web.shelves import PAGE

pytestmark = pytest.mark.django_db

State = DeadLetter.State
NOT_OURS = ("django_session", "auth_", "SAVEPOINT")


@pytest.fixture
def client() -> Client:
    return visitor(SEE, HANDLE, name="ada")


@pytest.fixture
def run() -> Run:
    """Return a run with three dead letters of two causes."""
    run = run_in(Status.SUCCEEDED)
    Run.objects.update(failed=3)
    give(run, 2, fingerprint="aa", error_message="No price")
    give(run, 1, fingerprint="bb", error_message="No name")
    return run


def give(run: Run | None, number: int, **fields: Any) -> list[DeadLetter]:
    fields = {"error_class": "shop.Unlisted", "payload": {"n": 1}} | fields
    return [
        DeadLetter.objects.create(run=run, item=f"item {place}", **fields)
        for place in range(number)
    ]


def call_letters(number: int = 1, **fields: Any) -> list[DeadLetter]:
    payload = {"args": [7], "kwargs": {}}
    return give(None, number, call=CALL, **{"payload": payload} | fields)


def states(run: Run | None = None) -> list[str]:
    letters = DeadLetter.objects.filter(run=run).order_by("pk")
    return list(letters.values_list("state", flat=True))


def pks(run: Run, *places: int) -> list[int]:
    letters = list(run.dead_letters.order_by("pk"))
    return [letters[place].pk for place in places]


def shown(answer: Any) -> list[int]:
    return [int(each["value"]) for each in markup(answer).named("letters")]


class TestRetry:
    def test_of_some_leads_to_the_run_that_does(self, client: Client, run: Run) -> None:
        sent = {"letters": pks(run, 0, 2), "rate": "2.5"}
        answer = client.post(to("run-letters-retry", run.pk), sent, follow=True)
        child = Run.objects.get(parent=run)
        assert answer.redirect_chain == [(to("run", child.pk), 302)]
        assert (child.total, child.rate, str(child.requested_by)) == (2, 2.5, "ada")
        assert states(run) == ["retrying", "open", "retrying"]
        words = markup(answer).words
        assert "2 dead letters were handed to this run." in words
        assert f"It retries 2 dead letters of run {run.pk} , at most 2.5 a second" in (
            words
        )
        again = markup(client.get(to("run", child.pk))).words
        assert "handed" not in again

    def test_of_all_that_fit_takes_one_cause(self, client: Client, run: Run) -> None:
        sent = {"all": "1", "cause": "aa"}
        client.post(to("run-letters-retry", run.pk), sent)
        assert states(run) == ["retrying", "retrying", "open"]

    def test_comes_from_the_page(self, client: Client, run: Run) -> None:
        client.post(to("run-letters-retry", run.pk), {"all": "1"})
        note = run.events.filter(kind="note").get()
        assert (note.actor, note.source) == ("ada", "page")

    @pytest.mark.parametrize("rate", ["fast", "0", "-1", "nan", "inf", "1e999"])
    def test_at_no_rate_keeps_the_form(
        self, client: Client, run: Run, rate: str
    ) -> None:
        (pk,) = pks(run, 1)
        sent = {"letters": [pk], "rate": rate, "note": "Mine."}
        answer = client.post(to("run-letters-retry", run.pk), sent)
        assert answer.status_code == 422
        page = markup(answer)
        assert page.named("rate")[0]["value"] == rate
        assert page.named("note")[0]["value"] == "Mine."
        checked = [each["value"] for each in page.named("letters") if "checked" in each]
        assert checked == [str(pk)]
        assert page.all("ul")
        assert "errorlist" in text(answer)
        assert states(run) == ["open"] * 3

    def test_of_none_is_asked_back(self, client: Client, run: Run) -> None:
        answer = client.post(to("run-letters-retry", run.pk))
        assert answer.status_code == 422
        assert "Choose the dead letters first" in markup(answer).words

    def test_of_what_others_have_seen_to_is_refused(
        self, client: Client, run: Run
    ) -> None:
        sent = {"letters": pks(run, 0)}
        run.dead_letters.discard("Old.")
        answer = client.post(to("run-letters-retry", run.pk), sent)
        assert answer.status_code == 409
        assert "None of these dead letters is open" in markup(answer).words

    def test_of_anothers_letters_touches_none(self, client: Client, run: Run) -> None:
        other = run_in(Status.SUCCEEDED)
        (letter,) = give(other, 1)
        for verb in ("retry", "discard", "assign"):
            sent = {"letters": [letter.pk], "reason": "Old."}
            client.post(to(f"run-letters-{verb}", run.pk), sent)
        letter.refresh_from_db()
        assert (letter.state, letter.owner) == (State.OPEN, None)

    @pytest.mark.parametrize("odd", ["x", "-1", "²", "9" * 30, "1 or 1=1", "\0"])
    def test_of_odd_numbers_is_of_none(
        self, client: Client, run: Run, odd: str
    ) -> None:
        answer = client.post(to("run-letters-retry", run.pk), {"letters": [odd]})
        assert answer.status_code == 422

    def test_of_more_than_a_page_takes_is_of_the_oldest_and_says_so(
        self, client: Client, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deeds, "AT_MOST", 2)
        sent = {"all": "1"}
        answer = client.post(to("run-letters-retry", run.pk), sent, follow=True)
        assert states(run) == ["retrying", "retrying", "open"]
        assert f"manage.py upkeep retry {run.pk}" in markup(answer).words

    def test_of_just_as_many_as_a_page_takes_says_nothing(
        self, client: Client, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deeds, "AT_MOST", 3)
        sent = {"all": "1"}
        answer = client.post(to("run-letters-retry", run.pk), sent, follow=True)
        assert states(run) == ["retrying"] * 3
        assert "manage.py" not in markup(answer).words

    def test_of_a_task_that_is_gone_is_refused(self, client: Client, run: Run) -> None:
        Run.objects.update(task="testapp.Gone")
        answer = client.post(to("run-letters-retry", run.pk), {"all": "1"})
        assert answer.status_code == 409
        assert "testapp.Gone" in markup(answer).words
        assert states(run) == ["open"] * 3

    def test_where_the_queue_is_gone_is_refused(
        self, client: Client, run: Run, settings: Settings
    ) -> None:
        settings.TASKS = {"default": settings.TASKS["default"] | {"QUEUES": ["other"]}}
        answer = client.post(to("run-letters-retry", run.pk), {"all": "1"})
        assert answer.status_code == 409
        assert "has no queue 'default'" in markup(answer).words

    def test_where_there_is_no_room_is_refused(
        self, client: Client, known: Know[type[Task]]
    ) -> None:
        @known
        class Two(CountUp):
            concurrency = 2

        run = run_in(Status.SUCCEEDED, Two)
        give(run, 1)
        Two.enqueue()
        Two.enqueue()
        answer = client.post(to("run-letters-retry", run.pk), {"all": "1"})
        assert answer.status_code == 409
        assert states(run) == ["open"]

    def test_in_json_is_answered_by_the_run(self, client: Client, run: Run) -> None:
        url = to("run-letters-retry", run.pk)
        answer = client.post(url, {"all": "1"}, headers=JSON)
        assert answer.status_code == 201
        assert answer.json()["parent"] == run.pk
        refused = client.post(url, {"all": "1"}, headers=JSON)
        assert refused.status_code == 409
        assert "is open" in refused.json()["error"]
        wrong = client.post(url, {"all": "1", "rate": "x"}, headers=JSON)
        assert wrong.status_code == 422
        assert wrong.json() == {"errors": {"rate": ["Enter a number."]}}


class TestTooMany:
    """A page takes the oldest, and says so."""

    @pytest.fixture(autouse=True)
    def few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(deeds, "AT_MOST", 2)

    def test_to_discard(self, client: Client, run: Run) -> None:
        sent = {"all": "1", "reason": "Old."}
        answer = client.post(to("run-letters-discard", run.pk), sent, follow=True)
        assert states(run) == ["discarded", "discarded", "open"]
        command = f"manage.py upkeep discard --reason … {run.pk}"
        assert command in markup(answer).words

    def test_to_assign(self, client: Client, run: Run) -> None:
        url = to("run-letters-assign", run.pk)
        answer = client.post(url, {"all": "1"}, follow=True)
        words = markup(answer).words
        assert "2 dead letters are yours now. These are the oldest that fit" in words
        assert "likewise" not in words  # It would take the same ones again.


class TestDiscard:
    def test_says_how_many_and_who_and_why(self, client: Client, run: Run) -> None:
        sent = {"letters": pks(run, 0, 1), "reason": "Test orders."}
        answer = client.post(to("run-letters-discard", run.pk), sent, follow=True)
        assert "2 dead letters were discarded." in markup(answer).words
        letter = run.dead_letters.earliest("pk")
        assert (letter.state, letter.note) == (State.DISCARDED, "Test orders.")
        assert str(letter.owner) == "ada"

    @pytest.mark.parametrize("reason", ["", "   "])
    def test_without_a_reason_is_asked_back_beside_the_field(
        self, client: Client, run: Run, reason: str
    ) -> None:
        for url, sent in (
            (to("run-letters-discard", run.pk), {"all": "1", "reason": reason}),
            (to("letter-discard", pks(run, 0)[0]), {"reason": reason}),
        ):
            answer = client.post(url, sent)
            assert answer.status_code == 422
            (field,) = markup(answer).named("reason")
            assert field["aria-invalid"] == "true"
            assert "Say why they are given up." in markup(answer).words
        assert states(run) == ["open"] * 3

    def test_of_what_is_not_open_is_refused(self, client: Client, run: Run) -> None:
        (pk,) = pks(run, 0)
        run.dead_letters.discard("Old.")
        answer = client.post(to("letter-discard", pk), {"reason": "Old, too."})
        assert answer.status_code == 409
        assert DeadLetter.objects.get(pk=pk).note == "Old."

    def test_in_json_is_answered_by_a_number(self, client: Client, run: Run) -> None:
        sent = {"all": "1", "reason": "Old."}
        url = to("run-letters-discard", run.pk)
        answer = client.post(url, sent, headers=JSON)
        assert (answer.status_code, answer.json()) == (200, {"discarded": 3})


class TestAssign:
    def test_makes_the_one_who_asks_the_owner(self, client: Client, run: Run) -> None:
        sent = {"letters": pks(run, 2), "note": "I ask the supplier."}
        answer = client.post(to("run-letters-assign", run.pk), sent, follow=True)
        words = markup(answer).words
        assert "1 dead letter is yours now." in words
        assert "I ask the supplier." in words
        assert "· ada" in words
        assert states(run) == ["open"] * 3

    def test_without_a_note_leaves_what_others_wrote(
        self, client: Client, run: Run
    ) -> None:
        run.dead_letters.update(note="Ask Grace.")
        client.post(to("run-letters-assign", run.pk), {"all": "1"})
        assert set(run.dead_letters.values_list("note", flat=True)) == {"Ask Grace."}

    def test_of_one_may_take_a_note_away(self, client: Client, run: Run) -> None:
        run.dead_letters.update(note="Ask Grace.")
        (pk,) = pks(run, 0)
        page = markup(client.get(to("letter", pk)))
        assert page.named("note")[0]["value"] == "Ask Grace."
        client.post(to("letter-assign", pk), {"note": ""})
        assert DeadLetter.objects.get(pk=pk).note == ""


class TestList:
    def test_comes_in_pages_with_none_missed_and_none_twice(
        self, client: Client, run: Run
    ) -> None:
        give(run, 2 * PAGE)
        seen, url = list[int](), to("run-letters", run.pk)
        while url:
            answer = client.get(url)
            seen += shown(answer)
            further = [
                each["href"]
                for each in markup(answer).all("a")
                if each.get("rel") == "next"
            ]
            give(run, 1)
            url = further[0] if further else ""
        expected = run.dead_letters.order_by("-pk").values_list("pk", flat=True)
        assert seen == list(expected)[3:]

    def test_has_one_state_and_counts_the_others(
        self, client: Client, run: Run
    ) -> None:
        run.dead_letters.filter(pk__in=pks(run, 0)).discard("A test order.")
        page = markup(client.get(to("run-letters", run.pk)))
        assert "Open 2 Retrying 0 Resolved 0 Discarded 1" in page.words
        assert len(page.named("letters")) == 2
        answer = client.get(to("run-letters", run.pk), {"state": "discarded"})
        assert "A test order." in markup(answer).words
        assert shown(answer) == []  # There is nothing to be done with them.

    def test_counts_no_further_than_is_cheap(
        self, client: Client, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tallies, "MOST", 2)
        for url in (to("run-letters", run.pk), to("run", run.pk), to("letter-list")):
            assert "2+" in markup(client.get(url)).words

    def test_of_a_cause_has_no_other(self, client: Client, run: Run) -> None:
        page = client.get(to("run-letters", run.pk))
        assert "2 letters shop.Unlisted No price" in markup(page).words
        assert "1 letter shop.Unlisted No name" in markup(page).words
        answer = client.get(to("run-letters", run.pk), {"cause": "bb"})
        assert shown(answer) == pks(run, 2)
        (cause,) = markup(answer).named("cause")
        assert cause["value"] == "bb"

    def test_asks_no_more_when_there_are_more(self, client: Client, run: Run) -> None:
        def questions() -> list[str]:
            with CaptureQueriesContext(connection) as captured:
                client.get(to("run-letters", run.pk))
            return [
                each["sql"]
                for each in captured.captured_queries
                if not any(name in each["sql"] for name in NOT_OURS)
            ]

        before = len(questions())
        give(run, 60, owner=user())
        after = questions()
        assert len(after) == before
        assert not [sql for sql in after if "OFFSET" in sql]

    def test_of_a_state_that_is_none_is_404(self, client: Client, run: Run) -> None:
        answer = client.get(to("run-letters", run.pk), {"state": "opn"})
        assert answer.status_code == 404

    def test_offers_nothing_without_the_permission(self, run: Run) -> None:
        (pk,) = pks(run, 0)
        for url in (to("run-letters", run.pk), to("letter", pk)):
            answer = visitor(SEE).get(url)
            assert 'method="post"' not in text(answer)
            assert HANDLE in markup(answer).words

    def test_names_the_runs_that_tried_some_again(
        self, client: Client, run: Run
    ) -> None:
        (child,) = run.dead_letters.retry()
        page = client.get(to("run-letters", run.pk))
        assert to("run", child.pk) in [each["href"] for each in markup(page).all("a")]

    def test_in_json_has_letters_counts_and_causes(
        self, client: Client, run: Run
    ) -> None:
        told = client.get(to("run-letters", run.pk), headers=JSON).json()
        assert [each["id"] for each in told["letters"]] == pks(run, 2, 1, 0)
        first = told["letters"][0]
        assert (first["state"], first["payload"]) == ("open", {"n": 1})
        assert first["url"] == to("letter", first["id"])
        assert told["counts"] == {
            "open": 3,
            "retrying": 0,
            "resolved": 0,
            "discarded": 0,
        }
        assert told["causes"][0] == {
            "fingerprint": "aa",
            "count": 2,
            "error_class": "shop.Unlisted",
            "error_message": "No price",
        }
        assert told["further"] is None
        assert "token" not in text(client.get(to("run-letters", run.pk), headers=JSON))


class TestOne:
    def test_tells_what_failed_and_why(self, client: Client, run: Run) -> None:
        (letter,) = give(
            run,
            1,
            payload={"email": "x@example.com", "items": [1, 2]},
            traceback="Traceback (most recent call last)",
            attempts=4,
        )
        words = markup(client.get(to("letter", letter.pk))).words
        for word in ("email x@example.com", "items 1, 2", "Traceback (most", "4"):
            assert word in words

    def test_cuts_what_is_long(self, client: Client, run: Run) -> None:
        (letter,) = give(run, 1, payload={"text": "x" * 100_000})
        assert len(text(client.get(to("letter", letter.pk)))) < 20_000

    @pytest.mark.parametrize(
        "payload", [None, "text", 7, [1, 2], {"$model": "testapp.item", "pk": 3}, []]
    )
    def test_shows_an_item_of_any_kind(
        self, client: Client, run: Run, payload: Any
    ) -> None:
        (letter,) = give(run, 1, payload=payload)
        assert client.get(to("letter", letter.pk)).status_code == 200

    def test_leads_to_the_run_that_tried_it_again(
        self, client: Client, run: Run
    ) -> None:
        (pk,) = pks(run, 0)
        answer = client.post(to("letter-retry", pk))
        child = Run.objects.get(parent=run)
        assert answer["Location"] == to("run", child.pk)
        page = markup(client.get(to("letter", pk)))
        assert to("run", child.pk) in [each["href"] for each in page.all("a")]
        assert "Retrying" in page.words
        assert [each.get("action") for each in page.all("form")] == [
            to("letter-assign", pk)
        ]

    def test_in_json_has_its_traceback(self, client: Client, run: Run) -> None:
        (letter,) = give(run, 1, traceback="Traceback")
        told = client.get(to("letter", letter.pk), headers=JSON).json()
        assert (told["traceback"], told["run"]) == ("Traceback", run.pk)


@pytest.mark.django_db(transaction=True)
class TestCalls:
    def test_are_listed_by_function(self, client: Client) -> None:
        call_letters(2)
        words = markup(client.get(to("call-letters", CALL))).words
        assert "item 1" in words
        assert "charge" in words

    def test_are_made_again(self, client: Client) -> None:
        call_letters(2)
        sent = {"all": "1"}
        answer = client.post(to("call-letters-retry", CALL), sent, follow=True)
        assert "2 calls are made again" in markup(answer).words
        assert states() == ["retrying"] * 2

    def test_that_cannot_be_made_again_say_why(self, client: Client) -> None:
        (letter,) = call_letters(obstacle="Its argument card is masked.")
        page = markup(client.get(to("letter", letter.pk)))
        assert "Its argument card is masked." in page.words
        assert to("letter-retry", letter.pk) not in page.values("action")
        answer = client.post(to("letter-retry", letter.pk))
        assert answer.status_code == 409
        assert "cannot be made again" in markup(answer).words

    def test_of_which_some_cannot_be_made_again_are_counted_without_these(
        self, client: Client
    ) -> None:
        call_letters(obstacle="Its argument card is masked.")
        call_letters(2)
        answer = client.post(to("call-letters-retry", CALL), {"all": "1"}, headers=JSON)
        assert answer.json() == {"retried": 2}

    def test_of_which_some_cannot_be_made_again_are_told_apart(
        self, client: Client
    ) -> None:
        call_letters(2, obstacle="Its argument card is masked.")
        call_letters()
        url = to("call-letters-retry", CALL)
        answer = client.post(url, {"all": "1"}, follow=True)
        words = markup(answer).words
        assert "1 call is made again" in words
        assert "2 cannot be made again, and their pages say why." in words

    def test_have_no_rate(self, client: Client) -> None:
        call_letters()
        assert markup(client.get(to("call-letters", CALL))).named("rate") == []
        sent = {"all": "1", "rate": "1"}
        answer = client.post(to("call-letters-retry", CALL), sent)
        assert answer.status_code == 422

    def test_are_few_at_once(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deeds, "CALLS_AT_MOST", 2)
        call_letters(3)
        sent = {"all": "1"}
        answer = client.post(to("call-letters-retry", CALL), sent, follow=True)
        assert states() == ["retrying", "retrying", "open"]
        assert f"retry --calls {CALL}" in markup(answer).words

    def test_show_their_arguments(self, client: Client) -> None:
        (letter,) = call_letters(payload={"args": [7], "kwargs": {"amount": 3}})
        words = markup(client.get(to("letter", letter.pk))).words
        assert "Argument 1 7" in words
        assert "amount 3" in words

    def test_in_json_are_answered_by_a_number(self, client: Client) -> None:
        call_letters()
        url = to("call-letters-retry", CALL)
        answer = client.post(url, {"all": "1"}, headers=JSON)
        assert (answer.status_code, answer.json()) == (200, {"retried": 1})


class TestAll:
    def test_are_listed_by_task_and_function(self, client: Client, run: Run) -> None:
        call_letters(2)
        page = markup(client.get(to("letter-list")))
        assert f"Run {run.pk} 3 open" in page.words
        assert "2 open" in page.words
        linked = [each["href"] for each in page.all("a")]
        assert to("run-letters", run.pk) in linked
        assert to("call-letters", CALL) in linked

    def test_are_told_in_json(self, client: Client, run: Run) -> None:
        call_letters(2)
        told = client.get(to("letter-list"), headers=JSON).json()
        (of_run,) = told["runs"]
        assert (of_run["run"]["id"], of_run["open"]) == (run.pk, 3)
        assert told["calls"] == [
            {"call": CALL, "open": 2, "url": to("call-letters", CALL)}
        ]

    def test_are_only_those_that_one_may_see(
        self, client: Client, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Numbers, "permission", "auth.delete_group")
        assert "testapp" not in text(client.get(to("letter-list")))
        assert to("letter-list") not in text(client.get(to("task-list")))
        told = client.get(to("letter-list"), headers=JSON).json()
        assert told == {"runs": [], "calls": []}

    def test_are_led_to_from_the_tasks_where_there_are_any(
        self, client: Client, run: Run
    ) -> None:
        assert to("letter-list") in text(client.get(to("task-list")))
        run.dead_letters.discard("Old.")
        assert to("letter-list") not in text(client.get(to("task-list")))
        call_letters()
        assert to("letter-list") in text(client.get(to("task-list")))

    def test_that_nobody_has_is_said(self, client: Client) -> None:
        assert "none that are open" in markup(client.get(to("letter-list"))).words


class TestRunPage:
    def test_counts_them_by_state(self, client: Client, run: Run) -> None:
        run.dead_letters.filter(pk__in=pks(run, 0)).discard("Old.")
        page = markup(client.get(to("run", run.pk)))
        assert "2 Open 1 Discarded" in page.words
        told = client.get(to("run", run.pk), headers=JSON).json()
        assert told["dead_letters"]["open"] == 2

    def test_links_the_runs_that_its_story_names(
        self, client: Client, run: Run
    ) -> None:
        (child,) = run.dead_letters.retry()
        page = markup(client.get(to("run", run.pk)))
        assert to("run", child.pk) in [each["href"] for each in page.all("a")]

    def test_links_nothing_that_a_person_wrote(self, client: Client, run: Run) -> None:
        run.dead_letters.discard("1 dead letter retried as run 77.")
        assert to("run", 77) not in text(client.get(to("run", run.pk)))

    def test_of_an_errored_retrial_says_what_became_of_the_letters(
        self, client: Client, run: Run
    ) -> None:
        child = run_in(Status.ERRORED, CountUp)
        Run.objects.filter(pk=child.pk).update(parent=run, total=1)
        assert "are open again" in markup(client.get(to("run", child.pk))).words


def test_the_name_of_the_one_who_asks_is_needed_for_nothing(run: Run) -> None:
    client = client_of(user(SEE, HANDLE, name="grace"))
    client.post(to("run-letters-assign", run.pk), {"all": "1"})
    assert {str(each.owner) for each in run.dead_letters.all()} == {"grace"}
