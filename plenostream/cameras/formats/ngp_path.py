"""instant-ngp's camera paths: keyframes, as its viewer writes them.

A keyframe has a rotation `R` (quaternion x, y, z, w), a position `T` and a vertical angle of view
`fov` in degrees, in instant-ngp's own world: positions p of the data set stand there at
``(0.33 p + 0.5)`` with the axes y, z, x in the place of x, y, z (0.33 and 0.5 are what a
`transforms.json` without `scale` and `offset` has); camera axes are OpenCV's. That is undone here,
so that views stand where those of the data set do. Source: instant-ngp, `camera_path.h`,
`nerf_loader.h`.

Keyframes are few; `--path FILE` draws the course through them. Pictures are sharp: a path
with an aperture, or with an effect, is refused, and so is a key that is not known.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from plenostream.cameras.camera import Camera
from plenostream.cameras.formats.placed import FileView, placed_views, refuse_bounds
from plenostream.cameras.placement import DEFAULT_SIZE
from plenostream.cameras.quaternions import rotation_of
from plenostream.cameras.similarity import Similarity
from plenostream.cameras.values import finite_number
from plenostream.cameras.views import Asked, CameraSet
from plenostream.errors import CameraError, shown
from plenostream.options import LARGEST_COORDINATE

__all__ = ["is_ngp_path", "read_ngp_path"]

_SCALE, _OFFSET = 0.33, 0.5
_TO_DATA_SET = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""Axes x, y, z of the data set from those of instant-ngp's world, which are y, z, x."""
_OF_THE_PATH = frozenset({"path", "time", "loop", "duration_seconds", "spline_order"})
_OF_A_KEYFRAME = frozenset({"R", "T", "fov", "slice", "scale", "timestamp", "glow_y_cutoff"})
_ZERO = ("aperture_size", "dof", "glow_mode")
"""Keys of what is not drawn: blur before and behind, and effects."""


def is_ngp_path(document: dict[str, Any]) -> bool:
    """Whether a JSON document is such a path."""
    return "path" in document


def read_ngp_path(path: Path, document: dict[str, Any], asked: Asked) -> CameraSet:
    """The keyframes of a document that was read from `path`.

    Raises
    ------
    CameraError : a keyframe without rotation, position or angle; names it.
    """
    asked.require_only_matrices_say("an instant-ngp camera path")
    refuse_bounds(asked, "an instant-ngp camera path")
    if unknown := document.keys() - _OF_THE_PATH:
        raise CameraError(f"{path}: the key {shown(min(unknown))} is not understood; remove it")
    keyframes = document["path"]
    if not isinstance(keyframes, list) or not keyframes:
        raise CameraError(f"{path}: `path` is not a list of at least one keyframe")
    width, height = asked.size or DEFAULT_SIZE
    views = []
    for number, keyframe in enumerate(keyframes):
        try:
            views.append(FileView(camera=_camera(keyframe, width, height)))
        except CameraError as error:
            raise CameraError(f"{path}: frame {number}: {error}") from error
    return CameraSet(
        found="instant-ngp camera path",
        views=placed_views(path, views, asked, Similarity.scaled(asked.scale or 1.0)),
    )


def _camera(keyframe: Any, width: int, height: int) -> Camera:
    if not isinstance(keyframe, dict):
        raise CameraError("it is no JSON object")
    for key, value in keyframe.items():
        if key in _ZERO and finite_number(value) == 0:
            continue
        if key not in _OF_A_KEYFRAME:
            what = "is not drawn (it must be 0)" if key in _ZERO else "is not understood; remove it"
            raise CameraError(f"{shown(key)} = {shown(value)} {what}")
    quaternion, position = _numbers(keyframe, "R", 4), _numbers(keyframe, "T", 3)
    length = math.hypot(*quaternion)
    if not 1e-6 < length < LARGEST_COORDINATE:
        raise CameraError(f"`R` is {shown(keyframe['R'])}; expected a quaternion x, y, z, w")
    fov = finite_number(keyframe.get("fov"))
    if fov is None or not 0 < fov < 180:
        raise CameraError(f"`fov` is {shown(keyframe.get('fov'))}; expected 0 to 180 degrees")
    focal = height / 2 / math.tan(math.radians(fov) / 2)
    eye = _TO_DATA_SET @ ((np.array(position) - _OFFSET) / _SCALE)
    rotation = _TO_DATA_SET @ rotation_of(np.array(quaternion))
    return Camera(
        c2w=np.column_stack([rotation, eye]),
        fx=focal,
        fy=focal,
        cx=width / 2,
        cy=height / 2,
        width=width,
        height=height,
    )


def _numbers(keyframe: dict[str, Any], key: str, count: int) -> list[float]:
    listed = keyframe.get(key)
    numbers = [finite_number(value) for value in listed] if isinstance(listed, list) else []
    found = [n for n in numbers if n is not None and abs(n) <= LARGEST_COORDINATE]
    if len(found) != count or len(numbers) != count:
        raise CameraError(f"`{key}` is {shown(listed)}; expected {count} numbers")
    return found
