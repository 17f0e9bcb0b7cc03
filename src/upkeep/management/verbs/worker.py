"""`manage.py upkeep worker`."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING, Any

from upkeep.dispatch.supervisor import Supervisor, worker_commands
from upkeep.management.exits import Failed
from upkeep.management.troubles import missing_tables_if_known
from upkeep.management.verbs.base import Verb
from upkeep.runs.words import counted

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class StartWorker(Verb):
    """
    Start workers, start those again that die, and watch over the runs.

    The first Ctrl-C or SIGTERM lets each worker finish the item in hand.
    """

    name = "worker"
    example = "manage.py upkeep worker --workers 4 --queues default,maintenance"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """Take how many, and for which queues."""
        parser.add_argument(
            "--workers",
            type=_one_or_more,
            default=1,
            metavar="N",
            help="processes for each backend of TASKS (default: 1)",
        )
        parser.add_argument(
            "--queues",
            type=_names,
            default=[],
            metavar="A,B",
            help="names of queues, with commas between (default: all)",
        )

    def handle(self, *, workers: int, queues: list[str], **options: Any) -> None:
        """Stay until told to stop."""
        supervisor = Supervisor(worker_commands(queues), workers=workers)
        if sentence := missing_tables_if_known():
            raise Failed(sentence)
        self.screen.say(_started(len(supervisor.workers), queues))
        _log_to_stderr()
        supervisor.run()


def _started(count: int, queues: list[str]) -> str:
    who = counted(count, "worker")
    what = ", ".join(queues) if queues else "all queues"
    return f"Starting {who} for {what}. Stop with Ctrl-C."


def _log_to_stderr() -> None:
    """Let the log be seen where the project does not say where it goes."""
    logger = logging.getLogger("upkeep")
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("{asctime}  {message}", style="{"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


def _one_or_more(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("Say how many: 1 or more.")
    return int(text)


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]
