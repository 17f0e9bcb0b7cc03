"""Telling of dead letters: the signal for a new cause, and the mail, not too often."""

from __future__ import annotations

import logging
from collections.abc import Collection
from functools import partial

from django.db import DatabaseError, InterfaceError

from upkeep import databases, signals
from upkeep.conf import conf
from upkeep.execution import mails
from upkeep.execution.listeners import Listeners
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
    listeners = Listeners(
        subject=f"dead letter {letter.pk} of {letter.place}",
        report=partial(report_of_letter, place=letter.place),
        secrets=secrets,
    )
    if is_new:
        listeners.send(signals.dead_letter_opened, DeadLetter, letter=letter)
    if due:
        with listeners.reporting("The mail"):
            mails.tell_of_letter(letter, letters=due)


def _has_receivers() -> bool:
    return signals.dead_letter_opened.has_listeners(DeadLetter)
