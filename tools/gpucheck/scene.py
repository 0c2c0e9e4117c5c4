"""The scene to check with: a 512^3 model of 2.7 million voxels, made where it is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import plenostream as ps

__all__ = ["make_scene"]

_ROOT = Path(__file__).resolve().parents[2]
_CACHE = _ROOT / ".bench"
_MODELS = _ROOT.parent / "shared" / "models"


def make_scene() -> Path:
    """The converted model, from the folder of things that tools make.

    Raises
    ------
    FileNotFoundError : neither is it there nor what it is made from.
    """
    scene, checkpoint = _CACHE / "still_512.zarr", _CACHE / "still_512.npz"
    if scene.exists():
        return scene
    if not checkpoint.exists():
        maker, source = _MODELS / "make_512.py", _MODELS / "still_256.npz"
        for path in (maker, source):
            if not path.exists():
                raise FileNotFoundError(
                    f"there is no {scene}, and no {path} to make it with; name a scene with --scene"
                )
        print("making a 512^3 model (20 s, 0.7 GB) ...", file=sys.stderr)
        _CACHE.mkdir(exist_ok=True)
        part = checkpoint.with_suffix(".part.npz")
        subprocess.run([sys.executable, maker, source, part], check=True, stdout=sys.stderr)
        part.rename(checkpoint)
    print("converting it ...", file=sys.stderr)
    ps.convert(checkpoint, scene)
    return scene
