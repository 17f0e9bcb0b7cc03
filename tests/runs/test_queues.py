"""When a worker last took a message, from which queue."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import DatabaseError, connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.runs.test_slots import raced
from upkeep.databases import Now
from upkeep.runs.queues import Queue, note_taken


def note() -> None:
    note_taken("default", "mail")


def taken_at() -> datetime:
    return Queue.objects.get().taken_at


@pytest.mark.django_db
class TestNote:
    def test_of_a_queue_that_was_never_seen_makes_its_row(self) -> None:
        note()
        queue = Queue.objects.get()
        assert (queue.backend, queue.name) == ("default", "mail")
        assert abs(timezone.now() - queue.taken_at) < timedelta(seconds=30)
        assert str(queue) == "mail of default"

    def test_is_one_for_each_queue_of_each_backend(self) -> None:
        for backend in ("one", "two"):
            for name in ("mail", "default", "mail"):
                note_taken(backend, name)
        assert Queue.objects.count() == 4

    def test_is_brought_up_to_date(self) -> None:
        note()
        Queue.objects.update(taken_at=Now() - timedelta(minutes=5))
        note()
        assert abs(timezone.now() - taken_at()) < timedelta(seconds=30)

    def test_is_not_written_again_and_again(self) -> None:
        note()
        Queue.objects.update(taken_at=Now() - timedelta(seconds=0.5))
        before = taken_at()
        for _ in range(3):
            note()
        assert taken_at() == before

    def test_costs_one_query_where_it_is_written(self) -> None:
        note()
        Queue.objects.update(taken_at=Now() - timedelta(minutes=5))
        with CaptureQueriesContext(connection) as queries:
            note()
        assert len(queries) == 1

    def test_that_fails_stops_nobody(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*args: object, **kwargs: object) -> None:
            raise DatabaseError("The disk is full.")

        monkeypatch.setattr(QuerySet, "update", fail)
        note()
        assert "Queue mail of default was not noted." in caplog.text


@pytest.mark.django_db(transaction=True)
class TestRace:
    def test_of_first_notes_leaves_one_row_and_no_error(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(5):
            Queue.objects.all().delete()
            assert raced(note) == [""] * 5
            assert Queue.objects.count() == 1
        assert caplog.text == ""

    def test_of_later_notes_leaves_the_latest(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        note()
        Queue.objects.update(taken_at=Now() - timedelta(minutes=5))
        assert raced(note) == [""] * 5
        assert abs(timezone.now() - taken_at()) < timedelta(seconds=30)
        assert caplog.text == ""
