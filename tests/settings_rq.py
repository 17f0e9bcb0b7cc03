"""The settings of the test suite with RQ as the queue, for workers in processes."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_rq", "django_tasks_rq"]
RQ_QUEUES = {"default": {"URL": os.environ["UPKEEP_TEST_REDIS"]}}
TASKS = {"default": {"BACKEND": "django_tasks_rq.RQBackend", "QUEUES": []}}
