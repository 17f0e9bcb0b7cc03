"""Telling of an error: the `upkeep` logger and the reporter of the host, masked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, cast

from django.utils.module_loading import import_string

from upkeep.conf import conf
from upkeep.exceptions import MaskedError, UpkeepError
from upkeep.execution.failures import told
from upkeep.tasks import registry
from upkeep.tasks.masks import secrets_in

if TYPE_CHECKING:
    from upkeep.runs.models import Run

logger = logging.getLogger("upkeep")

SOURCE = "upkeep"


def report(
    error: BaseException,
    *,
    run: Run,
    handled: bool,
    item: str = "",
    sentence: str = "",
    secrets: Collection[str] | None = None,
) -> None:
    """
    Tell the log and `UPKEEP["ERROR_REPORTER"]` of an error of a run; raise nothing.

    `item` is a reference, never the item itself; `sentence` is what the log says
    instead of the run's name and the error; both must be masked already. `secrets` are
    to be given where more of them are known than the row of the run can tell.
    """
    if secrets is None:
        secrets = secrets_of_run(run)
    context = {
        "task": run.task,
        "run_id": run.pk,
        "item": item,
        "done": run.done,
        "total": run.total,
        "handled": handled,
        "source": SOURCE,
    }
    _log(error, sentence or _sentence(error, run, item, secrets), secrets, context)
    _call_reporter(error, secrets, context)


def report_of_letter(
    error: BaseException,
    *,
    place: str,
    handled: bool,
    sentence: str,
    secrets: Collection[str] = (),
) -> None:
    """
    Tell the log and `UPKEEP["ERROR_REPORTER"]` of an error of a dead letter.

    `place` is the function or the task that the letter is of.
    """
    context = {
        "task": place,
        "run_id": None,
        "item": "",
        "done": None,
        "total": None,
        "handled": handled,
        "source": SOURCE,
    }
    _log(error, sentence, secrets, context)
    _call_reporter(error, secrets, context)


def secrets_of_run(run: Run) -> frozenset[str]:
    """Return the texts of a run that must not be shown, as far as its row has them."""
    task = registry.find(run.task)
    return secrets_in(run.parameters, task.masked if task else ())


def presentable(error: BaseException, secrets: Collection[str]) -> BaseException:
    """Return the error, or where it might tell a secret a stand-in that does not."""
    if not secrets:
        return error
    story = told(error, secrets)
    kind = story["error_class"]
    return MaskedError(f"{kind}: {story['error_message']}\n\n{story['traceback']}")


def _sentence(
    error: BaseException, run: Run, item: str, secrets: Collection[str]
) -> str:
    where = f" (at {item})" if item else ""
    message = told(error, secrets)["error_message"]
    return f"{run}: {type(error).__name__}: {message}{where}"


def _log(
    error: BaseException,
    sentence: str,
    secrets: Collection[str],
    context: dict[str, Any],
) -> None:
    # Our own errors say all there is to say, and a traceback may hold secrets.
    is_plain = isinstance(error, UpkeepError) or secrets
    logger.log(
        logging.WARNING if context["handled"] else logging.ERROR,
        "%s%s",
        sentence,
        f"\n{told(error, secrets)['traceback']}" if secrets else "",
        exc_info=None if is_plain else error,
        extra=context,
    )


def _call_reporter(
    error: BaseException, secrets: Collection[str], context: dict[str, Any]
) -> None:
    if not conf.ERROR_REPORTER:
        return
    try:
        _reporter()(presentable(error, secrets), **context)
    except Exception as failure:  # noqa: BLE001 - whatever the host's code may raise
        sentence = f"UPKEEP['ERROR_REPORTER'] failed: {type(failure).__name__}"
        _log(failure, sentence, secrets, context)


def _reporter() -> Callable[..., object]:
    reporter = conf.ERROR_REPORTER
    found = import_string(reporter) if isinstance(reporter, str) else reporter
    return cast("Callable[..., object]", found)
