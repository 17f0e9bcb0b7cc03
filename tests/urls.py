"""The addresses of the project that the tests run in."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("upkeep/", include("upkeep.urls")),
    path("admin/", admin.site.urls),
]
