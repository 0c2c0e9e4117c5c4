"""The command behind `tools/soak`: mixed use of one renderer for a long time, its memory watched."""

from __future__ import annotations

import argparse
import csv
import gc
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import psutil

from plenostream.errors import PlenostreamError
from plenostream.integrator.xla.environment import prepare_jax

__all__ = ["Sample", "flatness", "main"]

_SIZES = ((320, 240), (200, 200), (401, 223), (64, 48))
_ORBIT = 48
_GROWTH_SHARE, _GROWTH_BYTES = 0.02, 8_000_000
"""Growth of the resident size after settling that still counts as flat: what is larger of the two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the process held at one moment."""

    minute: float
    """Since the first picture was begun."""
    rss_bytes: int
    """Resident size: the smallest of those that were seen in this time, between two pictures."""
    objects: int
    """Python objects that the garbage collector follows."""
    threads: int
    fds: int
    """Open files."""
    frames: int
    """Pictures, and lots of rays, that were drawn so far."""
    verified: int
    """Times that the scene was verified so far."""


def flatness(samples: list[Sample], *, settle_minutes: float) -> tuple[bool, list[str]]:
    """Whether memory stayed flat after `settle_minutes`, and what to say about it.

    The resident size is flat when neither the straight line through the samples nor the mean of
    the last quarter rises beyond the bound: a single large sample decides nothing, and a step late
    in the run is still seen.
    """
    after = [s for s in samples if s.minute >= settle_minutes]
    if len(after) < 4:
        return False, ["too short to say anything: give it more --minutes, or less --every"]
    minutes = np.array([s.minute for s in after])
    sizes = np.array([s.rss_bytes for s in after], np.float64)
    span, quarter = float(minutes[-1] - minutes[0]), max(1, len(after) // 4)
    slope = float(np.polyfit(minutes - minutes.mean(), sizes, 1)[0])
    line, step = slope * span, float(sizes[-quarter:].mean() - sizes[:quarter].mean())
    bound = max(_GROWTH_SHARE * float(sizes[0]), _GROWTH_BYTES)
    told = [
        f"resident size after {after[0].minute:.1f} min: {sizes[0] / 1e6:.1f} MB; in "
        f"{span:.1f} min more its line rises by {line / 1e6:+.1f} MB, its last quarter stands "
        f"{step / 1e6:+.1f} MB above its first (flat: both below {bound / 1e6:.1f} MB)"
    ]
    flat = max(line, step) <= bound
    for name in ("threads", "fds"):
        first, last = getattr(after[0], name), getattr(after[-1], name)
        if last > first:
            flat = False
            told.append(f"{name} grew from {first} to {last}")
    return flat, told


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/soak",
        description="Use one renderer of SCENE for a long time, in turn for: an orbit through a "
        "pool that holds a part of the scene, pictures of other sizes, arbitrary rays, a second "
        "renderer that is opened and closed, and verify. Prints a line a minute: resident size, "
        "Python objects, threads, open files, pictures drawn.",
        epilog="The first minutes fill caches and compile. After them memory is flat when neither "
        "the straight line through the resident sizes nor the mean of their last quarter rises by "
        "more than 2 % or 8 MB, the larger of them, and threads and open files end no higher than "
        "they began; otherwise the exit code is 1.",
    )
    parser.add_argument("scene", type=Path, metavar="SCENE", help="a scene, as `convert` makes it")
    parser.add_argument("--minutes", type=float, default=30.0, help="(default: %(default)g)")
    parser.add_argument(
        "--settle",
        type=float,
        default=5.0,
        metavar="MINUTES",
        help="that count for nothing; a third of all at most (default: %(default)g)",
    )
    parser.add_argument(
        "--every", type=float, default=60.0, metavar="SECONDS", help="a line (default: %(default)g)"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the curve as CSV")
    parser.add_argument("--threads", type=int, help="of the renderer (default: one a core)")
    arguments = parser.parse_args()
    for name in ("minutes", "every"):
        if not 0 < getattr(arguments, name) < math.inf:
            parser.error(f"--{name} must be above zero")
    return arguments


def main() -> int:
    """Run it; 0 if memory stayed flat, 1 if it grew or something could not be drawn."""
    arguments = _arguments()
    prepare_jax()
    settle = min(arguments.settle, arguments.minutes / 3)
    samples: list[Sample] = []
    try:
        for sample in _soak(arguments):
            samples.append(sample)
            print(
                f"{sample.minute:6.1f} min  {sample.rss_bytes / 1e6:8.1f} MB  "
                f"{sample.objects:8} objects  {sample.threads:3} threads  {sample.fds:3} files  "
                f"{sample.frames:6} drawn  {sample.verified:4} verified",
                flush=True,
            )
            if arguments.csv is not None:
                _write(arguments.csv, samples)
    except PlenostreamError as error:
        print(f"soak: error: {error}", file=sys.stderr)
        return 1
    flat, told = flatness(samples, settle_minutes=settle)
    print("\n".join(told))
    return 0 if flat else 1


def _write(path: Path, samples: list[Sample]) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Sample)])
        writer.writeheader()
        writer.writerows(map(asdict, samples))
    part.replace(path)


def _soak(arguments: argparse.Namespace) -> Iterator[Sample]:
    process = psutil.Process()
    began = time.monotonic()
    spans = math.ceil(60 * arguments.minutes / arguments.every)
    counts = {"frames": 0, "verified": 0}
    smallest, span = math.inf, 1
    for count in _mixed_use(arguments):
        counts[count] += 1
        # The smallest between two pictures: what is held, without what is only being used.
        smallest = min(smallest, process.memory_info().rss)
        elapsed = time.monotonic() - began
        if elapsed < span * arguments.every:
            continue
        gc.collect()
        yield Sample(
            minute=round(elapsed / 60, 3),
            rss_bytes=int(min(smallest, process.memory_info().rss)),
            objects=len(gc.get_objects()),
            threads=threading.active_count(),
            fds=len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0,
            frames=counts["frames"],
            verified=counts["verified"],
        )
        span = int(elapsed // arguments.every) + 1
        smallest = math.inf
        if span > spans:
            return


def _mixed_use(arguments: argparse.Namespace) -> Iterator[str]:
    """Use without end; what was done, each time."""
    # Late: JAX reads the environment when it is imported.
    import plenostream as ps

    with ps.open_scene(arguments.scene) as scene:
        radius = max(scene.grid.radius)
        center = tuple(scene.grid.center)
        cameras = ps.orbit_cameras(scene.grid, _ORBIT, size=_SIZES[0])
        stream = _small_pool(scene, cameras, arguments.threads)
        rng = np.random.default_rng(1)
        with ps.Renderer(scene, stream=stream) as renderer:
            while True:
                for number, camera in enumerate(cameras):
                    renderer.render(camera)
                    yield "frames"
                    if number % 6 == 0:
                        renderer.render(camera.resized(*_SIZES[1 + number // 6 % 3]))
                        yield "frames"
                    if number % 8 == 3:
                        n = int(rng.integers(100, 4000))
                        ways = rng.normal(size=(n, 3))
                        renderer.render_rays(np.array(center) - 2 * radius * ways, ways)
                        yield "frames"
                    if number % 16 == 9:
                        with ps.Renderer(scene, stream=stream) as other:
                            other.render(camera)
                            yield "frames"
                    if number % 16 == 5:
                        report = ps.verify(arguments.scene)
                        if not report.ok:
                            raise ps.StoreError(report.faults[0].message)
                        yield "verified"


def _small_pool(scene: object, cameras: list, threads: int | None) -> object:
    """A budget in which bricks have to leave the pool: a quarter more than the smallest."""
    import plenostream as ps

    with ps.Renderer(scene, stream=ps.StreamOptions(n_threads=threads)) as renderer:
        least: Callable[[object], int] = lambda c: renderer.plan(c).smallest_budget_bytes  # noqa: E731
        smallest = max(map(least, cameras))
    return ps.StreamOptions(n_threads=threads, device_memory=smallest * 5 // 4, host_memory="200MB")


if __name__ == "__main__":
    sys.exit(main())
