"""
How texts are read: in the project's own language and time zone.

What "01/02/2025 10:00" means depends neither on the person who gives it nor on the
worker that takes it up.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.utils import timezone, translation


@contextmanager
def in_project_terms() -> Iterator[None]:
    """Have the project's language and time zone, whoever is asking."""
    with translation.override(settings.LANGUAGE_CODE), in_project_time():
        yield


def in_project_time() -> timezone.override:
    """Have the project's time zone; people keep the language of their sentences."""
    return timezone.override(settings.TIME_ZONE)
