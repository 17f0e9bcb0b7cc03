"""`manage.py upkeep list`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from upkeep.conf import conf
from upkeep.databases import home
from upkeep.management.portrait import portrait
from upkeep.management.verbs.base import Verb
from upkeep.management.words import moment
from upkeep.runs.models import Run
from upkeep.tasks import registry
from upkeep.tasks.base import Task

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

HEADER = ["group", "task", "last run", "enqueued", "description"]

Row = tuple[str, str, str, str, str]


class ListTasks(Verb):
    """List the tasks, those under way first, or tell what there is to know of one."""

    name = "list"
    example = "manage.py upkeep list blog.ImportPosts"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """Take a task."""
        parser.add_argument(
            "label", nargs="?", metavar="LABEL", help="the task: app.ClassName"
        )

    def handle(self, *, label: str | None, **options: Any) -> None:
        """Write a page, a table, or a sentence where there is nothing to list."""
        if label is not None:
            self.screen.pairs(portrait(registry.get(label)))
        elif rows := list(_rows()):
            self.screen.table(HEADER, rows)
        else:
            self.screen.say(
                "There are no tasks yet: write one in "
                f"<app>/{conf.TASKS_MODULE}.py of an installed app."
            )


def _rows() -> Iterator[Row]:
    runs = Run.objects.using(home())
    active = set(runs.active().order_by().values_list("task", flat=True).distinct())
    groups: dict[str, list[Row]] = {"active": [], "new": [], "completed": []}
    for task in registry.tasks():
        known_as = {task.label(), *task.aliases}
        last = _last_run(known_as, is_active=not known_as.isdisjoint(active))
        group = _group(last)
        groups[group].append((group, task.label(), *_in_words(last), _summary(task)))
    for rows in groups.values():
        yield from rows


def _last_run(labels: set[str], *, is_active: bool) -> Run | None:
    """Return the latest run, by a look at the index and not at all the runs."""
    runs = Run.objects.using(home()).filter(task__in=labels)
    runs = runs.active() if is_active else runs
    return runs.order_by("-pk").only("status", "created_at").first()


def _group(last: Run | None) -> str:
    if last is None:
        return "new"
    return "active" if last.is_active else "completed"


def _in_words(last: Run | None) -> tuple[str, str]:
    return ("–", "–") if last is None else (last.status, moment(last.created_at))


def _summary(task: type[Task]) -> str:
    return task.description().partition("\n")[0]
