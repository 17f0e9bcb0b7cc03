"""The addresses of the suite, and a page of a host that shows a run of ours."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.http import HttpRequest, HttpResponse
from django.template import RequestContext, Template
from django.urls import include, path

from upkeep.runs.models import Run

HOST_PAGE = """\
{% load upkeep %}<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>The shop</title>
  <link rel="icon" href="data:,">
</head>
<body>
  <main>
    <h1>The shop</h1>
    <p>Your prices are being brought up to date.</p>
    {% upkeep_progress run %}
    <p id="announcement" role="status"></p>
  </main>
</body>
</html>
"""


def host_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a run within a page that knows nothing else of Upkeep."""
    run = Run.objects.get(pk=pk)
    page = Template(HOST_PAGE).render(RequestContext(request, {"run": run}))
    return HttpResponse(page)


def icon(request: HttpRequest) -> HttpResponse:
    """Have none; Chromium asks for one where a page names none, as Django's do."""
    return HttpResponse(status=204)


urlpatterns = [
    path("upkeep/", include("upkeep.urls")),
    path("admin/", admin.site.urls),
    path("log-out/", LogoutView.as_view(), name="logout"),
    path("favicon.ico", icon),
    path("shop/<int:pk>/", host_page, name="host-page"),
]
