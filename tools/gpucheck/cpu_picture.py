"""The same picture drawn on the CPU, in a process of its own: ``python -m gpucheck.cpu_picture``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import plenostream as ps
from plenostream.options import Precision

__all__ = ["cpu_picture"]


def cpu_picture(
    scene: Path, *, size: tuple[int, int], precision: Precision
) -> tuple[NDArray[np.float32], float]:
    """Red, green, blue, alpha and depth [height, width, 5] of the first camera of an orbit; and the
    seconds that a second frame took."""
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        out = Path(folder) / "picture.npy"
        request = {"scene": str(scene), "size": size, "precision": precision, "out": str(out)}
        done = subprocess.run(
            [sys.executable, "-m", "gpucheck.cpu_picture", json.dumps(request)],
            env={**os.environ, "JAX_PLATFORMS": "cpu"},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return np.load(out), float(done.stdout)


def _draw(scene: str, size: list[int], precision: Precision, out: str) -> float:
    width, height = size
    with ps.open_scene(scene) as opened:
        camera = ps.orbit_cameras(opened.grid, 1, size=(width, height))[0]
        stream = ps.StreamOptions(precision=precision)
        with ps.Renderer(opened, stream=stream) as renderer:
            renderer.render(camera)
            result = renderer.render(camera)
    parts = (result.rgb, result.alpha[..., None], result.depth[..., None])
    np.save(out, np.concatenate(parts, axis=-1))
    return float(result.stats.seconds)


if __name__ == "__main__":
    print(_draw(**json.loads(sys.argv[1])))
