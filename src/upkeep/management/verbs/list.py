"""`manage.py upkeep list`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from upkeep.conf import conf
from upkeep.management.portrait import portrait
from upkeep.management.verbs.base import Verb
from upkeep.management.words import retrial
from upkeep.runs.overview import overview
from upkeep.runs.words import moment
from upkeep.tasks import registry

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from upkeep.runs.models import Run

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
    for group, entries in overview().items():
        for each in entries:
            summary = each.task.summary() if each.task else "(gone from the code)"
            yield group, each.label, *_in_words(each.run), summary


def _in_words(last: Run | None) -> tuple[str, str]:
    if last is None:
        return "–", "–"
    enqueued = ", ".join(filter(None, (moment(last.created_at), retrial(last))))
    return last.status, enqueued
