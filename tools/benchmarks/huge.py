"""What a scene of 10^9 voxels and more costs, beside one that has no bricks but those that are seen."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from benchmarks.apart import apart, peak_resident_bytes, resident_bytes
from benchmarks.copies import copy_scene
from benchmarks.table import Row, both_ratios, spread
from benchmarks.tiling import copy_offset
from benchmarks.timing import Say, Timing
from plenostream.cameras import Camera, look_at_camera
from plenostream.engine.scene_sessions import SceneSessions
from plenostream.engine.sight import camera_view
from plenostream.options import RenderOptions, StreamOptions
from plenostream.renderer import Renderer
from plenostream.rules.bytesize import format_bytes
from plenostream.scene import open_scene
from plenostream.testing.few_bricks import write_few_bricks

__all__ = ["HugeFigures", "huge_rows", "measure_huge"]

_AWAY = 2.2
"""Of the near view, from the middle of a copy: in radii of one."""
_FAR = 8.0
"""Of the far view, from the middle of all copies: in radii of the whole."""
_ASIDE = np.array([1.0, 0.7, 0.8]) / np.linalg.norm([1.0, 0.7, 0.8])
"""Where the far view is drawn from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A process that opened a scene and drew a picture."""

    opening_s: float
    opening_cpu_s: float
    first_s: float
    """Opening, planning and the first picture."""
    first_cpu_s: float
    again_s: float
    """The same picture once more."""
    again_cpu_s: float
    opened_bytes: int
    """Growth of the process when the scene was open."""
    planned_bytes: int
    """Growth when the picture was planned, at its peak."""
    grown_bytes: int
    """Growth in all, at its peak: what was allowed on the device lies there too, on a CPU."""
    device_bytes: int
    """Allowed on the device, as far as it was planned."""
    host_bytes: int
    """What was planned for the host."""
    bricks: int
    """In view."""
    bytes_read: int
    digest: str
    """Of the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HugeFigures:
    """Everything that is measured."""

    n_voxels: int
    n_bricks: int
    grid_size: tuple[int, int, int]
    near: tuple[Drawn, ...]
    """The view of a copy, in turns with the same of a scene that has those bricks alone."""
    alone: tuple[Drawn, ...]
    far: Drawn | None
    """All copies, with level auto; None: the scene has no levels."""

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return asdict(self)


def _draw(place: str, camera: Camera, options: RenderOptions, stream: StreamOptions) -> Drawn:
    began, cpu, size = time.perf_counter(), time.process_time(), resident_bytes()
    with open_scene(place) as scene:
        opened = time.perf_counter() - began, time.process_time() - cpu, resident_bytes() - size
        with Renderer(scene, options=options, stream=stream) as renderer:
            plan = renderer.plan(camera)
            planned = peak_resident_bytes() - size
            picture = renderer.render(camera)
            first = time.perf_counter() - began, time.process_time() - cpu
            renderer.render(camera)
            whole = time.perf_counter() - began, time.process_time() - cpu
    return Drawn(
        opening_s=opened[0],
        opening_cpu_s=opened[1],
        first_s=first[0],
        first_cpu_s=first[1],
        again_s=whole[0] - first[0],
        again_cpu_s=whole[1] - first[1],
        opened_bytes=opened[2],
        planned_bytes=planned,
        grown_bytes=peak_resident_bytes() - size,
        device_bytes=sum(plan.device_items.values()),
        host_bytes=sum(plan.host_items.values()),
        bricks=plan.bricks_visible,
        bytes_read=picture.stats.bytes_read,
        digest=xxhash.xxh3_64_hexdigest(picture.rgb.tobytes()),
    )


def measure_huge(
    source: str,
    folder: Path,
    *,
    copies: int,
    size: tuple[int, int],
    options: RenderOptions,
    stream: StreamOptions,
    rounds: int,
    say: Say,
) -> HugeFigures:
    """Copy the scene `source` in the empty `folder`, which is removed in the end, and measure.

    Each picture is drawn in a process of its own.
    """
    many, few = folder / "many.zarr", folder / "few.zarr"
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        meta = copy_scene(Path(source), many, copies=copies, say=say)
        with open_scene(source) as one:
            middle = np.array(one.grid.center)
            radius = np.array(one.grid.radius)
        # From the copy at a corner outwards, so that little else is in view.
        last = middle + copy_offset(one.grid.radius, copies, (copies - 1,) * 3)
        outwards = radius * _AWAY / np.sqrt(3.0)
        near = look_at_camera(last - outwards, last, size=size)
        say("writing the bricks that are seen")
        _write_seen(many, few, near, options, stream)
        found: dict[Path, list[Drawn]] = {many: [], few: []}
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for place in (many, few)[:: -1 if number % 2 else 1]:
                found[place].append(apart({}, _draw, str(place), near, options, stream))
        far = None
        if meta.levels:
            say("all copies from far away")
            eye = middle + _ASIDE * _FAR * float(np.linalg.norm(radius * copies)) / np.sqrt(3.0)
            view = look_at_camera(eye, middle, size=size)
            auto = replace(options, level="auto")
            far = apart({}, _draw, str(many), view, auto, stream)
        return HugeFigures(
            n_voxels=meta.n_voxels,
            n_bricks=meta.n_bricks,
            grid_size=meta.grid.size,
            near=tuple(found[many]),
            alone=tuple(found[few]),
            far=far,
        )


def _write_seen(
    many: Path, few: Path, camera: Camera, options: RenderOptions, stream: StreamOptions
) -> None:
    with open_scene(str(many)) as scene:
        sessions = SceneSessions(scene.store, options, stream)
        session = sessions.seeing(camera)
        meta, index = session.store.meta, session.store.tables.index
        view = camera_view(
            session.table, index, meta.grid, meta.bricks, camera, top=0, bottom=camera.height
        )
        write_few_bricks(few, session.store, np.sort(view.bricks))
        sessions.close()


def huge_rows(found: HugeFigures) -> Iterator[Row]:
    """The figures for people."""
    many, few = found.near, found.alone
    yield Row("scene", "voxels", f"{found.n_voxels:,}")
    yield Row("scene", "grid", " x ".join(map(str, found.grid_size)))
    yield Row("scene", "bricks", f"{found.n_bricks:,}")
    yield Row("scene", "opening it", spread(_timing(many, "opening")))
    grown = max(one.opened_bytes for one in many)
    yield Row("scene", "memory when it is open", format_bytes(grown))
    same = len({one.digest for one in (*many, *few)}) == 1
    yield Row("a copy", "bricks in view", str(many[0].bricks))
    yield Row("a copy", "same picture as of these alone", "yes" if same else "NO")
    for name, kind in (("first picture", "first"), ("second", "again")):
        yield Row("a copy", name, spread(_timing(many, kind)))
        ratios = both_ratios(_timing(many, kind), _timing(few, kind))
        yield Row("a copy", f"{name} / of these alone", ratios)
    yield from _memory_rows("a copy", max(many, key=lambda one: one.grown_bytes))
    if found.far is not None:
        yield Row("all copies", "bricks in view", str(found.far.bricks))
        yield Row("all copies", "first picture", f"{found.far.first_s:.3g} s")
        yield Row("all copies", "in CPU time", f"{found.far.first_cpu_s:.3g} s")
        yield Row("all copies", "read", format_bytes(found.far.bytes_read))
        yield from _memory_rows("all copies", found.far)


def _memory_rows(section: str, one: Drawn) -> Iterator[Row]:
    yield Row(section, "memory when it is planned", format_bytes(one.planned_bytes))
    yield Row(section, "memory at its peak", format_bytes(one.grown_bytes))
    planned = f"{format_bytes(one.device_bytes)}, {format_bytes(one.host_bytes)}"
    yield Row(section, "planned, device and host", planned)


def _timing(runs: tuple[Drawn, ...], kind: str) -> Timing:
    return Timing(
        seconds=tuple(getattr(one, f"{kind}_s") for one in runs),
        cpu_seconds=tuple(getattr(one, f"{kind}_cpu_s") for one in runs),
    )
