"""Telling of dead letters: the signal for a new cause, and the mail, not too often."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from django.db import DatabaseError, InterfaceError

from upkeep import databases, signals
from upkeep.conf import conf
from upkeep.execution import mails
from upkeep.execution.failures import told
from upkeep.execution.reporting import report_of_letter
from upkeep.runs.causes import cause_of
from upkeep.runs.dead_letters import DeadLetter

logger = logging.getLogger("upkeep")


def tell_of(letter: DeadLetter, *, secrets: Collection[str] = ()) -> None:
    """
    Tell of a letter that is committed, if its cause is new or a mail is due.

    Raises nothing: what a receiver or the mail raises is reported.
    """
    if not (conf.MAIL_ON_DEAD_LETTER or _has_receivers()):
        return
    try:
        cause = cause_of(letter)
        is_new = cause.note()
        due = cause.take_mail() if conf.MAIL_ON_DEAD_LETTER else 0
    except (DatabaseError, InterfaceError) as failure:
        logger.warning("Nobody could be told of dead letter %s: %r", letter.pk, failure)
        databases.forget_lost_connection(databases.home())
        return
    if is_new:
        with _reporting("A receiver", letter, secrets):
            _send(letter, secrets)
    if due:
        with _reporting("The mail", letter, secrets):
            mails.tell_of_letter(letter, letters=due)


def _has_receivers() -> bool:
    return signals.dead_letter_opened.has_listeners(DeadLetter)


def _send(letter: DeadLetter, secrets: Collection[str]) -> None:
    answers = signals.dead_letter_opened.send_robust(DeadLetter, letter=letter)
    for receiver, answer in answers:
        if isinstance(answer, Exception):
            name = getattr(receiver, "__qualname__", type(receiver).__qualname__)
            _report(answer, f"{name}()", letter, secrets)


@contextmanager
def _reporting(
    what: str, letter: DeadLetter, secrets: Collection[str]
) -> Iterator[None]:
    """Report what the host's code raises, and go on; sys.exit() ends nothing either."""
    failure: BaseException | None = None
    try:
        yield
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is not our code
        failure = error
    if failure is not None:
        _report(failure, what, letter, secrets)


def _report(
    failure: BaseException, what: str, letter: DeadLetter, secrets: Collection[str]
) -> None:
    message = told(failure, secrets)["error_message"]
    report_of_letter(
        failure,
        place=letter.place,
        handled=False,
        sentence=(
            f"{what} about dead letter {letter.pk} of {letter.place} failed: "
            f"{type(failure).__name__}: {message}"
        ),
        secrets=secrets,
    )
