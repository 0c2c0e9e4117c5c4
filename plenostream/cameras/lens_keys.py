"""Lenses: only pinholes are drawn, and every key that says something else is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plenostream.cameras.values import is_number
from plenostream.errors import CameraError, shown

__all__ = ["LENS_KEYS", "refuse_lenses"]

_MODELS = frozenset({"camera_model", "camera_type", "lens_model"})
_PINHOLES = ("OPENCV", "PERSPECTIVE", "PINHOLE", "SIMPLE_PINHOLE")
"""Names of models that are a plain pinhole once all lens terms are zero; in any case of letters."""

_FLAGS = frozenset(
    {
        *("is_fisheye", "fisheye", "latlong", "equirectangular", "orthographic"),
        # Pictures whose rays come from a file, and poses with other axes (instant-ngp).
        *("enable_ray_loading", "from_mitsuba"),
    }
)
"""Keys whose value says whether there is such a lens."""

_TERMS = frozenset(
    {
        *(f"k{i}" for i in range(1, 9)),
        *(f"p{i}" for i in range(1, 5)),
        *(f"s{i}" for i in range(1, 5)),
        *("b1", "b2", "skew", "sk_x", "sk_y", "omega", "rolling_shutter"),
        *("distortion", "distortion_params", "distortion_coefficients"),
    }
)
"""Keys whose value is a number, or list of numbers, that is zero for a pinhole."""

LENS_KEYS = _MODELS | _FLAGS | _TERMS

_ONLY = "only pinhole cameras can be rendered"


def refuse_lenses(values: Mapping[str, Any]) -> None:
    """Refuse a lens that is no pinhole; a value that proves that it is one passes.

    Raises
    ------
    CameraError : names the key and its value.
    """
    for key in values:
        value = values[key]
        if key in _MODELS and not (isinstance(value, str) and value.upper() in _PINHOLES):
            raise CameraError(
                f"the lens model (`{key}`) is {shown(value)}; {_ONLY} "
                f"({', '.join(_PINHOLES)}). Undistort the pictures and cameras first."
            )
        if key in _FLAGS and value is not False and not _is_zero(value):
            raise CameraError(f"`{key}` is {shown(value)}; {_ONLY}, for which it is false")
        if key in _TERMS:
            numbers = value if isinstance(value, list) else [value]
            if not all(_is_zero(number) for number in numbers):
                raise CameraError(
                    f"the lens has distortion ({key} = {shown(value)}); {_ONLY}, for which it is "
                    "zero. Undistort the pictures and cameras first."
                )


def _is_zero(value: object) -> bool:
    return is_number(value) and value == 0
