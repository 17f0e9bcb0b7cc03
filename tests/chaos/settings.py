"""The suite's settings for the workers of a scenario, and for who looks after them."""

import os
from pathlib import Path

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as USUAL
from tests.settings import TASKS as USUAL_TASKS

BASE_DIR = Path(os.environ["UPKEEP_CHAOS_FOLDER"])
INSTALLED_APPS = [*USUAL, "tests.chaos"]
TASKS = USUAL_TASKS

if "UPKEEP_TEST_REDIS" in os.environ:
    INSTALLED_APPS += ["django_rq", "django_tasks_rq"]
    # An item may take as long as it likes: upkeep.backends.rq says so.
    RQ_QUEUES = {
        "default": {"URL": os.environ["UPKEEP_TEST_REDIS"], "DEFAULT_TIMEOUT": -1}
    }
    TASKS = {"default": {"BACKEND": "django_tasks_rq.RQBackend", "QUEUES": []}}
