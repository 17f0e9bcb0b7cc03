"""
Signals of the moves of runs, each sent with `sender=Run` and the `run`.

They are sent behind the commit of the move, in the process that made it, at least once.
That of dead letters is sent with `sender=DeadLetter` and the `letter`, at most once.
"""

from __future__ import annotations

from django.dispatch import Signal

run_enqueued = Signal()  # It was asked for.
run_started = Signal()  # A worker has taken it up for the first time.
run_interrupted = Signal()  # It will go on by itself.
run_paused = Signal()  # It has come to a stop that a person wanted.
run_resumed = Signal()  # A person wants it to go on.
run_cancelled = Signal()  # A person has ended it.
run_succeeded = Signal()  # It has come to the end of its collection.
run_discarded = Signal()  # A rule of its task has ended it.
run_errored = Signal()  # An error has stopped it; `error` may be the exception.

dead_letter_opened = Signal()  # One was kept whose cause is new.
