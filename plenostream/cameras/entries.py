"""One camera from one entry of a camera file, every value checked before it is used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras.pinhole import Camera
from plenostream.cameras.placement import DEFAULT_SIZE
from plenostream.errors import CameraError

__all__ = ["camera_of_frame", "camera_of_view", "is_number"]

_LENS_TERMS = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")
_PINHOLE_MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE")
"""nerfstudio's names of lens models that are a plain pinhole once all lens terms are zero."""


def camera_of_view(view: Mapping[str, Any], scale: float) -> Camera:
    """The camera of an entry of `views`, its position multiplied by `scale`.

    Raises
    ------
    CameraError : a value that is missing or cannot be; names it.
    """
    c2w = _pose(view, "c2w")
    c2w[:3, 3] *= scale
    keys = ("fx", "fy", "cx", "cy")
    intrinsics = {key: _number(view, key) for key in keys}
    return Camera(
        c2w=c2w, **intrinsics, width=_pixels(view, "width"), height=_pixels(view, "height")
    )


def camera_of_frame(
    values: Mapping[str, Any], scale: float, fallback_size: tuple[int, int] | None
) -> Camera:
    """The camera of an entry of `frames`, its position multiplied by `scale`.

    Parameters
    ----------
    values : the entry's values over those of the file
    fallback_size : width and height in pixels of the file's pictures, where that is known

    Raises
    ------
    CameraError : a lens that is no pinhole, a value that is missing or cannot be; names it.
    """
    _refuse_lenses(values)
    c2w = _pose(values, "transform_matrix")
    c2w[:3, 1:3] *= -1
    c2w[:3, 3] *= scale
    if "w" in values or "h" in values:
        width, height = _pixels(values, "w"), _pixels(values, "h")
    elif fallback_size is not None:
        width, height = fallback_size
    elif "fl_x" in values:
        raise CameraError(
            "there is `fl_x` in pixels, but neither `w` and `h` nor a picture that says of how many"
        )
    else:
        width, height = DEFAULT_SIZE
    fx = _focal(values, "x", width)
    if fx is None:
        raise CameraError("there is neither `fl_x` nor `camera_angle_x`")
    fy = _focal(values, "y", height)
    return Camera(
        c2w=c2w,
        fx=fx,
        fy=fx if fy is None else fy,
        cx=_number(values, "cx") if "cx" in values else width / 2,
        cy=_number(values, "cy") if "cy" in values else height / 2,
        width=width,
        height=height,
    )


def _focal(values: Mapping[str, Any], axis: str, edge: int) -> float | None:
    """Focal length in pixels along an axis, from itself or from the angle of view."""
    if f"fl_{axis}" in values:
        return _number(values, f"fl_{axis}")
    key = f"camera_angle_{axis}"
    if key not in values:
        return None
    angle = _number(values, key)
    if not 0 < angle < math.pi:
        raise CameraError(f"{key} is {angle}; expected an angle of 0 to pi (radians)")
    return 0.5 * edge / math.tan(0.5 * angle)


def _refuse_lenses(values: Mapping[str, Any]) -> None:
    model = values.get("camera_model", "PINHOLE")
    if model not in _PINHOLE_MODELS:
        raise CameraError(
            f"the lens model is {str(model)[:100]!r}; only pinhole cameras can be rendered "
            f"({', '.join(_PINHOLE_MODELS)}). Undistort the pictures and cameras first."
        )
    if values.get("is_fisheye"):
        raise CameraError("`is_fisheye` is set; only pinhole cameras can be rendered")
    for term in _LENS_TERMS:
        if term in values and (value := _number(values, term)) != 0:
            raise CameraError(
                f"the lens has distortion ({term} = {value:g}); only pinhole cameras can be "
                "rendered. Undistort the pictures and cameras first."
            )


def _pose(values: Mapping[str, Any], key: str) -> NDArray[np.float64]:
    """A copy of the matrix `key`, [4, 4] or [3, 4] where sound; the rest is `Camera`'s to check."""
    rows = values.get(key)
    if rows is None:
        raise CameraError(f"there is no `{key}`")
    shaped = isinstance(rows, list) and all(isinstance(row, list) for row in rows)
    if not shaped or [len(row) for row in rows] not in ([4] * 4, [4] * 3):
        raise CameraError(f"`{key}` is not a table of 4x4 or 3x4 numbers")
    for row in rows:
        for value in row:
            if not is_number(value):
                raise CameraError(f"`{key}` holds {str(value)[:100]!r}; expected numbers")
    try:
        return np.array(rows, np.float64)
    except OverflowError as error:
        raise CameraError(f"`{key}` holds a number too large") from error


def _number(values: Mapping[str, Any], key: str) -> float:
    if key not in values:
        raise CameraError(f"there is no `{key}`")
    value = values[key]
    if not is_number(value):
        raise CameraError(f"`{key}` is {str(value)[:100]!r}; expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise CameraError(f"`{key}` is {number}; expected a finite number")
    return number


def _pixels(values: Mapping[str, Any], key: str) -> int:
    """Whole number of pixels; 800.0 is one."""
    number = _number(values, key)
    if number != int(number):
        raise CameraError(f"`{key}` is {number}; expected a whole number of pixels")
    return int(number)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a JSON value is a number (a truth value is none)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
