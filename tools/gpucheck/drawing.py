"""One case, drawn in a process of its own: ``python -m gpucheck.drawing``.

The allocator's peak is one of the whole process, and what is compiled is kept by it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import plenostream as ps
from plenostream.options import Backend, Precision
from plenostream.plan.budget import RenderPlan

__all__ = ["Drawn", "Request", "draw_apart"]

_BUSY_SECONDS = 1.0
"""For so long frames are drawn at least: nvidia-smi looks at the last part of a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be drawn."""

    scene: str
    size: tuple[int, int]
    precision: Precision
    backend: Backend
    share: int = 0
    """The pool holds this part of what the picture needs; 0: all that the device has."""
    device_bytes: int = 0
    """Device bytes allowed, or the smallest that work if that is more; 0: by `share`."""
    frames: int = 1
    """That are timed; 0: the first alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What came of it, but the picture."""

    planned_bytes: int
    allowed_bytes: int
    peak_bytes: int
    """Of the device's allocator; 0 where it keeps none."""
    n_slots: int
    bricks_visible: int
    waves: int
    first_seconds: float
    """Compiling and uploading included."""
    seconds: list[float]
    """Of frames of one view."""
    orbit_seconds: list[float]
    """Of frames of different views."""
    orbit_uploaded: int
    """Bytes, in the whole orbit."""
    busy: int | None
    """Per cent of the time in which the GPU did something; None on a CPU."""


def draw_apart(request: Request, **environment: str) -> tuple[Drawn, NDArray[np.float32]]:
    """Draw; the picture is red, green, blue and alpha [height, width, 4] of the first camera of an
    orbit. `environment` is added to this process's."""
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        out = Path(folder) / "picture.npy"
        done = subprocess.run(
            [sys.executable, "-m", "gpucheck.drawing", json.dumps(asdict(request)), str(out)],
            env={**os.environ, **environment},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return Drawn(**json.loads(done.stdout)), np.load(out)


def _draw(request: Request, out: Path) -> Drawn:
    with ps.open_scene(request.scene) as opened:
        cameras = ps.orbit_cameras(opened.grid, max(request.frames, 1), size=request.size)
        with _renderer(opened, request, _budget(opened, request, cameras[0])) as renderer:
            began = time.perf_counter()
            plan: RenderPlan = renderer.plan(cameras[0])
            picture = renderer.render(cameras[0])
            first_seconds = time.perf_counter() - began
            again = [renderer.render(cameras[0]).stats for _ in range(request.frames)]
            busy = _busy(renderer, cameras[0]) if request.frames else None
            orbit = [renderer.render(c).stats for c in cameras[: request.frames]]
            peak_bytes = _peak_bytes()
    np.save(out, np.concatenate([picture.rgb, picture.alpha[..., None]], axis=-1))
    return Drawn(
        planned_bytes=plan.planned_device_bytes,
        allowed_bytes=plan.allowed_device_bytes,
        peak_bytes=peak_bytes,
        n_slots=plan.n_slots,
        bricks_visible=plan.bricks_visible,
        waves=plan.waves,
        first_seconds=first_seconds,
        seconds=[stats.seconds for stats in again],
        orbit_seconds=[stats.seconds for stats in orbit],
        orbit_uploaded=sum(stats.bytes_uploaded for stats in orbit),
        busy=busy,
    )


def _renderer(opened: Any, request: Request, budget: int | None) -> Any:
    stream = ps.StreamOptions(
        precision=request.precision, backend=request.backend, device_memory=budget
    )
    return ps.Renderer(opened, stream=stream)


def _budget(opened: Any, request: Request, camera: ps.Camera) -> int | None:
    if not request.share and not request.device_bytes:
        return None
    with _renderer(opened, request, None) as renderer:
        plan: RenderPlan = renderer.plan(camera)
    pool = sum(n for item, n in plan.device_items.items() if item.startswith("pool"))
    beside = plan.planned_device_bytes - pool
    streamed = beside + plan.working_set_bytes // request.share if request.share else 0
    return max(plan.smallest_budget_bytes, request.device_bytes, streamed)


def _busy(renderer: ps.Renderer, camera: ps.Camera) -> int | None:
    import jax

    if jax.devices()[0].platform != "gpu":
        return None
    began = time.perf_counter()
    while time.perf_counter() - began < _BUSY_SECONDS:
        renderer.render(camera)
    query = ["nvidia-smi", "--id=0", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    return int(subprocess.run(query, check=True, capture_output=True, text=True).stdout)


def _peak_bytes() -> int:
    import jax

    stats = jax.devices()[0].memory_stats() or {}
    return int(stats.get("peak_bytes_in_use", 0))


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    made = _draw(Request(**{**asked, "size": tuple(asked["size"])}), Path(sys.argv[2]))
    print(json.dumps(asdict(made)))
