"""Pages that do not look after runs, for whoever looks closely at runs and queries."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock


@contextmanager
def still_pages() -> Iterator[None]:
    """Let no page sweep unless a test wants it to."""
    # Imported only now, for it needs Django's settings.
    from upkeep.web import sweeping

    with mock.patch.object(sweeping.turns, "take", return_value=False):
        yield
