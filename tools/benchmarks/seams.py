"""What level auto does where levels meet, and what changes from one picture of an approach to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.mixed import MixedLevels
from benchmarks.table import Row
from benchmarks.timing import Say
from benchmarks.views import moved
from plenostream.cameras import Camera
from plenostream.engine.footprint import level_reach
from plenostream.format.opening import open_level
from plenostream.options import RenderOptions, StreamOptions
from plenostream.renderer import Renderer
from plenostream.scene import Scene, open_scene

__all__ = ["Approach", "Seam", "measure_seams", "seam_rows"]

_DISTANCES = (1.0, 2.0, 4.0)
"""From the middle of the grid, in those of the view."""
_FRAMES = 25
_SHORTER = 0.99
"""Distance of a picture of an approach to that of the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seam:
    """Rays that take samples beside faces between levels."""

    rays: int
    share: float
    """Of all rays."""
    own: float
    """Root of the mean squared difference of channels from the exact picture, with the finer level's own
    voxels on the face."""
    coarser: float
    """The same with the coarser level's values there."""
    changed: float
    """Between the two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approach:
    """Pictures one after another: roots of mean squared differences of channels."""

    exact: float
    """From an exact picture to the next, on average."""
    exact_most: float
    """The most."""
    auto: float
    """From a picture of level auto to the next, on average."""
    auto_most: float
    """The most."""
    apart: float
    """Between what changes in the exact picture and in that of level auto, on average."""


def measure_seams(
    place: str, camera: Camera, *, options: RenderOptions, stream: StreamOptions, say: Say
) -> dict[str, Seam | Approach]:
    """Both from several distances; a view that one level is drawn for has no seam."""
    found: dict[str, Seam | Approach] = {}
    with open_scene(place) as scene:
        stores = [open_level(scene.store, level) for level in range(len(scene.meta.levels) + 1)]
        mixed = MixedLevels(stores)
        for distance in _DISTANCES:
            name = f"{distance:g} times as far"
            view = moved(camera, scene.grid, distance)
            reach = level_reach(view, scene.grid, len(stores) - 1, options.pixel_footprint)
            say(f"seams: {name}")
            seam = _seam(mixed, view, scene.grid.world_to_grid(view.eye_world), reach)
            if seam is not None:
                found[f"seams, {name}"] = seam
            say(f"popping: {name}")
            found[f"popping, {name}"] = _approach(scene, view, options, stream)
    return found


def _seam(
    mixed: MixedLevels, view: Camera, eye: NDArray[np.float64], reach: NDArray[np.float64]
) -> Seam | None:
    cut = mixed.cut(eye, reach)
    origins, dirs, seen = view.rays()
    origins, dirs = origins[seen], dirs[seen]
    dirs /= np.linalg.norm(dirs, axis=1, keepdims=True)
    own = mixed.see(origins, dirs, cut, coarser=False)
    which = np.flatnonzero(own.meets)
    if not len(which):
        return None
    coarser = mixed.see(origins[which], dirs[which], cut, coarser=True).rgb
    exact = mixed.see(origins[which], dirs[which], np.zeros_like(cut), coarser=False).rgb
    return Seam(
        rays=len(which),
        share=len(which) / len(origins),
        own=_rms(own.rgb[which] - exact),
        coarser=_rms(coarser - exact),
        changed=_rms(coarser - own.rgb[which]),
    )


def _approach(
    scene: Scene, view: Camera, options: RenderOptions, stream: StreamOptions
) -> Approach:
    with (
        Renderer(scene, options=replace(options, level=0), stream=stream) as exact,
        Renderer(scene, options=replace(options, level="auto"), stream=stream) as auto,
    ):
        pairs = []
        for number in range(_FRAMES):
            at = moved(view, scene.grid, _SHORTER**number)
            pairs.append((exact.render(at).rgb, auto.render(at).rgb))
    exact_steps = [_rms(after - before) for (before, _), (after, _) in pairwise(pairs)]
    auto_steps = [_rms(after - before) for (_, before), (_, after) in pairwise(pairs)]
    apart = [_rms((f - c) - (e - b)) for (b, c), (e, f) in pairwise(pairs)]
    return Approach(
        exact=float(np.mean(exact_steps)),
        exact_most=max(exact_steps),
        auto=float(np.mean(auto_steps)),
        auto_most=max(auto_steps),
        apart=float(np.mean(apart)),
    )


def _rms(values: NDArray[Any]) -> float:
    return float(np.sqrt(np.square(values, dtype=np.float64).mean()))


def seam_rows(found: Mapping[str, Seam | Approach]) -> Iterator[Row]:
    """The figures, by distance."""
    for name, part in found.items():
        for label, value in asdict(part).items():
            shown = f"{value:,}" if isinstance(value, int) else f"{value:.5f}"
            yield Row(name, label, shown)
