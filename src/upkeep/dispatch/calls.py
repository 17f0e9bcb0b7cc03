"""Calls of dead letters that are made again: to a worker, and found where one died."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction

from upkeep.compat import DjangoTask, InvalidTaskBackend, refusals, task_backends
from upkeep.conf import conf
from upkeep.databases import Now, home, storable, through_deadlocks, writing
from upkeep.dispatch.brokers import broker
from upkeep.exceptions import (
    CallLost,
    InvalidCall,
    NoOpenLetters,
    QueueRefused,
    UpkeepError,
)
from upkeep.execution.calls import call_again, open_again
from upkeep.execution.failures import told
from upkeep.runs.dead_letters import DeadLetter
from upkeep.runs.models import new_token
from upkeep.tasks.calls import (
    MARKER,
    SecondCall,
    arguments_of,
    find,
    is_django_task,
    is_plain,
    keeper_of,
)

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.db.models import QuerySet

logger = logging.getLogger("upkeep")

State = DeadLetter.State

# Public: it lies in users' queues, and must not move.
PATH = "upkeep.dispatch.calls.make_call"

# How often a message that nobody took is sent again, after lease, 2, 4, … leases.
MOST_MESSAGES = 8

# So many letters a sweep sees to, lest it be too late for runs.
MOST_AT_ONCE = 500

FELL_SILENT = (
    "The worker that made the call again fell silent: whether it was made is not known."
)
NOBODY_CAME = "No worker made the call again, though it was asked for again and again."


# What a worker does


def make_call(letter_id: int, token: str) -> None:
    """Make the call of a dead letter again: all that a message asks."""
    make = partial(_call, letter_id)
    try:
        call_again(SecondCall(letter=letter_id, token=token, make=make))
    except Exception as error:  # noqa: BLE001 - the letter has it now
        logger.warning(
            "The call of dead letter %s failed again: %s",
            letter_id,
            type(error).__name__,
        )


def _call(letter_id: int) -> object:
    letter = DeadLetter.objects.using(home()).get(pk=letter_id)
    args, kwargs = arguments_of(letter.payload or {})
    keeper = keeper_of(find(letter.call))
    return keeper and keeper.call(*args, **kwargs)


# As that of runs, it is made when it is asked for.
_make_call = make_call
del make_call


def __getattr__(name: str) -> Any:
    if name == "make_call":
        return _our_task()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _our_task() -> DjangoTask[Any, Any]:
    """Return the task by which plain functions are called, on the default queue."""
    alias = "default" if "default" in task_backends.settings else None
    alias = alias or next(iter(task_backends.settings))
    queues = sorted(task_backends[alias].queues)
    return task_backends[alias].task_class(
        func=_make_call,
        backend=alias,
        queue_name="default" if "default" in queues or not queues else queues[0],
        priority=0,
        takes_context=False,
        run_after=None,
    )


# What a person wants


def send_again(letter: DeadLetter, by: AbstractBaseUser | str = "") -> None:
    """
    Have a worker make the call of an open letter again.

    Raises InvalidCall where it cannot be made, NoOpenLetters where the letter is
    not open any more, of two who want it at the same instant for one.
    """
    _take_in_hand(letter, by, _at_the_right_time)


def call_here(letter: DeadLetter, by: AbstractBaseUser | str = "") -> None:
    """
    Make the call of an open letter again here, without a message.

    How it ends is noted as that of a worker. Raises what `send_again` raises.
    """
    _take_in_hand(letter, by, _not_at_all)
    _make_call(letter.pk, letter.token)
    letter.refresh_from_db(using=home())


def _take_in_hand(letter: DeadLetter, by: AbstractBaseUser | str, send: Send) -> None:
    message = _message(letter)
    rows = DeadLetter.objects.using(home()).filter(pk=letter.pk, state=State.OPEN)
    changes = {
        "state": State.RETRYING,
        "called_by": storable(str(by))[:255],
        "token": new_token(),
        "messages_sent": 0,
    }
    write = partial(_send, letter, message, rows, changes, send)
    if not through_deadlocks(home(), write):
        letter.refresh_from_db(using=home())
        raise NoOpenLetters(
            f"The call of dead letter {letter.pk} cannot be made again: the letter is "
            f"{letter.state}."
        )
    letter.refresh_from_db(using=home())


Message = tuple[DjangoTask[Any, Any], list[Any], dict[str, Any]]
Send = Callable[[DjangoTask[Any, Any], Callable[[], None]], None]


def _message(letter: DeadLetter) -> Message:
    """Return the task to enqueue, and its arguments but for the token."""
    if not letter.call:
        raise InvalidCall(f"Dead letter {letter.pk} is of an item, and not of a call.")
    if letter.obstacle:
        raise InvalidCall(
            f"The call of dead letter {letter.pk} cannot be made again. "
            f"{letter.obstacle} Call {letter.call} yourself, and discard the letter."
        )
    found = find(letter.call)
    payload = letter.payload or {}
    if is_django_task(found) and is_plain(payload):
        return found, payload["args"], payload["kwargs"]
    return _our_task(), [letter.pk], {}


def _send(
    letter: DeadLetter,
    message: Message,
    rows: QuerySet[DeadLetter],
    changes: dict[str, Any],
    send: Send,
) -> bool:
    """
    Note that a worker is to make the call, and send the message.

    One that is a row beside our own is written in the same transaction. Any other is
    sent after the commit; if that fails, the sweep sends it again.
    """
    task, args, kwargs = message
    token = changes.get("token", letter.token)
    if _is_ours(task):
        args = [*args, token]
    else:
        kwargs = kwargs | {MARKER: [letter.pk, token]}
    enqueue = partial(_enqueue, task, args, kwargs, letter.pk, token)
    with writing(home()):
        due = Now() + conf.LEASE * 2 ** changes["messages_sent"]
        changes = changes | {"messages_sent": changes["messages_sent"] + 1}
        if not rows.update(
            **changes,
            backend=task.backend,
            message_id="",
            begun_at=None,
            due_at=due,
        ):
            return False
        send(task, enqueue)
    return True


def _is_ours(task: DjangoTask[Any, Any]) -> bool:
    """Tell whether a task is that by which plain functions are called."""
    return bool(task.func is _make_call)


def _not_at_all(_task: DjangoTask[Any, Any], _enqueue: Callable[[], None]) -> None:
    """Send no message: who asks makes the call."""


def _at_the_right_time(task: DjangoTask[Any, Any], enqueue: Callable[[], None]) -> None:
    try:
        is_beside_us = broker(task.backend).writes_to() == home()
    except InvalidTaskBackend as error:
        raise QueueRefused(f"TASKS has no backend {task.backend!r}.") from error
    if is_beside_us:
        enqueue()
    else:
        transaction.on_commit(enqueue, using=home(), robust=True)


def _enqueue(
    task: DjangoTask[Any, Any],
    args: list[Any],
    kwargs: dict[str, Any],
    pk: int,
    token: str,
) -> None:
    try:
        result = task.enqueue(*args, **kwargs)
    except refusals() as error:
        raise QueueRefused(f"TASKS[{task.backend!r}] refuses it: {error}") from error
    rows = DeadLetter.objects.using(home()).filter(pk=pk, token=token)
    rows.update(message_id=result.id)


# Where a worker died or a message was lost


def due() -> QuerySet[DeadLetter]:
    """Return the letters of whose second call something should have been heard."""
    letters = DeadLetter.objects.using(home()).exclude(call="").defer("traceback")
    late = letters.filter(state=State.RETRYING, due_at__lt=Now())
    return late.order_by("due_at")[:MOST_AT_ONCE]


def look_after(letter: DeadLetter) -> bool:
    """
    See that a letter does not wait for ever; tell whether anything was done.

    A call that was begun may have been made, so a person decides if it is made again;
    a message that nobody took is sent again.
    """
    if letter.begun_at is not None:
        return _open_again(letter, FELL_SILENT, attempts=letter.attempts + 1)
    if letter.message_id and _is_held(letter):
        _same(letter).update(due_at=Now() + conf.LEASE)
        return False
    if letter.messages_sent >= MOST_MESSAGES:
        return _open_again(letter, NOBODY_CAME, attempts=letter.attempts)
    return _send_once_more(letter)


def _send_once_more(letter: DeadLetter) -> bool:
    changes = {"messages_sent": letter.messages_sent}
    try:
        message = _message(letter)
        rows = _same(letter)
        send = partial(_send, letter, message, rows, changes, _at_the_right_time)
        return through_deadlocks(home(), send)
    except UpkeepError as error:  # The function or its queue is gone.
        return _open_again(letter, str(error), attempts=letter.attempts)


def _is_held(letter: DeadLetter) -> bool:
    try:
        return bool(broker(letter.backend).holds(letter.message_id))
    except InvalidTaskBackend:
        return False


def _same(letter: DeadLetter) -> QuerySet[DeadLetter]:
    """Return its row, if nothing has happened to it since it was read."""
    return DeadLetter.objects.using(home()).filter(
        pk=letter.pk,
        state=State.RETRYING,
        token=letter.token,
        begun_at__isnull=letter.begun_at is None,
        due_at=letter.due_at,
    )


def _open_again(letter: DeadLetter, sentence: str, *, attempts: int) -> bool:
    """Open a letter of whose second call nothing was heard."""
    fields = told(CallLost(sentence)) | {"attempts": attempts}
    opened = through_deadlocks(home(), partial(open_again, _same(letter), **fields))
    if opened:
        logger.warning("Dead letter %s is open again. %s", letter.pk, sentence)
    return bool(opened)
