"""The lens of an entry of a camera file: read where it is known, else refused by name.

=========================================== ======================== ===========================
said by                                     lens                     terms
=========================================== ======================== ===========================
nothing, PINHOLE, SIMPLE_PINHOLE            pinhole                  none
PERSPECTIVE, OPENCV, SIMPLE_RADIAL, RADIAL  radial and tangential    k1 to k3, p1, p2
FULL_OPENCV                                 radial and tangential    k1 to k6, p1, p2
`is_fisheye`, `fisheye`, FISHEYE,           fisheye                  k1 to k4
OPENCV_FISHEYE, SIMPLE_RADIAL_FISHEYE,
RADIAL_FISHEYE
`ftheta_p0`                                 f-theta                  `ftheta_p0` to `ftheta_p4`
`latlong`, `equirectangular`,               panorama                 none
EQUIRECTANGULAR
`orthographic`, ORTHOGRAPHIC                orthographic             none
=========================================== ======================== ===========================

Names stand in `camera_model`, `camera_type` or `lens_model`, in any case of letters. Terms of all
are also read from nerfstudio's `distortion_params` (k1 k2 k3 k4 p1 p2, or the four of a fisheye)
and OpenCV's `distortion_coefficients` (k1 k2 p1 p2 k3 k4 k5 k6, the first 4, 5 or 8).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plenostream.cameras.lenses import (
    Equirectangular,
    Fisheye,
    FTheta,
    Lens,
    Orthographic,
    Pinhole,
    RadialTangential,
)
from plenostream.cameras.values import finite_number, is_number
from plenostream.errors import CameraError, shown

__all__ = ["FULL_PANORAMA", "LENS_KEYS", "lens_of_entry"]

_MODELS = frozenset({"camera_model", "camera_type", "lens_model"})
_MODEL_OF = {
    **dict.fromkeys(("PINHOLE", "SIMPLE_PINHOLE"), "pinhole"),
    **dict.fromkeys(("PERSPECTIVE", "OPENCV", "SIMPLE_RADIAL", "RADIAL"), "radial"),
    "FULL_OPENCV": "rational",
    **dict.fromkeys(("FISHEYE", "OPENCV_FISHEYE"), "fisheye"),
    **dict.fromkeys(("SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE"), "fisheye"),
    "EQUIRECTANGULAR": "panorama",
    "ORTHOGRAPHIC": "orthographic",
}
FULL_PANORAMA = ("latlong", "equirectangular")
"""Flags of a whole panorama (instant-ngp), whatever its focal length and principal point."""
_FLAGS = {
    **dict.fromkeys(("is_fisheye", "fisheye"), "fisheye"),
    **dict.fromkeys(FULL_PANORAMA, "panorama"),
    "orthographic": "orthographic",
    # Pictures whose rays come from a file, and poses with other axes (instant-ngp).
    **dict.fromkeys(("enable_ray_loading", "from_mitsuba"), None),
}
"""Keys that are true or false, and the model they stand for; None: not read."""

_FTHETA = tuple(f"ftheta_p{i}" for i in range(5))
_READ = tuple(f"k{i}" for i in range(1, 7)) + ("p1", "p2")
_LISTS = {
    "distortion_params": {4: _READ[:4], 6: (*_READ[:4], "p1", "p2")},
    "distortion_coefficients": {
        n: ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")[:n] for n in (4, 5, 8)
    },
}
"""Lists of terms, by their length."""
_ZERO = frozenset(
    {
        *("k7", "k8", "p3", "p4", *(f"s{i}" for i in range(1, 5))),
        *("b1", "b2", "skew", "sk_x", "sk_y", "omega", "rolling_shutter", "distortion"),
    }
)
"""Keys whose value is a number, or list of numbers, that is zero for every lens that is read."""

LENS_KEYS = _MODELS | set(_FLAGS) | set(_FTHETA) | set(_READ) | set(_LISTS) | _ZERO

_TERMS_OF = {
    "radial": ("k1", "k2", "k3", "p1", "p2"),
    "rational": _READ,
    "fisheye": _READ[:4],
}
"""Terms that each model has; any other has to be zero."""


def lens_of_entry(values: Mapping[str, Any]) -> Lens:
    """The lens that the values of an entry, over those of its file, say.

    Raises
    ------
    CameraError : a lens that is not read, values that contradict each other; names the key.
    """
    for key in _ZERO & set(values):
        numbers = values[key] if isinstance(values[key], list) else [values[key]]
        if not all(_is_zero(number) for number in numbers):
            raise CameraError(
                f"the lens has `{key}` = {shown(values[key])}, which no model that is drawn has "
                "(it must be 0). Undistort the pictures and cameras first."
            )
    model, key = _model(values)
    terms = _terms(values, model)
    if not model and any(terms.values()):
        model = "radial"
    if model == "radial" and (terms["k5"] or terms["k6"]):
        model = "rational"
    for term, value in terms.items():
        if value and term not in _TERMS_OF.get(model, ()):
            raise CameraError(
                f"the lens has distortion `{term}` = {value:g}, which is no term of the model "
                f"that {key or 'the file'} says"
                + (" (OpenCV's rational k4 is read with camera_model FULL_OPENCV)" * (term == "k4"))
            )
    k = tuple(terms[name] for name in _READ[:6])
    if model == "fisheye":
        return Fisheye(k=k[:4])
    if model in ("radial", "rational") and any(terms.values()):
        return RadialTangential(k=k, p=(terms["p1"], terms["p2"]))
    if model == "f-theta":
        return FTheta(p=tuple(_number(values, name) for name in _FTHETA))
    if model == "panorama":
        return Equirectangular()
    return Orthographic() if model == "orthographic" else Pinhole()


def _model(values: Mapping[str, Any]) -> tuple[str, str]:
    """The model that the values name, and the key that does; empty where none does."""
    said: dict[str, str] = {}
    for key in values:
        value = values[key]
        if key in _MODELS:
            model = _MODEL_OF.get(value.upper()) if isinstance(value, str) else None
            if model is None:
                raise CameraError(
                    f"the lens model (`{key}`) is {shown(value)}; expected one of "
                    f"{', '.join(_MODEL_OF)}. Undistort the pictures and cameras first."
                )
            said[key] = model
        elif key in _FLAGS and value is not False and not _is_zero(value):
            flag = _FLAGS[key]
            if flag is None or not (value is True or (is_number(value) and value == 1)):
                expected = "false; no such cameras are read" if flag is None else "true or false"
                raise CameraError(f"`{key}` is {shown(value)}; expected {expected}")
            said[key] = flag
        elif key in _FTHETA:
            said[key] = "f-theta"
    # Files say PERSPECTIVE or OPENCV beside `is_fisheye`: that tells which lens of OpenCV's it is.
    strong = {key: model for key, model in said.items() if model != "radial"} or said
    models = sorted(set(strong.values()))
    if len(models) > 1:
        keys = " and ".join(f"`{key}`" for key in strong)
        raise CameraError(f"{keys} say that the lens is {' and '.join(models)}: which is it?")
    return (models[0], f"`{next(iter(strong))}`") if models else ("", "")


def _terms(values: Mapping[str, Any], model: str) -> dict[str, float]:
    """All terms, 0 where nothing is said."""
    terms = {name: _number(values, name) for name in _READ}
    for name, orders in _LISTS.items():
        if name not in values:
            continue
        numbers = values[name]
        if not isinstance(numbers, list) or not all(is_number(number) for number in numbers):
            raise CameraError(f"`{name}` is {shown(numbers)}; expected a list of numbers")
        if all(_is_zero(number) for number in numbers):
            continue
        order = orders.get(len(numbers))
        fisheye = name == "distortion_params" and len(numbers) == 4
        if order is None or any(terms.values()) or (fisheye and model != "fisheye"):
            raise CameraError(
                f"`{name}` = {shown(numbers)} is not understood; expected its terms as k1, k2, ..., "
                "p1, p2, and only once"
            )
        terms |= {term: _number({term: n}, term) for term, n in zip(order, numbers, strict=True)}
    return terms


def _number(values: Mapping[str, Any], key: str) -> float:
    number = finite_number(values.get(key, 0))
    if number is None:
        raise CameraError(f"`{key}` is {shown(values[key])}; expected a finite number")
    return number


def _is_zero(value: object) -> bool:
    return is_number(value) and value == 0
