"""What is wrong with one whom we tell something is reported, and is not others'."""

from __future__ import annotations

from typing import Any

import pytest
from django.dispatch import Signal

from tests.execution.test_masks import SECRET
from upkeep.execution.listeners import Listeners
from upkeep.models import Run


class Told(list[tuple[BaseException, dict[str, Any]]]):
    """Errors, as the log and the host's reporter are told of them."""

    def __call__(self, error: BaseException, **context: Any) -> None:
        self.append((error, context))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def listeners(told: Told) -> Listeners:
    return Listeners(subject="run 3 of a.B", report=told, secrets=frozenset({SECRET}))


def test_a_receiver_that_fails_is_named_and_the_others_are_called(
    told: Told, listeners: Listeners
) -> None:
    signal, heard = Signal(), list[int]()

    def broken(**kwargs: Any) -> None:
        raise ValueError(SECRET)

    def sound(n: int, **kwargs: Any) -> None:
        heard.append(n)

    signal.connect(broken)
    signal.connect(sound)
    listeners.send(signal, Run, n=7)
    assert heard == [7]
    ((error, context),) = told
    assert isinstance(error, ValueError)
    assert context == {
        "handled": False,
        "sentence": f"{broken.__qualname__}() for run 3 of a.B failed: "
        "ValueError: [FILTERED]",
        "secrets": {SECRET},
    }


@pytest.mark.parametrize("failure", [ValueError("no"), SystemExit("no")])
def test_who_ends_the_process_ends_nothing(
    told: Told, listeners: Listeners, failure: BaseException
) -> None:
    def fail() -> None:
        raise failure

    with listeners.reporting("The mail"):
        fail()
    ((error, context),) = told
    assert error is failure
    assert context["sentence"].startswith("The mail for run 3 of a.B failed: ")


def test_ctrl_c_is_for_others(told: Told, listeners: Listeners) -> None:
    def ctrl_c() -> None:
        with listeners.reporting("The mail"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ctrl_c()
    assert told == []
