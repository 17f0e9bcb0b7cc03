"""What a page of ours may load and do: a strict policy, with nothing inline."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings
from django.templatetags.static import static

if TYPE_CHECKING:
    from django.http import HttpResponse

HEADER = "Content-Security-Policy"


def protect(response: HttpResponse) -> None:
    """Set the policy of a response, in place of the one that the project has."""
    ours = " ".join(["'self'", *_origin_of_static_files()])
    response[HEADER] = "; ".join(
        [
            "default-src 'none'",
            f"script-src {ours}",
            f"style-src {ours}",
            f"img-src {ours} data:",
            "connect-src 'self'",
            "form-action 'self'",
            f"frame-ancestors {_who_may_frame()}",
            "base-uri 'none'",
        ]
    )
    response["X-Content-Type-Options"] = "nosniff"
    response["Referrer-Policy"] = "same-origin"


def _who_may_frame() -> str:
    """Return whose pages may show ours in a frame: what Django's own setting says."""
    return "'self'" if settings.X_FRAME_OPTIONS.upper() == "SAMEORIGIN" else "'none'"


def _origin_of_static_files() -> list[str]:
    """Return the host of the static files, where it is another than ours."""
    parts = urlsplit(_address_of_static_files())
    return [f"{parts.scheme or 'https'}://{parts.netloc}"] if parts.netloc else []


def _address_of_static_files() -> str:
    try:
        return static("upkeep/upkeep.css")
    except Exception:  # noqa: BLE001 - a storage may raise anything for what it lacks
        # JSON and redirects need no sheet; a page says itself that it is missing.
        return settings.STATIC_URL or ""
