"""The command line of Upkeep: `manage.py upkeep`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError

from upkeep.exceptions import (
    AlreadyActive,
    InvalidParameters,
    QueueRefused,
    TaskNotFound,
    UpkeepError,
)
from upkeep.management.exits import Failed, Refused, Stopped, Usage
from upkeep.management.parser import VerbParser
from upkeep.management.screen import Screen
from upkeep.management.troubles import refusal
from upkeep.management.verbs import VERBS
from upkeep.runs.models import Run

EPILOG = """\
exit status: 0 done (enqueued; with --follow or --inline: succeeded), 1 failed,
2 wrong usage, 3 refused (already active, or not by this queue), 130 Ctrl-C
"""


class Command(BaseCommand):
    """Start, watch and steer the runs of this project's tasks."""

    help = "Start, watch and steer the runs of this project's tasks."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the verbs, each with its own arguments and help."""
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = EPILOG
        verbs = parser.add_subparsers(
            dest="verb", metavar="VERB", required=True, parser_class=VerbParser
        )
        for verb in VERBS.values():
            its_parser = verbs.add_parser(
                verb.name,
                help=verb.help().partition("\n")[0],
                description=verb.help(),
                epilog=f"example:\n  {verb.example}",
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
            its_parser.explain = verb.explain
            verb.add_arguments(its_parser)
            _accept_options_of_all_commands(its_parser)

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        """Have the verb do it, and give each error its exit status."""
        screen = Screen(self.stdout, no_color=options["no_color"])
        with _exits(), _exits_of_the_database():
            VERBS[verb](screen, self.stderr).handle(**options)


def _accept_options_of_all_commands(parser: CommandParser) -> None:
    """Take them behind the verb as well as before it; their help stands there."""
    for flag in ("--settings", "--pythonpath"):
        parser.add_argument(flag, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    for flag in ("--traceback", "--no-color"):
        parser.add_argument(
            flag,
            action="store_true",
            default=argparse.SUPPRESS,
            help=argparse.SUPPRESS,
        )


@contextmanager
def _exits() -> Iterator[None]:
    try:
        yield
    except (TaskNotFound, InvalidParameters) as error:
        raise Usage(str(error)) from error
    except (AlreadyActive, QueueRefused) as error:
        raise Refused(str(error)) from error
    except UpkeepError as error:
        raise Failed(str(error)) from error
    except KeyboardInterrupt as error:
        raise Stopped("Ctrl-C.") from error
    except BrokenPipeError:
        # Whoever read along, such as head, has seen enough. What is still to be
        # flushed at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _exits_of_the_database() -> Iterator[None]:
    try:
        yield
    except Run.DoesNotExist as error:
        raise Failed("The run was deleted meanwhile.") from error
    except DatabaseError as error:
        if sentence := refusal(error):
            raise Failed(sentence) from error
        raise
