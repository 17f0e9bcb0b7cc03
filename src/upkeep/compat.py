"""What differs between the Django versions that Upkeep supports."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

# Never import both: `django_tasks` and `django.tasks` have classes of the same name
# that know nothing of each other.
if TYPE_CHECKING or not find_spec("django.tasks"):
    from django_tasks import TaskResultStatus, task_backends
    from django_tasks.backends.base import BaseTaskBackend
    from django_tasks.base import Task as DjangoTask
    from django_tasks.exceptions import InvalidTaskBackendError as InvalidTaskBackend
    from django_tasks.exceptions import InvalidTaskError as InvalidDjangoTask
else:
    from django.tasks import TaskResultStatus, task_backends
    from django.tasks.backends.base import BaseTaskBackend
    from django.tasks.base import Task as DjangoTask
    from django.tasks.exceptions import InvalidTask as InvalidDjangoTask
    from django.tasks.exceptions import InvalidTaskBackend

__all__ = [
    "BaseTaskBackend",
    "DjangoTask",
    "InvalidDjangoTask",
    "InvalidTaskBackend",
    "TaskResultStatus",
    "task_backends",
]
