"""Recognises volumes among the files that can be converted; apart, so that zarr need not be loaded."""

from __future__ import annotations

import json
import os
from pathlib import Path

from plenostream.format.attributes import ATTRIBUTES_KEY

__all__ = ["is_scene", "is_volume"]

_ZARR_NODES = ("zarr.json", ".zarray", ".zgroup")
_LARGEST_DOCUMENT = 1 << 20


def is_volume(path: str | os.PathLike[str]) -> bool:
    """Whether `path` names what `open_volume` reads: a file .npy, or a folder of Zarr that is no scene."""
    place = Path(path)
    if place.suffix.lower() == ".npy":
        return True
    if not any(os.path.lexists(place / node) for node in _ZARR_NODES):
        return False
    return not is_scene(place)


def is_scene(place: Path) -> bool:
    """Whether the folder `place` is a scene, whole or not."""
    try:
        with open(place / "zarr.json", encoding="utf-8") as file:
            document = json.loads(file.read(_LARGEST_DOCUMENT))
    except (OSError, ValueError, RecursionError):
        return False
    attributes = document.get("attributes") if isinstance(document, dict) else None
    return isinstance(attributes, dict) and ATTRIBUTES_KEY in attributes
