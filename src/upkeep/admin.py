"""Upkeep in Django's admin: the runs, to be looked up, and the way to the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps.registry import Apps
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpResponseRedirect
from django.urls import NoReverseMatch, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from upkeep.databases import home
from upkeep.runs.facts import parameters_in_words
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


def _moment(name: str) -> Callable[[Any, Run], str]:
    """Return what shows a moment in the form that it has on the pages."""
    label = getattr(Run._meta.get_field(name), "verbose_name", name)

    @admin.display(description=label, ordering=name, empty_value="-")
    def column(admin: Any, run: Run) -> str:  # noqa: ARG001 - it is a method
        return moment(getattr(run, name))

    return column


@admin.register(Run)
class RunAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
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
    show_full_result_count = False
    ordering = ("-pk",)

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

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


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
