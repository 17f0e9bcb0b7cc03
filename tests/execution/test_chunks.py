"""Items that fail among others, and what becomes of the others, on every database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from django.db import OperationalError

from tests.execution.story import effects, log_of, once, resume
from tests.testapp.clock import clock
from tests.testapp.maintenance import CountUp
from tests.testapp.models import Effect, Item
from upkeep import Batches, Discard, Quarantine, Report, Retry, Skip, Task
from upkeep.execution import chunks
from upkeep.execution.claim import Claim
from upkeep.runs.models import Run
from upkeep.runs.status import Status
from upkeep.testing import run_inline

Known = Callable[[Any], Any]

MIDDLE = 7

pytestmark = pytest.mark.usefixtures("items", "still_clock")


class Faulty(CountUp):
    """Count up, with a list of the items that were begun; some fail."""

    abstract = True
    bad: frozenset[int] = frozenset({MIDDLE})
    lasts: float = 0  # seconds
    begun: list[int] = []

    def process(self, item: Item) -> None:
        self.begun.append(item.pk)
        self.log(f"Item {item.pk} was {item.n}")
        item.n += 1  # Nobody may go on with what a block that was undone has made.
        clock.sleep(self.lasts)
        Effect.objects.create(item=item.pk)
        item.save()
        if item.pk in self.bad:
            raise ValueError(f"item {item.pk} is bad")


@pytest.fixture
def trial(known: Known) -> Any:
    """Return a task of which item 7 fails."""

    class Trial(Faulty):
        on_error = [Quarantine(ValueError)]
        begun: list[int] = []

    return known(Trial)


def commits_of(run: Callable[[], object]) -> int:
    """Return how often a run that is worked on writes its place."""
    write = Claim.write
    with mock.patch.object(Claim, "write", autospec=True, side_effect=write) as writes:
        run()
    return sum("cursor" in call.kwargs for call in writes.call_args_list)


class TestBlock:
    """What an item that fails undoes of the work of its neighbours."""

    def test_the_items_before_it_are_done_again_and_none_behind_it(
        self, trial: Any
    ) -> None:
        trial.run_now()
        first, again = list(range(1, MIDDLE + 1)), list(range(1, 21))
        assert trial.begun == first + again

    def test_is_no_more_than_what_lasts_a_moment(self, trial: Any) -> None:
        trial.lasts = chunks.BLOCK / 2
        trial.run_now()
        # Of 1 to 6 three blocks are done; 7 is the first of a fourth one.
        assert trial.begun == list(range(1, 21))
        trial.bad, trial.begun[:] = {MIDDLE + 1}, []
        trial.run_now()
        assert trial.begun == [*range(1, 9), *range(7, 21)]

    def test_is_a_whole_page_where_no_rule_lets_the_run_go_on(self, trial: Any) -> None:
        trial.lasts, trial.on_error = chunks.BLOCK / 2, []
        run = trial.run_now()
        assert trial.begun == [*range(1, 8), *range(1, 8)]
        assert (run.status, run.done) == (Status.ERRORED, 6)

    def test_records_are_fetched_again(self, trial: Any) -> None:
        trial.run_now()
        assert set(Item.objects.exclude(pk=MIDDLE).values_list("n", flat=True)) == {1}
        assert effects() == once(*(pk for pk in range(1, 21) if pk != MIDDLE))

    def test_leaves_no_line_that_is_logged_once_more(self, trial: Any) -> None:
        run = trial.run_now()
        # What the bad item said before it failed is of use.
        assert log_of(run) == [f"Item {pk} was 0" for pk in range(1, 21)]

    def test_is_not_counted_for_a_run_that_is_to_stop(self, trial: Any) -> None:
        run = run_inline(trial, stop_after=9)
        assert (run.done, run.failed) == (9, 1)

    def test_costs_no_time_of_the_chunk(self, trial: Any) -> None:
        trial.bad, trial.lasts = set(range(1, 21, 2)), chunks.BLOCK / 4
        assert commits_of(trial.run_now) == 1
        assert Run.objects.get().done == 10


class TestPassedOver:
    """It takes no transaction of its own."""

    def test_with_its_chunk(self, trial: Any) -> None:
        trial.bad = {1, 2, MIDDLE, 20}
        assert commits_of(trial.run_now) == 1

    def test_so_many_that_they_fit_into_memory(
        self, trial: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(chunks, "MOST_PASSED_OVER", 5)
        trial.bad = set(range(1, 21))
        assert commits_of(trial.run_now) == 4
        assert Run.objects.get().failed == 20

    def test_an_item_that_is_tried_again_is_not(self, trial: Any) -> None:
        trial.on_error = [Retry(ValueError, attempts=9)]
        run = trial.enqueue()
        assert commits_of(lambda: resume_once(run)) == 1
        assert (run.done, run.item_attempts) == (6, 2)

    def test_of_an_error_that_passes_nothing_is(self, trial: Any) -> None:
        """A deadlock ends the transaction, which is begun again as a whole."""
        errors = [OperationalError(1213, "Deadlock found"), ValueError("bad")]

        def process(self: Any, item: Item) -> None:
            CountUp.process(self, item)
            if item.pk == MIDDLE and errors:
                raise errors.pop(0)

        with mock.patch.object(Faulty, "process", process):
            run = trial.run_now()
        assert (run.status, run.done) == (Status.SUCCEEDED, 20)
        assert effects() == once(*range(1, 21))


def resume_once(run: Run) -> None:
    """Work on a run until its first wait."""
    from upkeep.execution import executor

    executor.execute(run.pk, run.lease_token)
    run.refresh_from_db()


class TestBatch:
    """A batch that fails is halved, until the records are found that do."""

    @pytest.fixture
    def batches(self, known: Known) -> Any:
        @known
        class Trial(Task):
            on_error = [Quarantine(ValueError)]
            bad = {MIDDLE}
            error: Exception = ValueError("bad")
            sizes: list[int] = []

            def collection(self) -> Any:
                return Batches(Item.objects.all(), 8)

            def process(self, batch: Any) -> None:
                keys = [item.pk for item in batch]
                self.sizes.append(len(keys))
                if self.bad.intersection(keys):
                    raise self.error
                Effect.objects.bulk_create(Effect(item=key) for key in keys)

        return Trial

    @pytest.mark.parametrize("bad", [{1}, {8}, {20}, {3, 4, 12}, set(range(1, 21))])
    def test_the_other_records_are_done(self, batches: Any, bad: set[int]) -> None:
        batches.bad = bad
        run = batches.run_now()
        failed = len({(pk - 1) // 8 for pk in bad})
        assert (run.status, run.done, run.failed) == ("succeeded", 3 - failed, failed)
        assert effects() == once(*(pk for pk in range(1, 21) if pk not in bad))
        letters = run.dead_letters.order_by("pk")
        assert [each.item for each in letters] == [f"testapp.Item {pk}" for pk in bad]
        payloads = [{"$model": "testapp.item", "pk": pk} for pk in bad]
        assert [each.payload for each in letters] == payloads

    def test_takes_few_attempts(self, batches: Any) -> None:
        batches.run_now()
        assert batches.sizes == [8, 4, 4, 2, 2, 1, 1, 8, 4]

    def test_it_counts_as_failed_if_a_record_of_it_did(self, batches: Any) -> None:
        batches.on_error, batches.bad = [Report(ValueError)], {2, 3}
        assert batches.run_now().failed == 1
        batches.on_error = [Discard(ValueError)]
        assert batches.run_now().skipped == 1

    def test_a_record_that_wants_more_leaves_the_batch_to_be_settled(
        self, batches: Any
    ) -> None:
        batches.on_error = [Quarantine(ValueError, at_most=0)]
        run = batches.run_now()
        assert (run.status, run.done, run.error_at) == ("errored", 0, "batch 1")
        batches.bad = set()
        run = resume(run)
        assert (run.status, run.done) == (Status.SUCCEEDED, 3)
        assert effects() == once(*range(1, 21))

    def test_what_only_the_record_shows_is_settled_too(self, batches: Any) -> None:
        """The error of the batch has a rule, that of its record has none."""

        def process(self: Any, batch: Any) -> None:
            if len(batch) == 1:
                raise KeyError("no rule")
            if any(item.pk == 10 for item in batch):
                raise ValueError("bad")
            Effect.objects.bulk_create(Effect(item=item.pk) for item in batch)

        batches.process = process
        run = batches.run_now()
        assert (run.status, run.done, run.failed) == (Status.ERRORED, 1, 0)
        assert run.error_class == "builtins.KeyError"
        assert effects() == once(*range(1, 9))

    def test_a_part_that_wants_to_be_skipped_is_no_failure(self, batches: Any) -> None:
        process = batches.process

        def skip_one(self: Any, batch: Any) -> None:
            if [item.pk for item in batch] == [MIDDLE]:
                raise Skip("odd")
            process(self, batch)

        batches.process = skip_one
        run = batches.run_now()
        assert (run.done, run.failed, run.skipped) == (3, 0, 0)
        assert log_of(run) == ["Skipped a part of a batch: odd"]

    def test_that_moves_its_records_out_of_the_filter(self, known: Known) -> None:
        @known
        class Trial(Task):
            on_error = [Quarantine(ValueError)]

            def collection(self) -> Any:
                return Batches(Item.objects.filter(n=0), 8)

            def process(self, batch: Any) -> None:
                has_bad = batch.filter(pk__in=[3, 12]).exists()
                batch.update(n=1)
                if has_bad:
                    raise ValueError("bad")

        run = Trial.run_now()
        assert (run.done, run.failed) == (1, 2)
        kept = Item.objects.filter(n=0).order_by("pk")
        assert list(kept.values_list("pk", flat=True)) == [3, 12]
