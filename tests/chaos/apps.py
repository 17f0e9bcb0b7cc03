"""The app of the scenarios' tasks, which can take a protection away."""

import os
from contextlib import ExitStack

from django.apps import AppConfig


class ChaosConfig(AppConfig):
    """Tasks, and no tables."""

    name = "tests.chaos"
    taken = ExitStack()  # For as long as the process lives.

    def ready(self) -> None:
        """Have a worker without a protection, where that is wanted."""
        if name := os.environ.get("UPKEEP_TEST_WITHOUT"):
            from tests.without import taken_away  # It needs all models.

            self.taken.enter_context(taken_away(name))
