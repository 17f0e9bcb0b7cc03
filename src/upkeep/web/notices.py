"""What the next page is to say: a sentence that waits in the session."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.http import HttpRequest

KEY = "upkeep-notice"


def leave(request: HttpRequest, sentence: str) -> None:
    """Have the next page that one opens say something, once."""
    request.session[KEY] = sentence


def take(request: HttpRequest) -> str:
    """Return what is to be said now; an empty text for nothing."""
    return str(request.session.pop(KEY, "")) if KEY in request.session else ""
