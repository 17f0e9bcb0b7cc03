"""Calls that fail are kept; of those that are made again it is noted how they end."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db.models import F

from upkeep.conf import conf
from upkeep.databases import Now, home, storable, through_deadlocks
from upkeep.execution.apart import PATIENCE_OF_THREAD, write_apart
from upkeep.execution.beats import beating
from upkeep.execution.failures import told
from upkeep.execution.letters import tell_of
from upkeep.runs.dead_letters import DeadLetter, fingerprint_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from django.db.models import QuerySet

    from upkeep.tasks.calls import Call, SecondCall

logger = logging.getLogger("upkeep")

State = DeadLetter.State


def keep(call: Call, error: BaseException) -> bool:
    """Keep a call that failed, whatever becomes of the transaction around it."""
    letter = DeadLetter(
        call=call.path,
        item=storable(call.item)[:255],
        payload=call.payload,
        obstacle=storable(call.obstacle)[:500],
        fingerprint=fingerprint_of(error),
        **told(error, call.secrets),
    )
    return write_apart(
        partial(_insert, letter),
        behind=partial(_tell_of_new, call=call),
        what=f"The dead letter of {call.path}",
    )


def _insert(letter: DeadLetter) -> DeadLetter:
    letter.pk = None  # An attempt before may have set it.
    letter.save(using=home(), force_insert=True)
    return letter


def _tell_of_new(letter: DeadLetter, *, call: Call) -> None:
    logger.warning("%s failed and is kept as dead letter %s.", letter.call, letter.pk)
    tell_of(letter, secrets=call.secrets)


# Made again


def call_again(second: SecondCall) -> Any:
    """
    Make the call of a letter, if nobody has begun to, and note how it ends.

    One message makes one call at most: who comes with it again does nothing.
    """
    if not _begin(second):
        logger.info("The call of dead letter %s is not made twice.", second.letter)
        return None
    try:
        with _signs_of_life(second):
            result = second.make()
    except BaseException as error:
        _open_again(second, error)
        raise
    _resolve(second)
    return result


def _rows(second: SecondCall, *states: State) -> QuerySet[DeadLetter]:
    letters = DeadLetter.objects.using(home())
    return letters.filter(pk=second.letter, token=second.token, state__in=states)


def _begin(second: SecondCall) -> bool:
    rows = _rows(second, State.RETRYING).filter(begun_at__isnull=True)
    begin = partial(rows.update, begun_at=Now(), due_at=Now() + conf.LEASE)
    return bool(through_deadlocks(home(), begin))


def _resolve(second: SecondCall) -> None:
    # Also where the sweep took the worker for dead: nobody has called since.
    rows = _rows(second, State.RETRYING, State.OPEN)
    change = {"state": State.RESOLVED, "settled_at": Now(), "due_at": None}
    write_apart(
        partial(rows.update, **change),
        behind=_nothing,
        what=f"That the call of dead letter {second.letter} went well",
        patience=PATIENCE_OF_THREAD,
    )


def _open_again(second: SecondCall, error: BaseException) -> None:
    """Open the letter with the error of the second call."""
    fields = told(error) | {"fingerprint": fingerprint_of(error)}
    write_apart(
        partial(open_again, _rows(second, State.RETRYING), **fields),
        behind=partial(_tell_of_again, second.letter),
        what=f"That the call of dead letter {second.letter} failed again",
        patience=PATIENCE_OF_THREAD,
    )


def open_again(letters: QuerySet[DeadLetter], **fields: Any) -> int:
    """Open letters whose second call failed, or was not heard of."""
    change = {"state": State.OPEN, "due_at": None, "attempts": F("attempts") + 1}
    return letters.update(**change | fields)


def _tell_of_again(pk: int, opened: int) -> None:
    letter = DeadLetter.objects.using(home()).filter(pk=pk).first()
    if opened and letter is not None:
        tell_of(letter)


def _nothing(_written: object) -> None:
    """Do nothing behind the commit."""


def _signs_of_life(second: SecondCall) -> AbstractContextManager[None]:
    """Tell the sweep again and again that the call goes on."""
    what = f"The call of dead letter {second.letter}"
    return beating(partial(_beat, second), what=what)


def _beat(second: SecondCall) -> None:
    _rows(second, State.RETRYING).update(due_at=Now() + conf.LEASE)
