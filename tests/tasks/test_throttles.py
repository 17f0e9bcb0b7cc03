"""What lets a run wait, as it is written: collected, refused early, and asked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django import forms
from django.utils.translation import gettext_lazy

from tests.tasks.test_base import child_of, lazy_coroutine, lazy_generator, make
from upkeep import Task, Throttle, parameter, throttle
from upkeep.exceptions import InvalidTask
from upkeep.tasks.throttles import ask, collect

MINUTE = timedelta(minutes=1)


class OfficeHours(Throttle):
    """Hold for as long as it was told."""

    def __init__(self, answer: object = None) -> None:
        self.answer = answer

    def check(self, task: Any) -> object:
        return self.answer


class Throttled(Task):
    """Wait for this and that."""

    app_label = "testapp"
    abstract = True

    limit: int = parameter(forms.IntegerField(initial=5))
    throttles = [hours := OfficeHours()]

    @throttle(backoff=MINUTE, every=timedelta(seconds=5))
    def replica_is_behind(self) -> object:
        return f"{self.limit} s behind"

    @throttle()
    def queue_is_long(self) -> object:
        return None


def names(task: type[Task]) -> list[str]:
    return [each.name for each in collect(task)]


def object_with(**attributes: Any) -> Throttle:
    made: Throttle = type("Made", (OfficeHours,), attributes)()
    return made


class TestCollected:
    def test_in_the_order_in_which_they_are_written(self) -> None:
        assert names(Throttled) == ["OfficeHours", "replica_is_behind", "queue_is_long"]

    def test_those_of_a_subclass_before_those_of_its_parents(self) -> None:
        class Mixin:
            throttles = (object_with(name="mixed in"),)

        child = type(
            "Child",
            (Mixin, Throttled),
            {
                "__qualname__": "f.<locals>.Child",
                "throttles": [object_with(name="own")],
                "disk_is_full": throttle()(lambda self: True),
            },
        )
        assert names(child) == [
            *("own", "disk_is_full"),
            *("mixed in", *names(Throttled)),
        ]

    def test_a_subclass_that_adds_some_changes_no_parent(self) -> None:
        before = collect(Throttled)
        child_of(Throttled, throttles=[object_with(name="more")])
        child_of(Throttled, queue_is_long=None)
        assert [each.name for each in before] == names(Throttled)
        assert Throttled.throttles == [Throttled.hours]

    def test_a_list_that_is_empty_takes_none_away(self) -> None:
        assert names(child_of(Throttled, throttles=[])) == names(Throttled)

    def test_one_that_is_listed_twice_is_asked_once(self) -> None:
        child = child_of(Throttled, throttles=[Throttled.hours])
        assert names(child).count("OfficeHours") == 1

    @pytest.mark.parametrize("instead", [None, lambda self: True])
    def test_a_method_written_without_the_decorator_is_gone(self, instead: Any) -> None:
        child = child_of(Throttled, replica_is_behind=instead)
        assert "replica_is_behind" not in names(child)
        assert "replica_is_behind" not in names(child_of(child))

    def test_a_method_decorated_anew_has_the_new_terms(self) -> None:
        anew = throttle(backoff=2 * MINUTE)(lambda self: True)
        first, *rest = collect(child_of(Throttled, replica_is_behind=anew))
        assert (first.name, first.backoff) == ("replica_is_behind", 2 * MINUTE)
        assert "replica_is_behind" not in [each.name for each in rest]

    def test_the_method_can_still_be_called(self) -> None:
        assert Throttled(limit=7).replica_is_behind() == "7 s behind"

    def test_an_object_is_called_as_its_class_unless_it_says_otherwise(self) -> None:
        class Named(OfficeHours):
            name = "the office hours"

        class Child(Named):
            def __init__(self) -> None:
                super().__init__()
                self.name = "its own"

        class Plain(Named):
            pass

        assert [Named().name, Plain().name, Child().name] == [
            *("the office hours", "Plain", "its own")
        ]


class TestRefused:
    """When the class is made, in a sentence, and not when it runs at night."""

    @pytest.mark.parametrize(
        ("method", "sentence"),
        [
            (throttle(backoff=30), "Made.busy: backoff must be a timedelta, or return"),  # type: ignore[arg-type]  # the misuse
            (throttle(backoff=timedelta(0)), "Made.busy: backoff must be above zero"),
            (throttle(backoff=timedelta), "busy: backoff must take the task, or noth"),
            (throttle(backoff=lambda a, b: MINUTE), "must take the task, or nothing"),
            (throttle(every=1), "Made.busy: every must be a timedelta, and not below"),  # type: ignore[arg-type]  # the misuse
            (throttle(every=-MINUTE), "every must be a timedelta, and not below zero"),
        ],
    )
    def test_with_terms_that_cannot_be(self, method: Any, sentence: str) -> None:
        with pytest.raises(InvalidTask, match=sentence):
            make(busy=method(lambda self: True))

    @pytest.mark.parametrize(
        ("function", "sentence"),
        [
            (lambda self: (yield), r"Made.busy\(self\) must be a plain method: called"),
            (lazy_generator, r"Made.busy\(self\) must be a plain method: called as on"),
            (lazy_coroutine, r"an async function or one with a yield says nothing"),
            (lambda self, item: True, r"Made.busy\(self\) has the wrong arguments"),
            (lambda: True, r"Made.busy\(self\) has the wrong arg"),
        ],
    )
    def test_where_it_could_not_be_asked(self, function: Any, sentence: str) -> None:
        with pytest.raises(InvalidTask, match=sentence):
            make(busy=throttle()(function))

    @pytest.mark.parametrize("kind", [staticmethod, classmethod, property])
    def test_where_it_is_no_plain_method(self, kind: Any) -> None:
        with pytest.raises(InvalidTask, match="plain method"):
            throttle()(kind(lambda self: True))

    @pytest.mark.parametrize("kind", [staticmethod, classmethod])
    def test_where_another_decorator_makes_it_none(self, kind: Any) -> None:
        with pytest.raises(InvalidTask, match=r"busy\(self\) must be a plain method"):
            make(busy=kind(throttle()(lambda self: True)))

    def test_without_parentheses(self) -> None:
        with pytest.raises(InvalidTask, match=r"@throttle\(\), with parentheses"):
            throttle(lambda self: True)

    @pytest.mark.parametrize("name", ["process", "collection", "count", "clean", "run"])
    def test_by_a_name_of_our_own(self, name: str) -> None:
        with pytest.raises(InvalidTask, match=f"Made.{name} is what Task itself calls"):
            make(**{name: throttle()(lambda self: True)})

    @pytest.mark.parametrize(
        "attributes",
        [
            {"limit": throttle()(lambda self: True)},
            {"queue_is_long": forms.CharField()},
        ],
    )
    def test_by_the_name_of_a_parameter(self, attributes: dict[str, Any]) -> None:
        with pytest.raises(InvalidTask, match="is a parameter and a throttle"):
            child_of(Throttled, **attributes)

    @pytest.mark.parametrize(
        ("listed", "sentence"),
        [
            (None, "Made.throttles must be a list of Throttle objects"),
            (OfficeHours(), "Made.throttles must be a list of Throttle objects"),
            ([OfficeHours], r"throttles must hold objects: write OfficeHours\(…\)"),
            (["busy"], "throttles must hold Throttle objects, and not 'busy'"),
            ([object_with(name="")], "Made.throttles has a Made without a name"),
            ([object_with(name=5)], "Made.throttles has a Made without a name"),
            ([object_with(backoff=5)], "throttles: Made: backoff must be a timedelta"),
            ([object_with(every=None)], "throttles: Made: every must be a timedelta"),
            ([object_with(check=lazy_coroutine)], r"Made.check\(task\) must be a plai"),
            ([object_with(check=lambda self: 1)], r"check\(task\) has the wrong argu"),
            (
                [OfficeHours(), OfficeHours()],
                "Made.throttles has several of the name 'OfficeHours': give each",
            ),
        ],
    )
    def test_as_an_object_that_is_none(self, listed: Any, sentence: str) -> None:
        with pytest.raises(InvalidTask, match=sentence):
            make(throttles=listed)

    def test_by_the_name_of_a_parents_throttle(self) -> None:
        with pytest.raises(InvalidTask, match="several of the name 'queue_is_long'"):
            child_of(Throttled, throttles=[object_with(name="queue_is_long")])

    def test_an_object_that_lacks_its_check_says_so(self) -> None:
        class Empty(Throttle):
            pass

        with pytest.raises(InvalidTask, match=r"Empty must define check\(task\)"):
            Empty().check(Throttled())


def asked(answer: object, **terms: Any) -> tuple[str, timedelta] | None:
    """Ask a method that answers so, and return reason and wait."""
    made = child_of(Throttled, busy=throttle(**terms)(lambda self: answer))
    (busy,) = [each for each in collect(made) if each.name == "busy"]
    hold = ask(busy, made())
    assert hold is None or hold.by == "busy"
    return None if hold is None else (hold.reason, hold.wait)


class TestAsked:
    @pytest.mark.parametrize("answer", [None, False, "", 0, [], timedelta(0), -MINUTE])
    def test_falsy_or_past_lets_it_go_on(self, answer: object) -> None:
        assert asked(answer) is None

    def test_true_lets_it_wait_for_the_backoff(self) -> None:
        assert asked(True, backoff=MINUTE) == ("", MINUTE)
        assert asked(True) == ("", timedelta(seconds=30))

    @pytest.mark.parametrize("sentence", ["40 s behind", gettext_lazy("40 s behind")])
    def test_a_sentence_tells_why(self, sentence: object) -> None:
        assert asked(sentence, backoff=MINUTE) == ("40 s behind", MINUTE)

    def test_a_timedelta_lets_it_wait_so_long(self) -> None:
        assert asked(timedelta(hours=3), backoff=MINUTE) == ("", timedelta(hours=3))

    def test_for_ever_is_a_year(self) -> None:
        """A database that adds it to now would fail, or say never mind."""
        assert asked(timedelta.max) == ("", timedelta(days=365))

    @pytest.mark.parametrize("answer", [40, 1.5, object(), ["busy"], ("a", MINUTE)])
    def test_anything_else_is_an_error(self, answer: object) -> None:
        with pytest.raises(
            InvalidTask, match=r"throttle busy of testapp\.Child return"
        ):
            asked(answer)

    def test_a_backoff_is_asked_for_anew_each_time(self) -> None:
        waits = iter([MINUTE, 2 * MINUTE])
        busy = throttle(backoff=lambda: next(waits))(lambda self: True)
        made = child_of(Throttled, busy=busy)
        one, *_ = collect(made)
        found = [ask(one, made()) for _ in range(2)]
        assert [hold and hold.wait for hold in found] == [MINUTE, 2 * MINUTE]

    def test_a_backoff_may_take_the_task(self) -> None:
        def as_long_as_it_says(task: Any) -> timedelta:
            return timedelta(seconds=task.limit)

        assert asked(True, backoff=as_long_as_it_says) == ("", timedelta(seconds=5))

    def test_a_backoff_may_be_a_method_of_an_object(self) -> None:
        class Polite(OfficeHours):
            def backoff(self, task: Any) -> timedelta:
                return timedelta(seconds=2 * task.limit)

        made = child_of(Throttled, throttles=[Polite(True)])
        hold = ask(collect(made)[0], made())
        assert hold
        assert hold.wait == timedelta(seconds=10)

    @pytest.mark.parametrize("wait", [30, None, timedelta(0), -MINUTE])
    def test_a_backoff_that_is_none_is_an_error(self, wait: Any) -> None:
        with pytest.raises(
            InvalidTask, match=r"backoff of the throttle busy of testap"
        ):
            asked(True, backoff=lambda: wait)
