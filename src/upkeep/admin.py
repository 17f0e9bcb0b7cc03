"""Upkeep in Django's admin: what is to be looked up, and the way to the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps.registry import Apps
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q
from django.http import HttpResponseRedirect
from django.urls import NoReverseMatch, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from upkeep.databases import home
from upkeep.runs.dead_letters import DeadLetter
from upkeep.runs.facts import parameters_in_words, payload_in_words
from upkeep.runs.models import Run
from upkeep.runs.progress import Progress
from upkeep.runs.words import as_json, moment
from upkeep.tasks import registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import AbstractUser
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern
    from django.utils.safestring import SafeString

SEE = "upkeep.view_run"


def _moment(name: str, model: type[Model] = Run) -> Callable[[Any, Any], str]:
    """Return what shows a moment in the form that it has on the pages."""
    label = getattr(model._meta.get_field(name), "verbose_name", name)

    @admin.display(description=label, ordering=name, empty_value="-")
    def column(admin: Any, row: Any) -> str:  # noqa: ARG001 - it is a method
        return moment(getattr(row, name))

    return column


class ToBeReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """What a person can look at here, and change by its verbs alone."""

    show_full_result_count = False
    ordering = ("-pk",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Run)
class RunAdmin(ToBeReadOnly):
    """
    All runs that one may see. Nothing can be changed here.

    A row that is saved by hand would fall between a worker and its lease.
    """

    list_display = (
        *("number", "task", "status", "progress_in_brief"),
        *("made", "on_its_page"),
    )
    list_filter = ("status",)
    search_fields = ("task",)

    # No cursor, which may be made of what is masked, and no token.
    fields = readonly_fields = (
        *("task", "status", "progress", "on_its_page"),
        *("parameters_in_words", "metadata_in_words", "result_in_words"),
        *("requested_by", "queue", "backend", "priority", "due"),
        *("made", "started", "ended", "time_running"),
        *("worker", "attempts", "error_class", "error_message"),
        *("error_at", "traceback"),
    )

    made, due = _moment("created_at"), _moment("run_after")
    started, ended = _moment("started_at"), _moment("ended_at")

    @admin.display(description=_("run"), ordering="pk")
    def number(self, run: Run) -> int:
        """Return the number that the pages call it by."""
        return run.pk

    @admin.display(description=_("progress"))
    def progress(self, run: Run) -> str:
        """Return the numbers as a sentence."""
        return Progress(run).text

    @admin.display(description=_("progress"))
    def progress_in_brief(self, run: Run) -> str:
        """Return what has room in a list."""
        return Progress(run).brief

    @admin.display(description=_("parameters"))
    def parameters_in_words(self, run: Run) -> SafeString:
        """Return the parameters, with what is secret masked."""
        lines = parameters_in_words(run).items()
        return format_html_join("", "<div>{}: {}</div>", lines)

    @admin.display(description=_("metadata"))
    def metadata_in_words(self, run: Run) -> str:
        """Return what the one who started the run attached to it."""
        return as_json(run.metadata)

    @admin.display(description=_("result"))
    def result_in_words(self, run: Run) -> str:
        """Return what the run gave back."""
        return as_json(run.result)

    @admin.display(description=_("page"))
    def on_its_page(self, run: Run) -> SafeString | str:
        """Return the link to where one sees more, and can steer it."""
        url = _address("run", run.pk)
        if url is None:
            return self.get_empty_value_display()
        return format_html('<a href="{}">{}</a>', url, _("Open"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        """Leave out the runs whose task asks for more than one has."""
        runs: QuerySet[Run] = super().get_queryset(request).using(home())
        return runs.exclude(_kept_from(request.user))

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """Let nobody ask the address which secrets begin with an a."""
        return lookup.partition("__")[0] == "status"


@admin.register(DeadLetter)
class DeadLetterAdmin(ToBeReadOnly):
    """All dead letters that one may see. The pages are where one sees to them."""

    list_display = (
        *("number", "place", "item", "state"),
        *("error_class", "created", "on_its_page"),
    )
    list_filter = ("state",)
    list_select_related = ("run",)

    fields = readonly_fields = (
        *("place", "item", "payload_in_words", "on_its_page"),
        *("error_class", "error_message", "attempts", "fingerprint"),
        *("state", "obstacle", "owner", "note", "created", "settled", "traceback"),
    )

    created = _moment("created_at", DeadLetter)
    settled = _moment("settled_at", DeadLetter)

    @admin.display(description=_("dead letter"), ordering="pk")
    def number(self, letter: DeadLetter) -> int:
        """Return the number that the pages call it by."""
        return letter.pk

    @admin.display(description=_("of"))
    def place(self, letter: DeadLetter) -> str:
        """Return the task or the function that it is of."""
        return letter.place

    @admin.display(description=_("payload"))
    def payload_in_words(self, letter: DeadLetter) -> SafeString:
        """Return what was kept of the item or the call, as it was masked then."""
        lines = payload_in_words(letter).items()
        return format_html_join("", "<div>{}: {}</div>", lines)

    @admin.display(description=_("page"))
    def on_its_page(self, letter: DeadLetter) -> SafeString | str:
        """Return the link to where one sees to it."""
        url = _address("letter", letter.pk)
        if url is None:
            return self.get_empty_value_display()
        return format_html('<a href="{}">{}</a>', url, _("Open"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeadLetter]:
        """Leave out those of runs whose task asks for more than one has."""
        letters: QuerySet[DeadLetter] = super().get_queryset(request).using(home())
        kept = Run.objects.using(home()).filter(_kept_from(request.user))
        return letters.exclude(run__in=kept.order_by().values("pk"))

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """Let nobody ask the address which secrets begin with an a."""
        return lookup.partition("__")[0] == "state"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _has(request.user, SEE)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)


class TaskPages(Run):
    """Nothing but a line on the admin's index, which lists models and no more."""

    class Meta:
        proxy = True
        app_label = "upkeep"
        apps = Apps()  # Unknown to all others, it needs no migration.
        verbose_name = _("task")
        verbose_name_plural = _("tasks")


@admin.register(TaskPages)
class TaskPagesAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """The way from the admin's index to the pages."""

    def get_urls(self) -> list[URLPattern]:
        """Return the one address that the index asks for."""
        view = self.admin_site.admin_view(self.lead)
        return [path("", view, name="upkeep_taskpages_changelist")]

    def lead(self, request: HttpRequest) -> HttpResponse:
        """Send whoever comes here to the pages."""
        url = _address("task-list")
        if url is None or not self.has_view_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(url)

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        """Return what the index is to know: whether there is anything to see."""
        there = _address("task-list") is not None
        return {"view": there and self.has_view_permission(request)}

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _has(request.user, SEE)


def _address(name: str, *args: Any) -> str | None:
    """Return an address of the pages; None where the project has left them out."""
    try:
        return reverse(f"upkeep:{name}", args=args)
    except NoReverseMatch:
        return None


def _kept_from(user: Any) -> Q:
    """Say of which runs the task asks for more, or did so before it went."""
    known, kept = list[str](), list[str]()
    for task in registry.tasks():
        names = [task.label(), *task.aliases]
        known += names
        if task.permission and not _has(user, task.permission):
            kept += names
    held = sorted({"", *user.get_all_permissions()})
    return Q(task__in=kept) | ~Q(task__in=known) & ~Q(permission__in=held)


def _has(user: AbstractUser | Any, permission: str) -> bool:
    return bool(user.has_perm(permission))
