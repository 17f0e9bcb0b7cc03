"""The addresses of the example project."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("upkeep/", include("upkeep.urls")),
    path("admin/", admin.site.urls),
]
