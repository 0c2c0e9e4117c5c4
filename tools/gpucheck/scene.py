"""The scene to check with: a 512^3 model of 2.7 million voxels, made where it is missing."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.models import Folders, prepare, present

__all__ = ["make_scene"]

_ROOT = Path(__file__).resolve().parents[2]
_MODEL = "still_512"


def make_scene() -> Path:
    """The converted model, from the folder of things that tools make.

    Raises
    ------
    FileNotFoundError : neither is it there nor what it is made from.
    """
    folders = Folders(_ROOT, _ROOT / ".bench")
    scene = folders.made / f"{_MODEL}.zarr"
    if scene.exists():
        return scene
    if _MODEL not in present(folders):
        raise FileNotFoundError(
            f"there is no {scene}, and nothing in {folders.shared} to make it with; name a scene "
            "with --scene"
        )
    folders.made.mkdir(exist_ok=True)
    return prepare(folders, _MODEL, lambda what: print(f"{what} ...", file=sys.stderr)).scene
