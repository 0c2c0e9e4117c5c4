"""How a scene is opened: arguments of `open_scene`."""

from __future__ import annotations

from plenostream.rules import Memory

__all__ = ["CACHE_SIZE"]

CACHE_SIZE = Memory(
    help="Bytes that the folder of --cache may take; what was used longest ago makes room."
)
