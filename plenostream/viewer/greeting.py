"""What a browser is told of a scene when it comes in. No path of the machine is in it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera, orbit_cameras
from plenostream.cameras.lenses import Pinhole
from plenostream.format.contents import world_bounds
from plenostream.renderer import Renderer
from plenostream.scene import Scene
from plenostream.viewer.messages import OUTPUTS, pinhole

__all__ = ["drawn_corners", "greeting"]

_FOV_DEGREES = 45.0
_LEAST_UP = 0.1
"""Of the mean of unit vectors: where it is less, the cameras do not agree on what is up."""
_SIZE = (800, 800)
"""Of the first picture; the browser's own follows at once."""


def drawn_corners(scene: Scene) -> NDArray[np.float64]:
    """Corners [2, 3] (world) of what is drawn."""
    bounds = world_bounds(scene.store)
    return np.asarray(bounds["drawn"] or bounds["volume"], np.float64)


def greeting(
    name: str,
    scene: Scene,
    renderer: Renderer,
    cameras: list[Camera],
    corners: NDArray[np.float64],
) -> dict[str, Any]:
    """The same as JSON values; `corners` are those of what is drawn."""
    in_ndc = renderer.ndc.camera is not None
    first = cameras[0] if cameras else _first(scene, in_ndc=in_ndc)
    return {
        "kind": "scene",
        "name": name,
        "size": list(scene.grid.size),
        "corners": corners.tolist(),
        "in_ndc": in_ndc,
        "outputs": list(OUTPUTS),
        "background": list(renderer.options.background_rgb),
        "levels": ["auto", *range(len(scene.meta.levels) + 1)] if scene.meta.levels else [],
        "up": _up(cameras),
        "first": _told(first),
        "cameras": [_told(camera) for camera in cameras],
    }


def _told(camera: Camera) -> dict[str, Any]:
    return {
        "pose": camera.c2w.reshape(-1).tolist(),
        "fov": math.degrees(2 * math.atan(0.5 * camera.width / camera.fx)),
        "size": [camera.width, camera.height],
        "lens": "pinhole" if isinstance(camera.lens, Pinhole) else "other",
    }


def _first(scene: Scene, *, in_ndc: bool) -> Camera:
    """A camera that shows the whole scene, where it is known where that is."""
    if in_ndc:
        return pinhole(np.eye(3, 4), _FOV_DEGREES, _SIZE)
    return orbit_cameras(scene.grid, 1, fov_degrees=_FOV_DEGREES, size=_SIZE)[0]


def _up(cameras: list[Camera]) -> list[int]:
    """The axis that is up in the pictures of a data set; where there is none, +z, as in all of plenostream."""
    mean = -np.mean([camera.c2w[:, 1] for camera in cameras] or [np.zeros(3)], axis=0)
    axis = int(np.abs(mean).argmax())
    if abs(mean[axis]) < _LEAST_UP:
        return [0, 0, 1]
    return [int(np.sign(mean[axis])) if number == axis else 0 for number in range(3)]
