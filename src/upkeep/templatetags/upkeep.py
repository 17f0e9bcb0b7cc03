"""`{% load upkeep %}`: runs in templates, ours and those of the project."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django import template
from django.contrib.auth.models import AnonymousUser
from django.urls import NoReverseMatch, reverse

from upkeep.runs import words
from upkeep.runs.handling import retrial_told_of
from upkeep.runs.places import place_of
from upkeep.runs.progress import Progress

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from django.http import HttpRequest
    from django.template import Context

    from upkeep.runs.events import Event
    from upkeep.runs.models import Run

register = template.Library()

STARTED = "upkeep-scripts"


@register.inclusion_tag("upkeep/progress_tag.html", takes_context=True)
def upkeep_progress(
    context: Context, run: Run, *, scripts: bool = True
) -> dict[str, Any]:
    """
    Show how far a run is, and go on showing it: `{% upkeep_progress run %}`.

    Whoever asked for the run may watch it, and whoever may see it on its page; others
    are shown nothing. `scripts` is False in pages that have htmx already.
    """
    if not _may_watch(_request_of(context), run):
        return {}
    # What is written on top of it is forgotten at the end of an included template.
    whole_page: Any = context.render_context.dicts[0]
    first = STARTED not in whole_page
    whole_page[STARTED] = True
    return {
        "run": run,
        "progress": Progress(run),
        "is_live": run.is_active,
        "address": reverse("upkeep:run-progress", args=[run.pk]),
        "live_id": f"upkeep-run-{run.pk}",
        "version": "",
        "scripts": scripts and first,
    }


def _request_of(context: Context) -> HttpRequest | None:
    # The attribute is there also in a template that is included with `only`.
    return getattr(context, "request", None) or context.get("request")


def _may_watch(request: HttpRequest | None, run: Run) -> bool:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return False
    needed = {"upkeep.view_run", run.asks_for} - {""}
    return bool(user.pk == run.requested_by_id or user.has_perms(needed))


@register.simple_tag(takes_context=True)
def logout_address(context: Context) -> str:
    """Return where one logs out by POST; an empty text where nothing is known."""
    user = getattr(_request_of(context), "user", AnonymousUser())
    # The admin logs out those alone whom it lets in.
    is_staff = getattr(user, "is_staff", False)  # Not every project's users have it.
    names = ["logout", "admin:logout"] if is_staff else ["logout"]
    for name in names if user.is_authenticated else []:
        with suppress(NoReverseMatch):
            return reverse(name)
    return ""


@register.filter
def progress(run: Run) -> Progress:
    """Return the numbers of a run."""
    return Progress(run)


@register.filter
def status_template(run: Run) -> str:
    """Return the name of the template that says where the run stands."""
    return f"upkeep/runs/status/{run.status}.html"


@register.filter
def label_parts(label: str) -> tuple[str, str]:
    """Return the app's half of a label, and the task's."""
    app, _, name = label.rpartition(".")
    return app, name


@register.filter
def moment(when: datetime) -> str:
    """Say when something was."""
    return words.moment(when)


@register.filter
def duration(time: timedelta) -> str:
    """Say how long something takes."""
    return words.duration(time)


@register.filter
def rate(items_a_second: float) -> str:
    """Say how fast something goes."""
    return words.rate(items_a_second)


@register.filter
def place(event: Event) -> str:
    """Say where the run stopped, as the command line does."""
    return place_of(event)


@register.filter
def retrial(event: Event) -> int | None:
    """Return the number of the run that a note says retries dead letters."""
    return retrial_told_of(event)
