"""One backend and one size of picture, drawn in a process of its own: ``python -m gpucheck.drawing``.

The allocator's peak is one of the whole process, so what is drawn in it takes more each time; and
what is compiled is kept by it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import plenostream as ps
from plenostream.options import Backend, Precision
from plenostream.plan.budget import RenderPlan

__all__ = ["TOLERANCE", "Drawn", "Request", "Way", "draw_apart", "picture_of", "reference_apart"]

TOLERANCE = 2e-5
"""Between pictures of one scene, however they are made."""
_BUSY_SECONDS = 1.0
"""For so long frames are drawn at least: nvidia-smi looks at the last part of a second."""
_TIMED_SECONDS = 2.0
"""After which no other frame is timed."""


@dataclass(frozen=True, slots=True)
class Way:
    """How much of what is in view fits the device."""

    name: str
    share: int = 0
    """The pool holds this part of what the picture needs; 0: all that the device has."""
    device_bytes: int = 0
    """Device bytes allowed, or the smallest that work if that is more; 0: by `share`."""

    @property
    def streams(self) -> bool:
        """Whether bricks come in all the time."""
        return bool(self.share or self.device_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be drawn: the first camera of an orbit, then the orbit."""

    scene: str
    size: tuple[int, int]
    precision: Precision
    backend: Backend
    ways: Sequence[Way]
    """In the order of the memory that they take."""
    reference: str
    """File with the picture to compare with [height, width, 4]."""
    frames: int = 1
    """That are timed at most; 0: the first alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What came of a way."""

    way: str
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
    device_seconds: list[float]
    """Until the colours of those were on the device."""
    orbit_seconds: list[float]
    """Of frames of different views."""
    orbit_uploaded: int
    """Bytes, in the whole orbit."""
    transfers: int
    """To the device, in the last frame of the orbit."""
    busy: int | None
    """Per cent of the time in which the GPU did something; None on a CPU."""
    difference: float
    """Largest of any channel of any pixel from the reference, colour and alpha."""
    apart: float
    """Share of the pixels that are further from it than pictures of one scene should be."""


def draw_apart(request: Request, **environment: str) -> list[Drawn]:
    """Draw; `environment` is added to this process's."""
    done = subprocess.run(
        [sys.executable, "-m", "gpucheck.drawing", json.dumps(asdict(request))],
        env={**os.environ, **environment},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [Drawn(**json.loads(line)) for line in done.stdout.splitlines()]


def picture_of(picture: ps.RenderResult) -> NDArray[np.float32]:
    """Red, green, blue and alpha [height, width, 4]."""
    return np.concatenate([picture.rgb, picture.alpha[..., None]], axis=-1)


def reference_apart(scene: str, size: tuple[int, int], precision: Precision) -> Path:
    """The CPU's picture, in a file that the caller removes."""
    made = Path(tempfile.mkstemp(prefix="gpu-check-", suffix=".npy")[1])
    command = [sys.executable, "-m", "gpucheck.drawing", scene, *map(str, size), precision, made]
    subprocess.run(command, env={**os.environ, "JAX_PLATFORMS": "cpu"}, check=True)
    return made


def _reference(scene: str, width: str, height: str, precision: Any, out: str) -> None:
    with ps.open_scene(scene) as opened:
        (camera,) = ps.orbit_cameras(opened.grid, 1, size=(int(width), int(height)))
        with ps.Renderer(opened, stream=ps.StreamOptions(precision=precision)) as renderer:
            np.save(out, picture_of(renderer.render(camera)))


def _draw(request: Request) -> Iterator[Drawn]:
    expected = np.load(request.reference)
    with ps.open_scene(request.scene) as opened, _noted() as (composed, transfers):
        cameras = ps.orbit_cameras(opened.grid, max(request.frames, 1), size=request.size)
        for way in request.ways:
            budget = _budget(opened, request, way, cameras[0])
            with _renderer(opened, request, budget) as renderer:
                began = time.perf_counter()
                plan: RenderPlan = renderer.plan(cameras[0])
                picture = renderer.render(cameras[0])
                first_seconds = time.perf_counter() - began
                again = _timed(renderer, [cameras[0]] * request.frames, composed)
                busy = _busy(renderer, cameras[0]) if request.frames and not way.streams else None
                transfers.clear()
                orbit = _timed(renderer, cameras[: request.frames], composed)
            off = np.abs(picture_of(picture) - expected).max(-1)
            yield Drawn(
                way=way.name,
                planned_bytes=plan.planned_device_bytes,
                allowed_bytes=plan.allowed_device_bytes,
                peak_bytes=_peak_bytes(),
                n_slots=plan.n_slots,
                bricks_visible=plan.bricks_visible,
                waves=plan.waves,
                first_seconds=first_seconds,
                seconds=[frame.seconds for frame in again],
                device_seconds=[frame.device_seconds for frame in again],
                orbit_seconds=[frame.seconds for frame in orbit],
                orbit_uploaded=sum(frame.uploaded for frame in orbit),
                transfers=len(transfers) // max(len(orbit), 1),
                busy=busy,
                difference=float(off.max()),
                apart=float((off > TOLERANCE).mean()),
            )


@dataclass(frozen=True, slots=True)
class _Frame:
    seconds: float
    device_seconds: float
    uploaded: int


def _timed(
    renderer: ps.Renderer, cameras: Sequence[ps.Camera], composed: list[float]
) -> list[_Frame]:
    frames: list[_Frame] = []
    began = time.perf_counter()
    for camera in cameras:
        start = time.perf_counter()
        if start - began > _TIMED_SECONDS and frames:
            break
        stats = renderer.render(camera).stats
        seconds = time.perf_counter() - start
        frames.append(_Frame(seconds, composed[-1] - start, stats.bytes_uploaded))
    return frames


@contextmanager
def _noted() -> Iterator[tuple[list[float], list[int]]]:
    """Notes the times at which colours were there, and the bytes of each transfer to the device."""
    import jax

    from plenostream.integrator.xla.programs import Program

    composed: list[float] = []
    transfers: list[int] = []
    run: Callable[..., Any] = Program.__call__
    put: Callable[..., Any] = jax.device_put

    def run_and_note(self: Program, *args: Any) -> Any:
        result = run(self, *args)
        if self.name.startswith("compose"):
            jax.block_until_ready(result)
            composed.append(time.perf_counter())
        return result

    def put_and_note(values: Any, *args: Any) -> Any:
        transfers.extend(leaf.nbytes for leaf in jax.tree.leaves(values))
        return put(values, *args)

    try:
        Program.__call__, jax.device_put = run_and_note, put_and_note
        yield composed, transfers
    finally:
        Program.__call__, jax.device_put = run, put


def _renderer(opened: Any, request: Request, budget: int | None) -> Any:
    stream = ps.StreamOptions(
        precision=request.precision, backend=request.backend, device_memory=budget
    )
    return ps.Renderer(opened, stream=stream)


def _budget(opened: Any, request: Request, way: Way, camera: ps.Camera) -> int | None:
    if not way.streams:
        return None
    with _renderer(opened, request, None) as renderer:
        plan: RenderPlan = renderer.plan(camera)
    pool = sum(n for item, n in plan.device_items.items() if item.startswith("pool"))
    beside = plan.planned_device_bytes - pool
    streamed = beside + plan.working_set_bytes // way.share if way.share else 0
    return max(plan.smallest_budget_bytes, way.device_bytes, streamed)


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


def _main(arguments: list[str]) -> None:
    if len(arguments) > 1:
        _reference(*arguments)
        return
    asked = json.loads(arguments[0])
    asked["ways"] = [Way(**way) for way in asked["ways"]]
    for drawn in _draw(Request(**{**asked, "size": tuple(asked["size"])})):
        print(json.dumps(asdict(drawn)), flush=True)


if __name__ == "__main__":
    _main(sys.argv[1:])
