"""Each move tells from where it was made."""

from collections.abc import Iterator

import pytest

from tests.runs.stages import claim
from tests.testapp.maintenance import Numbers, Report
from upkeep import signals
from upkeep.runs.models import Run
from upkeep.runs.sources import Source, here, moves_from

pytestmark = pytest.mark.django_db(transaction=True)


def sources(run: Run) -> list[str]:
    return list(run.events.values_list("source", flat=True))


def test_code_that_says_nothing_else_is_python() -> None:
    run = Numbers.enqueue()
    run.pause()
    run.resume()
    assert sources(run) == ["python", "python", "python"]


def test_what_a_worker_does_comes_from_the_worker_wherever_it_stands() -> None:
    with moves_from(Source.COMMAND):
        run = Report.run_now()
    assert sources(run) == ["command", "worker", "", "worker"]


def test_a_worker_that_grants_a_wish_is_not_who_had_it() -> None:
    run = Numbers.enqueue()
    held = claim(run)
    run.pause()
    held.let_go()
    assert sources(run) == ["python", "worker", "python", "worker"]


@pytest.fixture
def follow_up() -> Iterator[None]:
    """Start another run whenever one is paused."""

    def start(run: Run, **kwargs: object) -> None:
        Report.enqueue()

    signals.run_paused.connect(start)
    yield
    signals.run_paused.disconnect(start)


@pytest.mark.usefixtures("follow_up")
def test_what_a_receiver_does_comes_from_python() -> None:
    run = Numbers.enqueue()
    with moves_from(Source.PAGE):
        run.pause()
    assert sources(run) == ["python", "page"]
    assert sources(Run.objects.get(task="testapp.Report")) == ["python"]


def test_who_leaves_is_back_where_he_was() -> None:
    with moves_from(Source.PAGE):
        with pytest.raises(ZeroDivisionError), moves_from(Source.SWEEP):
            1 / 0  # noqa: B018 - it is to fail
        assert here() is Source.PAGE
    assert here() is Source.PYTHON
