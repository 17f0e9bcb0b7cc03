"""Python's search for garbage, which finds none while a page is made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def not_sought() -> Iterator[None]:
    """
    Make many objects that are all in use without a search for those that are not.

    Python searches each time that 700 more are there than were, a page is some
    thousands, and now and then it looks at all that the project has ever loaded. What
    is put off is found when the block is over. No `process` runs in one.
    """
    if not gc.isenabled():  # By the host, or by another thread that does the same.
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
