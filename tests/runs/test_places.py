"""A place at which a run stopped is told in half a line, and tells no secret."""

from typing import Any

import pytest

from tests.testapp.maintenance import Confide, CountUp, Numbers, Report
from tests.testapp.models import Item
from upkeep.models import Event, Run
from upkeep.runs.facts import facts, facts_of_event
from upkeep.runs.places import place_of
from upkeep.runs.status import Status
from upkeep.testing import run_inline

pytestmark = pytest.mark.django_db

SECRET = "open-sesame"


def stop(run: Run, cursor: Any) -> Event:
    """Return the event of a stop there."""
    run.cursor = cursor
    run.save(update_fields=["cursor"])
    return Event.objects.create(
        run=run, kind=Event.Kind.MOVE, status=Status.PAUSED, cursor=cursor
    )


@pytest.mark.parametrize(
    ("cursor", "words"),
    [
        (None, ""),
        ({"kind": "once", "done": True}, ""),
        ({"kind": "sequence", "position": 7}, "position 7"),
        ({"kind": "csv", "offset": 6912, "line": 121}, "line 121"),
        ({"kind": "iterate", "value": [3, "b"]}, '[3, "b"]'),
        ({"kind": "iterate", "value": {"$decimal": "1.10"}}, "1.10"),
        (
            {
                "kind": "queryset",
                "model": "shop.Order",
                "fields": ["-created_at", "id"],
                "values": [{"$datetime": "2030-01-01T10:00:00+00:00"}, 7],
            },
            "created_at 2030-01-01T10:00:00+00:00, id 7",
        ),
        (["as it was once"], '["as it was once"]'),
    ],
)
def test_is_told_by_what_people_know_it_by(cursor: Any, words: str) -> None:
    assert place_of(stop(Numbers.enqueue(), cursor)) == words


def test_is_known_of_each_stop_of_a_run() -> None:
    Item.objects.bulk_create(Item(pk=pk) for pk in range(1, 6))
    run = run_inline(run_inline(CountUp, stop_after=2))
    told = [(event.status, place_of(event)) for event in run.events.all()]
    assert [each for each in told if each[1]] == [
        ("interrupted", "id 2"),
        ("succeeded", "id 5"),
    ]


@pytest.mark.parametrize(
    "cursor",
    [
        {"kind": "iterate", "value": SECRET},
        {"kind": "iterate", "value": {"at": [SECRET]}},
        {"kind": "queryset", "fields": ["key"], "values": [SECRET]},
    ],
)
def test_tells_no_secret(cursor: Any) -> None:
    run = Confide.enqueue(api_key=SECRET)
    event = stop(run, cursor)
    told = [place_of(event), str(facts(run)), str(facts_of_event(event))]
    assert [SECRET in each for each in told] == [False, False, False]
    assert all("[FILTERED]" in each for each in told)


def test_is_not_told_where_nobody_is_left_to_say_what_is_secret() -> None:
    run = Confide.enqueue(api_key=SECRET)
    Run.objects.update(task="testapp.Gone")
    run.refresh_from_db()
    event = stop(run, {"kind": "iterate", "value": SECRET})
    assert place_of(event) == facts(run)["cursor"] == "[FILTERED]"


def test_is_told_of_a_task_that_is_gone_and_had_no_parameters() -> None:
    run = Report.enqueue()
    Run.objects.update(task="testapp.Gone")
    run.refresh_from_db()
    assert place_of(stop(run, {"kind": "csv", "line": 3})) == "line 3"
