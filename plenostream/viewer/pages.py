"""The page and its parts, as they are sent: nothing else of this machine has an address."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

__all__ = ["HEADERS", "PAGE", "Asset", "load_assets"]

PAGE = "/"
"""Where the page is."""

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

HEADERS = {
    # Scripts, styles and connections of this server alone, and no page of others around ours.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # The address may hold a token.
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A part of the page."""

    content_type: str
    body: bytes


def load_assets() -> dict[str, Asset]:
    """All parts by their path."""
    found = {}
    for entry in (files(__package__) / "static").iterdir():
        ending = entry.name.rpartition(".")[2]
        if ending in _TYPES:
            path = PAGE if entry.name == "index.html" else f"/{entry.name}"
            content_type = f"{_TYPES[ending]}; charset=utf-8"
            found[path] = Asset(content_type=content_type, body=entry.read_bytes())
    return found
