"""Pages of a run, and what one can wish of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.shortcuts import redirect
from django.urls import reverse

from upkeep.databases import home
from upkeep.exceptions import (
    AlreadyActive,
    InvalidTransition,
    QueueRefused,
    TaskNotFound,
)
from upkeep.runs.dead_letters import DeadLetter
from upkeep.runs.events import Event
from upkeep.runs.facts import facts, facts_of_event, label, parameters_in_words
from upkeep.runs.leases import stuck
from upkeep.runs.models import CANCEL, PAUSE, RESUME
from upkeep.runs.places import place_in_words
from upkeep.runs.progress import Progress
from upkeep.runs.sources import Source, moves_from
from upkeep.runs.status import Status
from upkeep.runs.tallies import Tally, with_tally
from upkeep.runs.why import INVALID_FILE, why
from upkeep.runs.words import as_json
from upkeep.web import notices
from upkeep.web.access import (
    SEE,
    STEER,
    action,
    find_run,
    guarded,
    look_up_run,
    require_view,
    user_of,
)
from upkeep.web.answers import (
    CONFLICT,
    before_of,
    data,
    page,
    run_in_full,
    url_of,
    wants_json,
    wants_part,
    with_query,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

    from upkeep.runs.models import Run

EVENTS = 50
LETTERS = 5

# No error and no parameter: who waits for a report need not be who runs the project.
TOLD_TO_ITS_OWNER = (
    "id",
    "label",
    "status",
    "done",
    "total",
    "is_total_estimated",
    "eta",
    "result",
)


def _page_of_run(request: HttpRequest, pk: int) -> str:
    return url_of(find_run(request, pk))


@guarded(SEE)
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """Show where a run stands, why it does not move, and its story."""
    return _show(request, find_run(request, pk, **with_tally(pk)))


@action(SEE, STEER, page=_page_of_run)
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop a run after the item in hand; it keeps its place."""
    found = find_run(request, pk)
    return _wish(request, found, found.pause)


@action(SEE, STEER, page=_page_of_run)
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a run go on."""
    found = find_run(request, pk)
    return _wish(request, found, found.resume)


@action(SEE, STEER, page=_page_of_run)
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop a run after the item in hand, for good."""
    found = find_run(request, pk)
    return _wish(request, found, found.cancel)


@guarded()
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """Show how far a run is to those who may see runs, and to who asked for it."""
    found = look_up_run(pk)
    if found.requested_by_id != user_of(request).pk:
        require_view(request, found)
    if wants_json(request):
        return data({key: facts(found)[key] for key in TOLD_TO_ITS_OWNER})
    return page(
        request,
        "progress",
        _progress_context(found) | {"live_id": f"upkeep-run-{found.pk}"},
        address=reverse("upkeep:run-progress", args=[found.pk]),
        state=facts(found),
    )


def _progress_context(run: Run) -> dict[str, Any]:
    """Return what the templates of the progress are to know."""
    return {"run": run, "progress": Progress(run), "is_live": run.is_active}


def _wish(request: HttpRequest, run: Run, grant: Callable[..., None]) -> HttpResponse:
    try:
        with moves_from(Source.PAGE):
            grant(by=user_of(request))
    except (InvalidTransition, AlreadyActive, QueueRefused, TaskNotFound) as error:
        run = find_run(request, run.pk, **with_tally(run.pk))
        return _show(request, run, status=CONFLICT, refusal=str(error))
    if wants_json(request) or wants_part(request):
        return _show(request, find_run(request, run.pk, **with_tally(run.pk)))
    return redirect(url_of(run))


def _show(
    request: HttpRequest, run: Run, *, status: int = 200, refusal: str = ""
) -> HttpResponse:
    before = before_of(request)
    events, earlier = _page_of(run, before)
    tally = Tally.told_by(run)
    if wants_json(request):
        story = {"story": list(map(facts_of_event, events)), "earlier": earlier}
        error = {"error": refusal} if refusal else {}
        counts = {"dead_letters": tally.as_json}
        return data(run_in_full(run) | story | counts | error, status=status)
    reason, lease = why(run), stuck(run)
    letters = _open_letters(run) if tally.open else []
    state = [
        *(facts(run), reason, refusal, tally.as_json, lease and lease.stack),
        *([event.pk for event in events], [letter.pk for letter in letters]),
    ]
    context = _progress_context(run) | {
        "label": label(run),
        "why": reason,
        "stuck": lease,
        "refusal": refusal,
        "events": events,
        "earlier": earlier,
        "tally": tally,
        "letters": letters,
        "notice": "" if wants_part(request) else notices.take(request),
        "before": before,
        # In a template, `.items` of a dict would be the parameter of that name.
        "parameters": list(parameters_in_words(run).items()),
        "place": place_in_words(run, run.cursor),
        "metadata": as_json(run.metadata, indent=2),
        "result": as_json(run.result, indent=2),
        "wishes": _wishes(run),
        "may_steer": user_of(request).has_perm(STEER),
    }
    return page(
        request,
        "runs/detail",
        context,
        address=with_query(url_of(run), before=before),
        state=state,
        status=status,
    )


def _wishes(run: Run) -> list[str]:
    """Return what one can wish of a run, where that would change something."""
    if run.error_class == INVALID_FILE:
        return ["cancel"] if run.status == Status.ERRORED else []
    status = Status(run.status)
    tables = {"pause": PAUSE, "resume": RESUME, "cancel": CANCEL}
    return [
        name for name, goals in tables.items() if goals.get(status, status) != status
    ]


def _open_letters(run: Run) -> list[DeadLetter]:
    """Return the latest items that were kept and that nobody has seen to."""
    letters = DeadLetter.objects.using(home()).open().filter(run=run).order_by("-pk")
    return list(letters.defer("traceback", "payload", "cursor")[:LETTERS])


def _page_of(run: Run, before: str) -> tuple[list[Event], int | None]:
    """Return the latest events, newest first, and behind which the earlier begin."""
    events = Event.objects.using(home()).filter(run=run).order_by("-pk")
    if before:
        events = events.filter(pk__lt=int(before))
    found = list(events[: EVENTS + 1])
    for event in found:
        event.run = run  # Lest each of them asks for it.
    return found[:EVENTS], found[EVENTS - 1].pk if len(found) > EVENTS else None
