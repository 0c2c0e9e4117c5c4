"""Arbitrary rays: those of a picture's pixels, in no order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isqrt

import numpy as np

from benchmarks.frames import Rivals
from benchmarks.table import Row, both_ratios, spread
from benchmarks.timing import Contestant, Say, Timing, take_turns
from plenostream.cameras import Camera
from plenostream.options import RenderOptions, StreamOptions
from plenostream.renderer import Renderer
from plenostream.scene import Scene
from plenostream.testing.pictures import rays_of

__all__ = ["RayFigures", "measure_rays", "ray_rows", "square_view"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RayFigures:
    """What many rays took."""

    n: int
    timing: Timing
    rivals: dict[str, Timing]
    """Others that drew as many pixels of the same view, in turns with it."""


def square_view(camera: Camera, n: int) -> Camera:
    """The view in a square picture of `n` pixels or a few less."""
    edge = isqrt(n)
    scale = edge / min(camera.width, camera.height)
    return replace(
        camera,
        fx=camera.fx * scale,
        fy=camera.fy * scale,
        cx=edge / 2,
        cy=edge / 2,
        width=edge,
        height=edge,
    )


def measure_rays(
    scene: Scene,
    view: Camera,
    *,
    options: RenderOptions,
    stream: StreamOptions,
    rivals: Rivals,
    rounds: int,
    say: Say,
) -> RayFigures:
    """Send the rays of all pixels of `view` into the scene, in random order.

    `rivals` are asked for those of the line "rays".
    """
    origins, directions = rays_of(view)
    order = np.random.default_rng(0).permutation(len(origins))
    origins, directions = origins[order], directions[order]
    with Renderer(scene, options=options, stream=stream) as renderer:
        name = "arbitrary rays"
        contestants: dict[str, Contestant] = {
            **rivals("rays", stream),
            name: lambda: renderer.render_rays(origins, directions).stats.seconds,
        }
        times = take_turns(contestants, rounds=rounds, say=lambda what: say(f"rays: {what}"))
    own = times.pop(name)
    return RayFigures(n=len(origins), timing=own, rivals=times)


def ray_rows(found: RayFigures | None) -> Iterator[Row]:
    """The figures."""
    if found is None:
        return
    section = "arbitrary rays, in no order"
    yield Row(section, f"{found.n:,} rays", spread(found.timing))
    for name, timing in found.rivals.items():
        yield Row(section, f"{name}, as many pixels", spread(timing))
        yield Row(section, f"  rays / {name}", both_ratios(found.timing, timing))
