"""Who may do what on the pages. Nothing is open to whoever has no permission."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, resolve_url
from django.urls import (
    NoReverseMatch,
    Resolver404,
    get_script_prefix,
    resolve,
    reverse,
)
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_protect

from upkeep.databases import home, is_passing, storable
from upkeep.runs.dead_letters import DeadLetter
from upkeep.runs.models import Run
from upkeep.runs.why import has_one_writer
from upkeep.tasks import registry
from upkeep.web import csp, notices
from upkeep.web.answers import AWAY, NOT_FOUND, REFUSED, refuse, wants_json, wants_part
from upkeep.web.sweeping import sweep_behind

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser

    from upkeep.runs.overview import Entry
    from upkeep.tasks.base import Task

SEE = "upkeep.view_run"
START = "upkeep.run_task"
STEER = "upkeep.control_run"
HANDLE = "upkeep.handle_deadletter"

SAFE = ("GET", "HEAD")

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def guarded(
    *permissions: str, methods: Sequence[str] = SAFE
) -> Callable[[View[P]], View[P]]:
    """
    Let in who is logged in and has the permissions; every view of ours wears this.

    Who is not logged in is sent to do so from a page, and refused by all else. Without
    permissions the view itself decides, by what it raises. Who was let in has the runs
    looked after.
    """

    def decorate(view: View[P]) -> View[P]:
        @csrf_protect  # Whatever MIDDLEWARE says.
        def permitted(
            request: HttpRequest, *args: P.args, **kwargs: P.kwargs
        ) -> HttpResponse:
            for permission in permissions:
                require(request, permission)
            response = view(request, *args, **kwargs)
            sweep_behind(response)
            return response

        @wraps(view)
        def wrapped(
            request: HttpRequest, *args: P.args, **kwargs: P.kwargs
        ) -> HttpResponse:
            try:
                response = (
                    _wrong_method(request, methods)
                    or _login(request)
                    or permitted(request, *args, **kwargs)
                )
            except REFUSALS as error:
                response = _refused(request, error)
            csp.protect(response)
            add_never_cache_headers(response)
            patch_vary_headers(response, ["Accept", "HX-Request"])
            return response

        wrapped.guard = permissions  # type: ignore[attr-defined]
        return wrapped  # type: ignore[return-value]

    return decorate


REFUSALS = (PermissionDenied, Run.DoesNotExist, Http404, DatabaseError)


def _refused(request: HttpRequest, error: Exception) -> HttpResponse:
    """Say no, and why. Raises the error where nobody who looks is to blame."""
    if isinstance(error, PermissionDenied):
        return refuse(request, REFUSED, str(error))
    if isinstance(error, Run.DoesNotExist):  # It was deleted a moment ago.
        return refuse(request, NOT_FOUND, _("The run is gone."))
    if isinstance(error, Http404):
        return refuse(request, NOT_FOUND, str(error))
    if is_passing(error):
        return refuse(request, AWAY, _why_away())
    raise error


def _why_away() -> str:
    if has_one_writer():
        return _(
            "The database is locked. Try again; if it stays so, an item of a run may "
            "hold it: the log of the workers says which, and what process to kill."
        )
    return _("The database is locked, or does not answer. Try again in a moment.")


def action(
    *permissions: str, page: Callable[Concatenate[HttpRequest, P], str]
) -> Callable[[View[P]], View[P]]:
    """
    Let nothing but a POST reach a view that does something.

    Who comes to it by an address alone, such as behind a login, is led to its page,
    whose address `page` returns, with the same permissions and none of the effects.
    """

    @guarded(*permissions)
    def lead_back(
        request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponse:
        url = page(request, *args, **kwargs)
        notices.leave(
            request, _("Nothing was done: press the button here if you still want it.")
        )
        return redirect(url)

    def decorate(view: View[P]) -> View[P]:
        do = guarded(*permissions, methods=["POST"])(view)

        @wraps(do)
        def either(
            request: HttpRequest, *args: P.args, **kwargs: P.kwargs
        ) -> HttpResponse:
            is_for_a_program = wants_json(request) or wants_part(request)
            is_astray = request.method in SAFE and not is_for_a_program
            return (lead_back if is_astray else do)(request, *args, **kwargs)

        return either  # type: ignore[return-value]

    return decorate


def user_of(request: HttpRequest) -> AbstractUser:
    """Return who asks: somebody, for all others the guard has turned away."""
    return cast("AbstractUser", request.user)


def require(request: HttpRequest, permission: str) -> None:
    """Raise PermissionDenied where the one who asks lacks the permission."""
    if not user_of(request).has_perm(permission):
        raise PermissionDenied(
            _("You lack the permission %(permission)s. Ask an administrator for it.")
            % {"permission": permission}
        )


def may_use(request: HttpRequest, entry: Entry) -> bool:
    """Tell whether one has the permission that the task itself asks for."""
    return user_of(request).has_perms(entry.asks_for)


def find_task(request: HttpRequest, label: str) -> type[Task] | None:
    """
    Return the task; None where only its runs are left.

    Raises Http404, or PermissionDenied where the task asks for more, or did so before
    it went.
    """
    task = registry.find(label)
    permissions = {task.permission or ""} if task else _permissions_of_gone(label)
    for permission in sorted(permissions - {""}):
        require(request, permission)
    return task


def _permissions_of_gone(label: str) -> set[str]:
    """Return what runs of a task that is gone ask for. Raises Http404 for none."""
    runs = Run.objects.using(home()).of(storable(label)).order_by()
    known = runs.values_list("task", "permission").distinct()
    # MariaDB takes other spellings for the same.
    found = {permission for stored, permission in known if stored == label}
    if not found:
        raise Http404(_("There is no task %(label)s.") % {"label": label})
    return found


def find_run(request: HttpRequest, pk: int, **more: Any) -> Run:
    """
    Return the run, and what `more` asks for together with it.

    Raises Http404, or PermissionDenied where its task asks for more.
    """
    run = look_up_run(pk, **more)
    _require_own_permission(request, run)
    return run


def find_letter(request: HttpRequest, pk: int) -> DeadLetter:
    """
    Return the dead letter.

    Raises Http404, or PermissionDenied where the task of its run asks for more.
    """
    letters = DeadLetter.objects.using(home()).filter(pk=pk)
    letter = letters.select_related("run", "owner", "retried_by").first()
    if letter is None:
        raise Http404(_("There is no dead letter %(number)s.") % {"number": pk})
    if letter.run:
        _require_own_permission(request, letter.run)
    return letter


def may_see(request: HttpRequest, run: Run) -> bool:
    """Tell whether one has the permission that the task of a run asks for."""
    return not run.asks_for or user_of(request).has_perm(run.asks_for)


def look_up_run(pk: int, **more: Any) -> Run:
    """Return the run, whoever asks, and what `more` asks for. Raises Http404."""
    runs = Run.objects.using(home()).filter(pk=pk)
    runs = runs.select_related("requested_by", "lease")
    run = runs.annotate(**more).first()
    if run is None:
        raise Http404(_("There is no run %(number)s.") % {"number": pk})
    return run


def require_view(request: HttpRequest, run: Run) -> None:
    """Raise PermissionDenied where the one who asks may not see the run."""
    require(request, SEE)
    _require_own_permission(request, run)


def _require_own_permission(request: HttpRequest, run: Run) -> None:
    if run.asks_for:
        require(request, run.asks_for)


def _wrong_method(request: HttpRequest, methods: Sequence[str]) -> HttpResponse | None:
    """Return what is said to who comes by another method than the view knows."""
    return None if request.method in methods else HttpResponseNotAllowed(methods)


def _login(request: HttpRequest) -> HttpResponse | None:
    """Return what is said to who is not logged in."""
    # A project without logins has no `user` either.
    if getattr(request, "user", AnonymousUser()).is_authenticated:
        return None
    if request.method not in SAFE or wants_json(request) or wants_part(request):
        raise PermissionDenied(_("Log in first."))
    url = login_url()
    if url is None:
        raise PermissionDenied(
            _("This project has no page to log in: set LOGIN_URL, or add the admin.")
        )
    return redirect_to_login(request.get_full_path(), url)


def login_url() -> str | None:
    """
    Return where one logs in: LOGIN_URL, else the admin; None where neither works.

    An address that the project has chosen is taken as it is, for it may be one that
    another server answers; Django's own default has to lead somewhere.
    """
    with suppress(NoReverseMatch, Resolver404):
        url = resolve_url(settings.LOGIN_URL)
        if not settings.is_overridden("LOGIN_URL"):  # type: ignore[misc]
            path = urlsplit(url).path
            resolve("/" + path.removeprefix(get_script_prefix()).removeprefix("/"))
        return url
    with suppress(NoReverseMatch):
        return reverse("admin:login")
    return None
