"""The app of the scenarios' tasks, which can take a protection away."""

import os
from unittest import mock

from django.apps import AppConfig


class ChaosConfig(AppConfig):
    """Tasks, and no tables."""

    name = "tests.chaos"

    def ready(self) -> None:
        """Have a worker believe its memory after an error, where that is wanted."""
        if os.environ.get("UPKEEP_CHAOS_WITHOUT") == "new token":
            from upkeep.execution.claim import Claim

            mock.patch.object(Claim, "renew").start()
