"""Pages of tasks: all of them, and one with its form and its runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.forms import ChoiceField, ModelChoiceField
from django.forms.utils import pretty_name
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.choices import flatten_choices
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from upkeep.databases import home
from upkeep.exceptions import (
    AlreadyActive,
    InvalidParameters,
    QueueRefused,
    StorageFailed,
    VanishedReference,
)
from upkeep.runs.models import Run
from upkeep.runs.overview import overview
from upkeep.runs.sources import Source, moves_from
from upkeep.tasks import registry
from upkeep.tasks.masks import masked_names
from upkeep.tasks.values import to_storable
from upkeep.web.access import SEE, START, find_task, guarded, may_use, require, user_of
from upkeep.web.answers import (
    CONFLICT,
    CREATED,
    INVALID,
    UNSUPPORTED,
    before_of,
    data,
    page,
    refuse,
    run_as_json,
    url_of,
    wants_json,
    with_query,
)
from upkeep.web.forms import ParameterForm, form_of
from upkeep.web.letters import are_there_open_letters
from upkeep.web.metadata import Metadata
from upkeep.web.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.forms import Field
    from django.http import HttpRequest, HttpResponse

    from upkeep.runs.overview import Entry
    from upkeep.tasks.base import Task

PAGE = 20

# The address also fills in the form: no parameter can have a name with a hyphen.
BEFORE = "before-run"

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


@guarded(SEE)
def task_list(request: HttpRequest) -> HttpResponse:
    """Show all tasks that one may use, by group."""
    wanted = request.GET.get("q", "").strip()
    groups = {
        group: [entry for entry in entries if _is_wanted(request, entry, wanted)]
        for group, entries in overview().items()
    }
    state = {group: list(map(_entry_as_json, each)) for group, each in groups.items()}
    has_letters = are_there_open_letters(request)
    if wants_json(request):
        return data({"tasks": [each for group in state.values() for each in group]})
    context = {
        "groups": groups,
        "wanted": wanted,
        "is_live": bool(groups["active"]),
        "has_tasks": bool(registry.tasks()),
        "has_letters": has_letters,
    }
    address = with_query(reverse("upkeep:task-list"), q=wanted)
    return page(
        request, "tasks/list", context, address=address, state=[state, has_letters]
    )


@sensitive_post_parameters()  # Django's reports of errors show what was sent.
@guarded(SEE, methods=["GET", "HEAD", "POST"])
def task(request: HttpRequest, label: str) -> HttpResponse:
    """Show a task with its form and its runs; POST starts a run."""
    found = find_task(request, label)
    if request.method == "POST":
        return _start(request, label, found)
    form = form_of(found, request) if found else None
    return _show(request, label, found, form=form)


def _start(request: HttpRequest, label: str, task: type[Task] | None) -> HttpResponse:
    require(request, START)
    if task is None:
        sentence = _("The task %(label)s is gone from the code.") % {"label": label}
        return _show(request, label, None, status=CONFLICT, refusal=sentence)
    if request.content_type not in FORMS:
        sentence = _("Send the parameters as a form, not as %(kind)s.")
        refusal = sentence % {"kind": request.content_type}
        return refuse(request, UNSUPPORTED, refusal)
    form = form_of(task, request)
    try:
        run = _enqueue(request, task, form)
    except InvalidParameters as error:
        form.refuse(error.errors)
        return _show(request, label, task, form=form, status=INVALID)
    except (AlreadyActive, QueueRefused, VanishedReference, StorageFailed) as error:
        return _show(
            request, label, task, form=form, status=CONFLICT, refusal=str(error)
        )
    form.forget_files()
    if wants_json(request):
        return data(run_as_json(run), status=CREATED)
    return redirect(url_of(run))


def _enqueue(request: HttpRequest, task: type[Task], form: ParameterForm) -> Run:
    metadata = Metadata.of(request, task)
    order = task.using(by=user_of(request), metadata=metadata.data)
    try:
        with moves_from(Source.PAGE):
            run = order.enqueue(**_given(request, form))
    except VanishedReference:  # Another click has just used up a file that was kept.
        form.find_files()  # This says which.
        raise
    metadata.tell(run)
    return run


def _given(request: HttpRequest, form: ParameterForm) -> dict[str, Any]:
    if wants_json(request):
        return form.named
    form.find_files()
    return form.given


def _show(
    request: HttpRequest,
    label: str,
    task: type[Task] | None,
    *,
    form: ParameterForm | None = None,
    status: int = 200,
    refusal: str = "",
) -> HttpResponse:
    if status != 200 and wants_json(request):
        return _say_no(form, status, refusal)
    if status != 200 and form:
        form.keep_files()
    before = before_of(request, BEFORE)
    runs = _runs_of(label, task)
    active = list(runs.active()[:PAGE])
    ended, further = _page_of(runs.ended(), before)
    state = {
        "active": list(map(run_as_json, active)),
        "ended": list(map(run_as_json, ended)),
    }
    if wants_json(request):
        return data(_task_as_json(label, task) | state | {"further": further})
    context = {
        "label": label,
        "task": task,
        "form": form,
        "refusal": refusal,
        "source": source_of(task) if task else None,
        "active": active,
        "ended": ended,
        "further": further,
        "before": before,
        "is_live": bool(active),
        "may_start": user_of(request).has_perm(START),
    }
    return page(
        request,
        "tasks/detail",
        context,
        address=with_query(reverse("upkeep:task", args=[label]), **{BEFORE: before}),
        state=state,
        status=status,
    )


def _say_no(form: ParameterForm | None, status: int, refusal: str) -> HttpResponse:
    errors = {"__all__": [refusal]} if refusal else dict(form.refusals if form else {})
    return data({"errors": errors}, status=status)


def _runs_of(label: str, task: type[Task] | None) -> Any:
    labels = [task.label(), *task.aliases] if task else [label]
    runs = Run.objects.using(home()).of(*labels)
    return runs.select_related("requested_by").order_by("-pk")


def _page_of(runs: Any, before: str) -> tuple[list[Run], int | None]:
    """Return a page of runs, and behind which the next begins; None at the end."""
    if before:
        runs = runs.filter(pk__lt=int(before))
    found = list(runs[: PAGE + 1])
    return found[:PAGE], found[PAGE - 1].pk if len(found) > PAGE else None


def _is_wanted(request: HttpRequest, entry: Entry, wanted: str) -> bool:
    if not may_use(request, entry):
        return False
    words = f"{entry.label} {entry.task.description() if entry.task else ''}"
    return wanted.lower() in words.lower()


def _entry_as_json(entry: Entry) -> dict[str, Any]:
    return {
        "label": entry.label,
        "description": entry.task.description() if entry.task else "",
        "group": entry.group,
        "active": entry.active,
        "run": run_as_json(entry.run) if entry.run else None,
    }


def _task_as_json(label: str, task: type[Task] | None) -> dict[str, Any]:
    if task is None:
        return {"label": label, "description": "", "parameters": None}
    return {
        "label": task.label(),
        "description": task.description(),
        "parameters": list(_parameters(task)),
    }


def _parameters(task: type[Task]) -> Iterator[dict[str, Any]]:
    """Yield what a program has to know to start a run."""
    masked = masked_names(task.fields, task.masked)
    for name, field in task.fields.items():
        yield {
            "name": name,
            "kind": type(field).__name__,
            "label": str(pretty_name(name) if field.label is None else field.label),
            "help": str(field.help_text),
            "required": field.required,
            "masked": name in masked,
            "initial": None if name in masked else _initial(field),
            "choices": _choices(field),
        }


def _initial(field: Field) -> Any:
    """Return the value of what is left out, in the form in which a run keeps it."""
    value = field.initial() if callable(field.initial) else field.initial
    try:
        return to_storable(value)
    except TypeError:
        return str(value)


def _choices(field: Field) -> list[list[str]] | None:
    """Return values and what they stand for; None where records are chosen from."""
    if not isinstance(field, ChoiceField) or isinstance(field, ModelChoiceField):
        return None
    # The types that Django is given do not know of groups.
    flatten = cast("Callable[[Any], Iterator[tuple[Any, Any]]]", flatten_choices)
    return [
        ["" if value is None else str(value), str(label)]
        for value, label in flatten(field.choices)
    ]
