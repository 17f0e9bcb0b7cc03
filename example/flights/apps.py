"""The app of the example project."""

from django.apps import AppConfig


class FlightsConfig(AppConfig):
    """The flights of New York City in 2013."""

    name = "flights"
