"""What a task must stand: that an item comes twice, and that a run is interrupted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import connections, transaction
from django.db.models import Model, QuerySet

from upkeep.databases import home, writing
from upkeep.runs.models import Run
from upkeep.runs.status import Status
from upkeep.tasks.base import Task
from upkeep.tasks.parameters import delete_files
from upkeep.testing.pictures import Picture
from upkeep.testing.runs import run_inline

SHOWN = 10  # rows


def assert_idempotent(
    task: type[Task], item: Any, /, *, ignore: Collection[str] = (), **parameters: Any
) -> None:
    """
    Process an item twice, and fail if the second time changes the database.

    All models in the task's database are compared but those of Upkeep and its queue;
    `ignore` names fields that may differ, such as "blog.Post.checked_at". A record is
    read again for the second time. What was done once stays done.
    """
    alias = task.database or home()
    again = _as_it_comes_again(item)
    _process(task, item, parameters, alias)
    once = Picture.of(alias, ignore=ignore)
    try:
        same = again()
    except ObjectDoesNotExist:
        return  # It deletes its item, which so never comes again.
    _process(task, same, parameters, alias)
    if found := once.differences(Picture.of(alias, ignore=ignore)):
        raise AssertionError(
            f"{task.__name__}.process() is not idempotent. Done again, it changed:\n"
            f"{_listed(found)}\n"
            "Let it look whether the work is done, or use get_or_create() and "
            "update_or_create(). Fields that may differ go into ignore=."
        )


def _process(
    task: type[Task], item: Any, parameters: dict[str, Any], alias: str
) -> None:
    with writing(alias) if task.atomic else nullcontext():
        task(**parameters).process(item)


def _as_it_comes_again(item: Any) -> Callable[[], Any]:
    """Return what gives the item as the next worker would find it."""
    if isinstance(item, QuerySet):
        return item.all
    copy = deepcopy(item)  # Now, before the task can change it.

    def again() -> Any:
        if isinstance(copy, Model):
            copy.refresh_from_db()
        return copy

    return again


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left behind."""

    done: int
    result: Any
    picture: Picture

    def differences(self, other: Outcome) -> Iterator[str]:
        """Yield a sentence for each thing in which another run ended otherwise."""
        if self.done != other.done:
            yield f"{other.done} items were done instead of {self.done}"
        if self.result != other.result:
            yield f"the result is {other.result!r} instead of {self.result!r}"
        yield from self.picture.differences(other.picture)


def assert_resumable(
    task: type[Task], /, *, ignore: Collection[str] = (), **parameters: Any
) -> None:
    """
    Stop a run after each item in turn, resume it, and fail if it then ends otherwise.

    The end of an unbroken run is what counts: items done, result, and all models as in
    `assert_idempotent`. Needs at least two items. Everything is rolled back.
    """
    expected = _outcome_of_run(task, None, ignore, parameters)
    if expected.done < 2:
        raise AssertionError(
            f"{task.__name__} has no item to stop behind: its run did {expected.done}. "
            "Make two items or more for it first."
        )
    for items in range(1, expected.done):
        outcome = _outcome_of_run(task, items, ignore, parameters)
        if found := list(expected.differences(outcome)):
            raise AssertionError(
                f"{task.__name__} is not resumable. Stopped after {items} of "
                f"{expected.done} items and resumed, it ended otherwise:\n"
                f"{_listed(found)}\n"
                "Let it keep nothing in memory from one item to the next, and let "
                "collection() give the same items each time. Fields that may differ "
                "go into ignore=."
            )


def _outcome_of_run(
    task: type[Task],
    stop_after: int | None,
    ignore: Collection[str],
    parameters: dict[str, Any],
) -> Outcome:
    """Return how a run ends that is stopped once and resumed, and roll it back."""
    alias = task.database or home()
    with _rolled_back({home(), alias}):
        before = Picture.of(alias, ignore=ignore)
        run = run_inline(task, stop_after=stop_after, **parameters)
        try:
            if run.status == Status.INTERRUPTED:
                run = run_inline(run)
            _must_have_succeeded(run, stop_after)
            picture = Picture.of(alias, ignore=ignore).since(before)
        finally:
            delete_files(run.parameters)
    return Outcome(done=run.done, result=run.result, picture=picture)


def _must_have_succeeded(run: Run, stop_after: int | None) -> None:
    if run.status != Status.SUCCEEDED:
        when = (
            "without being stopped"
            if stop_after is None
            else f"stopped after {stop_after} items and resumed"
        )
        raise AssertionError(
            f"{run.task} does not succeed, {when}: its run is {run.status}. "
            f"{run.error_class} {run.error_message}\n{run.traceback}".rstrip()
        )


@contextmanager
def _rolled_back(aliases: Collection[str]) -> Iterator[None]:
    """Undo what happens in here, the transactions of the engine included."""
    with ExitStack() as stack:
        for alias in aliases:
            stack.enter_context(writing(alias))
            # As those of a TestCase, it lets chunks be savepoints inside of it.
            block: Any = connections[alias].atomic_blocks[-1]
            block._from_testcase = True  # noqa: SLF001 - Django has no other way
        yield
        for alias in aliases:
            transaction.set_rollback(True, using=alias)


def _listed(found: Sequence[str]) -> str:
    shown = [f"  {each}" for each in found[:SHOWN]]
    if len(found) > SHOWN:
        shown.append(f"  and {len(found) - SHOWN} more")
    return "\n".join(shown)
