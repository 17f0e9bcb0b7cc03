"""The rules of on_error: what each decides, and how they are declared."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from upkeep import (
    Discard,
    Handle,
    Quarantine,
    Report,
    Retry,
    Task,
    constant,
    exponential,
    linear,
    polynomial,
)
from upkeep.exceptions import InvalidTask
from upkeep.tasks.policies import (
    Again,
    Case,
    Decision,
    HandOver,
    PassOver,
    Rule,
    judge,
    rules_of,
)


def case(error: Exception | None = None, **given: Any) -> Case:
    known = {"attempts": 1, "failed": 0, "items": 1}
    return Case(error=error or OSError("away"), **{**known, **given})


def seconds(*waits: timedelta) -> list[float]:
    return [wait.total_seconds() for wait in waits]


class TestWaits:
    """Each grows as its name says, and none for ever."""

    @pytest.mark.parametrize(
        ("wait", "expected"),
        [
            (constant, [3, 3, 3, 3]),
            (linear, [3, 6, 9, 12]),
            (exponential, [2, 4, 8, 16]),
            (polynomial, [3, 18, 83, 258]),
        ],
    )
    def test_grow(self, wait: Any, expected: list[float]) -> None:
        assert seconds(*map(wait, (1, 2, 3, 4))) == expected

    @pytest.mark.parametrize("wait", [exponential, polynomial])
    def test_never_exceed_a_day(self, wait: Any) -> None:
        assert wait(1000) == timedelta(days=1)


class TestRetry:
    """Attempts count executions; then the rules that follow decide."""

    def test_waits_for_the_attempt_that_failed(self) -> None:
        rule = Retry(OSError, wait=linear, jitter=0)
        assert rule.verdict(case(attempts=2)) == Again(timedelta(seconds=6))

    def test_takes_a_fixed_wait(self) -> None:
        rule = Retry(OSError, wait=timedelta(minutes=1), jitter=0)
        assert rule.verdict(case()) == Again(timedelta(minutes=1))

    @pytest.mark.parametrize(("attempts", "decides"), [(4, True), (5, False)])
    def test_ends_with_its_attempts(self, attempts: int, decides: bool) -> None:
        verdict = Retry(OSError, attempts=5).verdict(case(attempts=attempts))
        assert (verdict is not None) == decides

    def test_jitters_by_its_share(self) -> None:
        rule = Retry(OSError, wait=timedelta(seconds=100), jitter=0.15)
        waits = {rule.verdict(case()) for _ in range(200)}
        found = [again.wait.total_seconds() for again in waits if again]
        assert min(found) >= 100
        assert max(found) <= 115
        assert len(found) > 100

    def test_whose_wait_is_no_duration_says_so(self) -> None:
        rule = Retry(OSError, wait=lambda attempt: 5)  # type: ignore[arg-type,return-value]
        with pytest.raises(InvalidTask, match="returned 5, and no timedelta"):
            rule.verdict(case())


class TestQuarantine:
    """It keeps the item, until there are too many of them."""

    @pytest.mark.parametrize(("failed", "decides"), [(0, True), (2, True), (3, False)])
    def test_of_a_number_at_most(self, failed: int, decides: bool) -> None:
        verdict = Quarantine(OSError, at_most=3).verdict(case(failed=failed, items=9))
        assert (verdict is not None) == decides

    @pytest.mark.parametrize(
        ("failed", "items", "decides"),
        [(48, 49, True), (4, 50, True), (5, 50, False), (9, 100, True)],
    )
    def test_of_a_share_from_50_items_on(
        self, failed: int, items: int, decides: bool
    ) -> None:
        rule = Quarantine(OSError, at_most=0.1)
        verdict = rule.verdict(case(failed=failed, items=items))
        assert (verdict is not None) == decides

    def test_that_is_full_says_so_with_the_error(self) -> None:
        error = OSError("away")
        Quarantine(OSError, at_most=0).verdict(case(error, items=7))
        (note,) = error.__notes__
        assert note.startswith("0 of 7 items have failed already, and Quarantine(at_m")


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        (Discard(OSError), PassOver(counts_as="skipped", discards_job=True)),
        (Report(OSError), PassOver(counts_as="failed", is_reported=True)),
        (
            Quarantine(OSError),
            PassOver(counts_as="failed", is_kept=True, discards_job=True),
        ),
        (Handle(OSError, "mend"), HandOver("mend")),
    ],
    ids=repr,
)
def test_each_rule_decides(rule: Rule, verdict: object) -> None:
    assert rule.verdict(case()) == verdict


class TestOrder:
    """The first rule that fits and has a verdict decides."""

    def test_the_first_that_fits(self) -> None:
        rules = [Discard(KeyError), Report(OSError), Discard(OSError)]
        verdict = Report(OSError).verdict(case())
        assert judge(rules, case()) == Decision(rules[1], verdict)

    def test_a_rule_without_a_verdict_leaves_it_to_the_next(self) -> None:
        rules = [Retry(OSError, attempts=1), Discard(Exception)]
        assert judge(rules, case()).rule is rules[1]

    def test_none_fits(self) -> None:
        assert judge([Discard(KeyError)], case()) == Decision()

    def test_those_of_a_subclass_come_first(self) -> None:
        class Mixin:
            on_error: ClassVar[Sequence[Rule]] = [Report(ValueError)]

        class Parent(Task):
            on_error = [Discard(Exception)]

        class Child(Mixin, Parent):
            on_error = [Retry(OSError)]

        class Grandchild(Child):
            """Has none of its own."""

        expected = ["Retry(OSError)", "Report(ValueError)", "Discard(Exception)"]
        assert list(map(repr, rules_of(Grandchild))) == expected
        assert list(map(repr, rules_of(Parent))) == expected[2:]


class TestMisuse:
    """What cannot be meant is refused where it is written."""

    @pytest.mark.parametrize(
        ("make", "sentence"),
        [
            (Discard, "Discard.. needs the errors that it is for"),
            (lambda: Discard("OSError"), "takes classes of errors, and 'OSError'"),
            (lambda: Report(OSError("x")), r"classes of errors, and OSError"),
            (lambda: Report(KeyboardInterrupt), "KeyboardInterrupt"),
            (lambda: Retry(OSError, attempts=0), "must be 1 or more"),
            (
                lambda: Retry(OSError, wait=5),  # type: ignore[arg-type]
                "must be a timedelta, or called",
            ),
            (lambda: Retry(OSError, jitter=2), "must be from 0 to 1"),
            (lambda: Quarantine(OSError, at_most=-1), "must be a number of items"),
            (lambda: Quarantine(OSError, at_most=1.5), "or a share of them"),
            (lambda: Handle(OSError), "needs the name of a method"),
            (lambda: Handle("mend"), "needs the errors that it is for"),
            (Handle, r"name of a method behind the errors"),
        ],
    )
    def test_of_a_rule(self, make: Any, sentence: str) -> None:
        with pytest.raises(InvalidTask, match=sentence):
            make()

    @pytest.mark.parametrize(
        ("on_error", "sentence"),
        [
            (Discard(OSError), "Made.on_error must be a list of rules"),
            ([OSError], "Made.on_error must be a list of rules"),
            ([Handle(OSError, "mend")], r"hands errors to mend\(\), which it does not"),
        ],
    )
    def test_of_the_list(self, on_error: Any, sentence: str) -> None:
        with pytest.raises(InvalidTask, match=sentence):
            type("Made", (Task,), {"on_error": on_error})
