"""Which dead letters a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count

from upkeep.databases import home
from upkeep.management.exits import Usage
from upkeep.management.verbs.base import find_run
from upkeep.runs.dead_letters import DeadLetter, DeadLetterQuerySet
from upkeep.runs.facts import label
from upkeep.runs.models import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.management.base import CommandParser

AT_ONCE = 500  # SQLite takes a limited number of them.


def add_selection(parser: CommandParser) -> None:
    """Take a run or a function, and which of its dead letters."""
    parser.add_argument(
        "numbers",
        type=int,
        nargs="*",
        metavar="NUMBER",
        help="the run, and behind it dead letters of it; with --calls letters alone",
    )
    parser.add_argument(
        "--calls",
        metavar="FUNCTION",
        help="of the calls of a function, such as shop.payments.charge",
    )
    parser.add_argument(
        "--cause",
        default="",
        metavar="DIGITS",
        help="those of one cause alone, by the first digits of its fingerprint",
    )


def selected(numbers: list[int], calls: str | None, cause: str) -> DeadLetterQuerySet:
    """Return the dead letters that are meant. Raises Usage."""
    letters = DeadLetterQuerySet(DeadLetter, using=home())
    if calls is not None:
        of, letters = f"--calls {calls}", letters.of(calls)
        if not letters.exists():
            raise Usage(f"No call of {calls} was kept. Type: manage.py upkeep letters")
    elif numbers:
        run, *numbers = numbers
        of, letters = str(run), letters.filter(run=find_run(run))
    else:
        raise Usage("Say of which run, or of which function by --calls FUNCTION.")
    if numbers:
        letters = _of(letters, numbers)
    return _of_cause(letters, cause, of) if cause else letters


def _of_cause(letters: DeadLetterQuerySet, cause: str, of: str) -> DeadLetterQuerySet:
    """Return those of a cause. Raises Usage where there are none."""
    found = letters.of_cause(cause)
    if not found.exists():
        raise Usage(
            f"None of these dead letters has a cause that begins with {cause!r}. "
            f"Type: manage.py upkeep letters {of} --by-cause"
        )
    return found


def _of(letters: DeadLetterQuerySet, numbers: list[int]) -> DeadLetterQuerySet:
    """Return those with these numbers. Raises Usage where one is not among them."""
    if len(numbers) > AT_ONCE:
        raise Usage(f"Name at most {AT_ONCE} dead letters, or a cause.")
    some = letters.filter(pk__in=numbers)
    strange = sorted({*numbers} - {*some.values_list("pk", flat=True)})
    if strange:
        raise Usage(
            f"{', '.join(map(str, strange))}: there is no such dead letter of it. "
            "Type: manage.py upkeep letters"
        )
    return some


def open_sets() -> Iterator[tuple[int | None, str, int]]:
    """Yield what has open dead letters: the run, its task or function, how many."""
    letters = DeadLetterQuerySet(DeadLetter, using=home()).open().order_by()
    counts = dict(
        letters.filter(call="").values_list("run").annotate(count=Count("pk"))
    )
    for run in Run.objects.using(home()).in_bulk(sorted(counts)).values():
        yield run.pk, label(run), counts[run.pk]
    calls = letters.filter(call__gt="").values_list("call").annotate(count=Count("pk"))
    for call, count in calls.order_by("call"):
        yield None, call, count
