"""One address, three kinds of answer: a page, its live part for htmx, or JSON."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode

from upkeep.runs.facts import facts, facts_of_stuck
from upkeep.runs.leases import stuck
from upkeep.runs.why import why

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

    from upkeep.runs.models import Run

NOTHING_NEW = 204
CREATED = 201
REFUSED = 403
NOT_FOUND = 404
CONFLICT = 409
UNSUPPORTED = 415
INVALID = 422
AWAY = 503

HTML = "text/html"
JSON = "application/json"


def wants_json(request: HttpRequest) -> bool:
    """Tell whether the client would rather have JSON than a page."""
    return request.get_preferred_type([HTML, JSON]) == JSON


def wants_part(request: HttpRequest) -> bool:
    """Tell whether htmx asks for the live part of a page alone."""
    return request.headers.get("HX-Request") == "true"


def page(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    *,
    address: str,
    state: Any,
    status: int = 200,
) -> HttpResponse:
    """
    Return the page `<template>.html`, or its live part `<template>_live.html`.

    `address` is where the part is to be had again, whatever was asked for now.
    `state` is all that the live part tells, as JSON: a part that says nothing new is
    answered by 204, which htmx passes over in silence.
    """
    version = _version(state)
    part = f"upkeep/{template}_live.html"
    context = {**context, "address": address, "version": version, "part": part}
    if not wants_part(request):
        return render(request, f"upkeep/{template}.html", context, status=status)
    if request.method == "GET" and request.GET.get("seen") == version:
        return HttpResponse(status=NOTHING_NEW)
    return render(request, part, context, status=status)


def data(content: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    """Return JSON."""
    return JsonResponse(content, status=status)


def refuse(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    """Say no, and why, in the kind of answer that was asked for."""
    if wants_json(request):
        return data({"error": sentence}, status=status)
    if wants_part(request):
        return HttpResponse(sentence, status=status, content_type="text/plain")
    context = {"status": status, "sentence": sentence}
    return render(request, "upkeep/refusal.html", context, status=status)


def run_as_json(run: Run) -> dict[str, Any]:
    """Return what a list tells of a run."""
    return facts(run) | {"url": url_of(run)}


def run_in_full(run: Run) -> dict[str, Any]:
    """Return all there is to tell of a run, at the price of a query."""
    return run_as_json(run) | {"why": why(run), "stuck": facts_of_stuck(stuck(run))}


def url_of(run: Run) -> str:
    """Return the address of a run's page."""
    return reverse("upkeep:run", args=[run.pk])


def with_query(url: str, **values: str) -> str:
    """Return an address with what is not empty behind its question mark."""
    query = urlencode({name: value for name, value in values.items() if value})
    return f"{url}?{query}" if query else url


def before_of(request: HttpRequest, name: str = "before") -> str:
    """Return the number behind which the page to show begins; "" for the first."""
    before = request.GET.get(name, "")
    # No id is longer, and Python refuses to read numbers of thousands of digits.
    return before if before.isdecimal() and len(before) < 20 else ""


def _version(state: Any) -> str:
    text = json.dumps(state, sort_keys=True, default=str)
    return sha256(text.encode()).hexdigest()[:16]
