"""What differs between the Django versions that Upkeep supports."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

# Never import both: `django_tasks` and `django.tasks` have classes of the same name
# that know nothing of each other.
if TYPE_CHECKING or not find_spec("django.tasks"):
    from django_tasks import TaskResultStatus, task_backends
    from django_tasks.backends.base import BaseTaskBackend
    from django_tasks.backends.dummy import DummyBackend
    from django_tasks.base import Task as DjangoTask
    from django_tasks.base import TaskContext
    from django_tasks.exceptions import InvalidTaskBackendError as InvalidTaskBackend
    from django_tasks.exceptions import InvalidTaskError as InvalidDjangoTask
else:
    from django.tasks import TaskResultStatus, task_backends
    from django.tasks.backends.base import BaseTaskBackend
    from django.tasks.backends.dummy import DummyBackend
    from django.tasks.base import Task as DjangoTask
    from django.tasks.base import TaskContext
    from django.tasks.exceptions import InvalidTask as InvalidDjangoTask
    from django.tasks.exceptions import InvalidTaskBackend

__all__ = [
    "BaseTaskBackend",
    "DjangoTask",
    "DummyBackend",
    "InvalidDjangoTask",
    "InvalidTaskBackend",
    "TaskContext",
    "TaskResultStatus",
    "contexts",
    "django_tasks",
    "refusals",
    "task_backends",
]


def refusals() -> tuple[type[Exception], ...]:
    """
    Return the errors by which a backend says that it does not serve a task.

    On Django 6, too, a backend may be made of the backport: django-tasks-rq is.
    """
    backport = sys.modules.get("django_tasks.exceptions")
    return (InvalidDjangoTask, *([backport.InvalidTaskError] if backport else []))


def django_tasks() -> tuple[type[Any], ...]:
    """Return the classes of Django's tasks: on Django 6 there may be both."""
    backport = sys.modules.get("django_tasks.base")
    return (DjangoTask, *([backport.Task] if backport else []))


def contexts() -> tuple[type[Any], ...]:
    """Return the classes of what a task that takes a context is given."""
    backport = sys.modules.get("django_tasks.base")
    return (TaskContext, *([backport.TaskContext] if backport else []))
