"""Pages of dead letters: all that wait, those of a run or a function, and one."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from django.db.models import Count, OuterRef
from django.shortcuts import redirect
from django.urls import reverse

from upkeep.databases import home
from upkeep.runs.dead_letters import DeadLetter
from upkeep.runs.facts import facts_of_letter, label, payload_in_words
from upkeep.runs.models import Run
from upkeep.runs.tallies import an_open_one, in_words, open_in
from upkeep.web import deeds, notices
from upkeep.web.access import (
    HANDLE,
    SEE,
    action,
    find_letter,
    guarded,
    may_see,
    user_of,
)
from upkeep.web.answers import (
    CONFLICT,
    INVALID,
    data,
    page,
    run_as_json,
    wants_json,
)
from upkeep.web.deeds import Attempt, Choice, Deed, HandlingForm, Told, attempt, chosen
from upkeep.web.shelves import (
    Contents,
    Filter,
    Shelf,
    shelf_of,
    shelf_of_call,
    shelf_of_run,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest, HttpResponse

RUNS = 100  # on the page of all that wait
LOOKED_AT = 20  # runs, to know whether to lead there


# All that wait


@guarded(SEE)
def letter_list(request: HttpRequest) -> HttpResponse:
    """Show the runs and functions that have dead letters which nobody has seen to."""
    runs = [run for run in runs_with_open_letters()[:RUNS] if may_see(request, run)]
    counts = open_in(runs)
    calls = [(each["call"], each["count"]) for each in calls_with_open_letters()]
    tasks = _by_task(runs, counts)
    if wants_json(request):
        return data(_all_as_json(runs, counts, calls))
    context = {
        "tasks": tasks,
        "calls": [(call, in_words(count)) for call, count in calls],
        "notice": notices.take(request),
        "is_live": False,
    }
    address = reverse("upkeep:letter-list")
    return page(request, "letters/all", context, address=address, state=counts)


def are_there_open_letters(request: HttpRequest) -> bool:
    """Tell whether there is anything on that page for the one who asks."""
    latest = runs_with_open_letters().only("task", "permission")[:LOOKED_AT]
    return any(may_see(request, run) for run in latest) or _are_there_open_calls()


def _are_there_open_calls() -> bool:
    return DeadLetter.objects.using(home()).open().filter(call__gt="").exists()


def runs_with_open_letters() -> Any:
    """Return the runs, the latest first."""
    one = an_open_one(OuterRef("pk"))
    runs = Run.objects.using(home()).filter(failed__gt=0).alias(an_open_letter=one)
    return runs.filter(an_open_letter__isnull=False).order_by("-pk")


def calls_with_open_letters() -> Any:
    """Return each function with the number of its letters."""
    calls = DeadLetter.objects.using(home()).open().filter(call__gt="").order_by("call")
    return calls.values("call").annotate(count=Count("pk"))


def _by_task(runs: list[Run], counts: dict[int, int]) -> list[tuple[str, Any]]:
    """Return the runs of each task, with their counts."""
    in_order = sorted(runs, key=lambda run: (label(run), -run.pk))
    return [
        (task, [(run, in_words(counts.get(run.pk, 0))) for run in some])
        for task, some in groupby(in_order, key=label)
    ]


def _all_as_json(
    runs: list[Run], counts: dict[int, int], calls: list[tuple[str, int]]
) -> dict[str, Any]:
    return {
        "runs": [
            {
                "run": run_as_json(run),
                "open": counts.get(run.pk, 0),
                "url": reverse("upkeep:run-letters", args=[run.pk]),
            }
            for run in runs
        ],
        "calls": [
            {
                "call": call,
                "open": count,
                "url": reverse("upkeep:call-letters", args=[call]),
            }
            for call, count in calls
        ],
    }


# Those of a run


def _page_of_run(request: HttpRequest, pk: int) -> str:
    return shelf_of_run(request, pk).url()


@guarded(SEE)
def run_letters(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the dead letters of a run."""
    return _show(request, shelf_of_run(request, pk), Filter.of(request.GET))


@action(SEE, HANDLE, page=_page_of_run)
def run_letters_retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Have some dead letters of a run tried once more."""
    return _handle(request, shelf_of_run(request, pk), deeds.retry)


@action(SEE, HANDLE, page=_page_of_run)
def run_letters_discard(request: HttpRequest, pk: int) -> HttpResponse:
    """Give some dead letters of a run up."""
    return _handle(request, shelf_of_run(request, pk), deeds.discard)


@action(SEE, HANDLE, page=_page_of_run)
def run_letters_assign(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that one sees to some dead letters of a run."""
    return _handle(request, shelf_of_run(request, pk), deeds.assign)


# Those of a function


def _page_of_call(_request: HttpRequest, path: str) -> str:
    return shelf_of_call(path).url()


@guarded(SEE)
def call_letters(request: HttpRequest, path: str) -> HttpResponse:
    """Show the calls of a function that failed."""
    return _show(request, shelf_of_call(path), Filter.of(request.GET))


@action(SEE, HANDLE, page=_page_of_call)
def call_letters_retry(request: HttpRequest, path: str) -> HttpResponse:
    """Have some calls of a function made again."""
    return _handle(request, shelf_of_call(path), deeds.retry)


@action(SEE, HANDLE, page=_page_of_call)
def call_letters_discard(request: HttpRequest, path: str) -> HttpResponse:
    """Give some calls of a function up."""
    return _handle(request, shelf_of_call(path), deeds.discard)


@action(SEE, HANDLE, page=_page_of_call)
def call_letters_assign(request: HttpRequest, path: str) -> HttpResponse:
    """Say that one sees to some calls of a function."""
    return _handle(request, shelf_of_call(path), deeds.assign)


# One


def _page_of_letter(request: HttpRequest, pk: int) -> str:
    return _url_of(find_letter(request, pk))


@guarded(SEE)
def letter(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what failed, why, and what has become of it."""
    return _show_one(request, find_letter(request, pk))


@action(SEE, HANDLE, page=_page_of_letter)
def letter_retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Have it tried once more."""
    return _handle_one(request, find_letter(request, pk), deeds.retry)


@action(SEE, HANDLE, page=_page_of_letter)
def letter_discard(request: HttpRequest, pk: int) -> HttpResponse:
    """Give it up."""
    return _handle_one(request, find_letter(request, pk), deeds.discard)


@action(SEE, HANDLE, page=_page_of_letter)
def letter_assign(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that one sees to it."""
    return _handle_one(request, find_letter(request, pk), deeds.assign)


# How


def _handle(request: HttpRequest, shelf: Shelf, deed: Deed) -> HttpResponse:
    wanted, form = Filter.of(request.POST), HandlingForm(request.POST)
    choice = chosen(shelf, wanted, request.POST)
    tried = attempt(deed, choice, form, user_of(request))
    if tried.told is None:
        return _say_no(request, tried) or _show(request, shelf, wanted, tried)
    return _say(request, tried.told)


def _handle_one(request: HttpRequest, found: DeadLetter, deed: Deed) -> HttpResponse:
    shelf = shelf_of(found)
    letters = shelf.letters.filter(pk=found.pk)
    choice = Choice(letters=letters, shelf=shelf, one=found.pk)
    tried = attempt(deed, choice, HandlingForm(request.POST), user_of(request))
    if tried.told is None:
        return _say_no(request, tried) or _show_one(request, found, tried)
    return _say(request, tried.told)


def _say(request: HttpRequest, told: Told) -> HttpResponse:
    """Say what came of it, here or where one sees it."""
    if wants_json(request):
        return data(told.data, status=told.status)
    notices.leave(request, told.sentence)
    return redirect(told.url)


def _say_no(request: HttpRequest, tried: Attempt) -> HttpResponse | None:
    """Return why nothing came of it, for a program; a person keeps the form."""
    if not wants_json(request):
        return None
    if tried.errors:
        return data({"errors": tried.errors}, status=INVALID)
    return data({"error": tried.refusal}, status=CONFLICT)


def _status_of(tried: Attempt | None) -> int:
    if tried is None:
        return 200
    return INVALID if tried.errors else CONFLICT


def _show(
    request: HttpRequest, shelf: Shelf, wanted: Filter, tried: Attempt | None = None
) -> HttpResponse:
    contents, tally = Contents(shelf, wanted), shelf.tally
    if wants_json(request):
        return data(
            {
                "letters": list(map(_as_json, contents.letters)),
                "counts": tally.as_json,
                "causes": list(map(_cause_as_json, contents.causes)),
                "further": contents.further,
            }
        )
    context = {
        "shelf": shelf,
        "label": label(shelf.run) if shelf.run else shelf.call,
        "letters": contents.letters,
        "further": contents.further,
        "further_url": _further(shelf, wanted, contents),
        "causes": [
            (cause, shelf.url(**wanted.query(cause=cause.fingerprint)))
            for cause in contents.causes
        ],
        "latest_url": shelf.url(**wanted.query()),
        "all_causes": shelf.url(**wanted.query(cause="")),
        "tabs": list(_tabs(shelf, wanted, tally.as_json)),
        "wanted": wanted,
        "retrials": list(_retrials(shelf)),
        "verbs": {verb: shelf.url(verb) for verb in ("retry", "discard", "assign")},
        "form": tried.form if tried else HandlingForm(),
        "refusal": tried.refusal if tried else "",
        "chosen": request.POST.getlist("letters"),
        "is_all": bool(request.POST.get(deeds.ALL)),
        "may_handle": user_of(request).has_perm(HANDLE),
        "notice": notices.take(request),
        "is_live": False,
    }
    return page(
        request,
        "letters/shelf",
        context,
        address=shelf.url(**wanted.query(before=wanted.before)),
        state=[each.pk for each in contents.letters],
        status=_status_of(tried),
    )


def _further(shelf: Shelf, wanted: Filter, contents: Contents) -> str:
    if contents.further is None:
        return ""
    return shelf.url(**wanted.query(before=str(contents.further)))


def _tabs(
    shelf: Shelf, wanted: Filter, counts: dict[str, int]
) -> Iterator[tuple[str, str, str, bool]]:
    """Yield for each state its address, its name, how many there are, if it is here."""
    for state in DeadLetter.State:
        url = shelf.url(state="" if state == DeadLetter.State.OPEN else state.value)
        is_here = state.value == wanted.state
        yield url, str(state.label), in_words(counts[state.value]), is_here


def _retrials(shelf: Shelf) -> Any:
    """Return the latest runs that tried some of them once more."""
    if shelf.run is None:
        return []
    runs = Run.objects.using(home()).filter(parent=shelf.run).order_by("-pk")
    return runs.select_related("requested_by")[:5]


def _show_one(
    request: HttpRequest, found: DeadLetter, tried: Attempt | None = None
) -> HttpResponse:
    if wants_json(request):
        return data(_as_json(found) | {"traceback": found.traceback})
    shelf = shelf_of(found)
    is_open = found.state == DeadLetter.State.OPEN
    context = {
        "letter": found,
        "shelf": shelf,
        "label": label(found.run) if found.run else found.call,
        # In a template, `.items` of a dict would be the field of that name.
        "payload": list(payload_in_words(found).items()),
        "form": tried.form if tried else HandlingForm(initial={"note": found.note}),
        "refusal": tried.refusal if tried else "",
        "is_open": is_open,
        "may_retry": is_open and not found.obstacle,
        "same_cause": shelf.url(cause=found.fingerprint),
        "may_handle": user_of(request).has_perm(HANDLE),
        "notice": notices.take(request),
        "is_live": False,
    }
    return page(
        request,
        "letters/one",
        context,
        address=_url_of(found),
        state=facts_of_letter(found),
        status=_status_of(tried),
    )


def _url_of(found: DeadLetter) -> str:
    return reverse("upkeep:letter", args=[found.pk])


def _as_json(found: DeadLetter) -> dict[str, Any]:
    return facts_of_letter(found) | {"url": _url_of(found)}


def _cause_as_json(cause: Any) -> dict[str, Any]:
    return {
        "fingerprint": cause.fingerprint,
        "count": cause.count,
        "error_class": cause.example.error_class,
        "error_message": cause.example.error_message,
    }
