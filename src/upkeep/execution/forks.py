"""What process() forks must not go on as a second worker of the run."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from upkeep.execution.interruption import Interruption

FELL_THROUGH = (
    "process() forked, and the child came out of it; it ends here. End a child by "
    "os._exit(), or use multiprocessing."
)


class OneProcess:
    """
    End any process that leaves the block but the one that made this.

    A child has the database session of its parent. What it would say there, be it a
    ROLLBACK, the server took for said by the parent, and items were done twice. One
    that ends by nothing is told to stop behind the item in hand, and so comes here.
    """

    def __init__(self, interruption: Interruption) -> None:
        self.interruption = interruption
        self._pid = os.getpid()

    def __enter__(self) -> Self:
        _open.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if os.getpid() != self._pid:
            _end(error)
        _open.remove(self)


_open: list[OneProcess] = []


def _stop_in_child() -> None:
    for each in _open:
        each.interruption.ask_to_stop(FELL_THROUGH)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stop_in_child)


def _end(error: BaseException | None) -> None:
    """End as Python would, but for what is done at the end of the parent's life."""
    status = 1
    match error:
        case None:
            sys.stderr.write(f"{FELL_THROUGH}\n")
        case SystemExit(code=None):
            status = 0
        case SystemExit(code=int() as code):
            status = code & 0xFF
        case _:
            traceback.print_exception(error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
