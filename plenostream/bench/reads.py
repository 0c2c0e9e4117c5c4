"""What views from far, near and through a long lens read, and what is found hidden and left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plenostream.bench.timing import Say
from plenostream.cameras import Camera
from plenostream.field.grid import GridSpec
from plenostream.options import RenderOptions, StreamOptions
from plenostream.renderer import Renderer
from plenostream.results import FrameStats
from plenostream.scene import Scene

__all__ = ["ViewReads", "measure_reads", "other_views"]

_FAR, _NEAR, _ZOOM = 2.0, 0.45, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewReads:
    """One view, drawn from an empty pool and an empty host cache."""

    stats: FrameStats

    @property
    def hidden_share(self) -> float:
        """Bricks in view that were not read because nothing of them could be seen."""
        return self.stats.bricks_culled / max(self.stats.bricks_visible, 1)

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {"hidden_share": self.hidden_share, "stats": self.stats.to_dict()}


def other_views(camera: Camera, grid: GridSpec) -> dict[str, Camera]:
    """The view itself and three others along its line of sight, by name."""
    return {
        "as given": camera,
        "far": _moved(camera, grid, _FAR),
        "near": _moved(camera, grid, _NEAR),
        "zoomed": replace(camera, fx=camera.fx * _ZOOM, fy=camera.fy * _ZOOM),
    }


def _moved(camera: Camera, grid: GridSpec, factor: float) -> Camera:
    """The camera at `factor` times its distance from the middle of the grid."""
    pose = camera.c2w.copy()
    middle = np.asarray(grid.center, np.float64)
    pose[:, 3] = middle + factor * (pose[:, 3] - middle)
    return replace(camera, c2w=pose)


def measure_reads(
    scene: Scene, camera: Camera, *, options: RenderOptions, stream: StreamOptions, say: Say
) -> dict[str, ViewReads]:
    """Draw each of `other_views` with a new renderer.

    Nothing is hidden from a pool that holds everything: it is filled in one wave, and what is
    hidden is known only once waves have been drawn. So `stream` should allow a small pool.
    """
    found = {}
    for name, view in other_views(camera, scene.grid).items():
        say(f"reads: {name}")
        with Renderer(scene, options=options, stream=stream) as renderer:
            found[name] = ViewReads(stats=renderer.render(view).stats)
    return found
