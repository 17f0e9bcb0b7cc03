"""Calls of dead letters that a test makes again itself."""

from __future__ import annotations

from upkeep.dispatch.calls import call_here
from upkeep.runs.dead_letters import DeadLetter


def call_inline(letter: DeadLetter, /) -> DeadLetter:
    """
    Make the call of an open dead letter again here, as a worker would, and return it.

    An error that the call raises is in the letter, which is open again then. Raises
    InvalidCall where the call cannot be made, NoOpenLetters where it is not open.
    """
    call_here(letter, by="a test")
    return letter
