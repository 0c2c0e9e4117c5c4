"""One camera from one entry of a camera file, every value checked before it is used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plenostream.cameras.camera import Camera
from plenostream.cameras.image_size import read_image_size
from plenostream.cameras.kinds import FOCAL_KEYS, SIZE_KEYS, Kind
from plenostream.cameras.lens_keys import FULL_PANORAMA, lens_of_entry
from plenostream.cameras.lenses import Equirectangular, FTheta, Lens, Orthographic
from plenostream.cameras.placement import DEFAULT_SIZE
from plenostream.cameras.poses import pose_of_entry
from plenostream.cameras.values import finite_number, one_number, one_pixels
from plenostream.errors import CameraError, shown

__all__ = ["camera_of_entry", "entry_over_document", "picture_of"]

_SAME = (
    *((*pixels, radians, *degrees) for pixels, radians, degrees in FOCAL_KEYS.values()),
    *SIZE_KEYS.values(),
)
"""Keys that say the same thing: an entry that has one replaces all of them of its file."""

_DEGREES_TOLERANCE = 0.01
"""Relative difference of focal lengths that is taken for rounding of an angle in degrees."""


def entry_over_document(document: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a file, replaced by those of one of its entries where that says otherwise."""
    replaced = {key for same in _SAME if any(k in entry for k in same) for key in same}
    return {**{k: v for k, v in document.items() if k not in replaced}, **entry}


def camera_of_entry(
    values: Mapping[str, Any],
    kind: Kind,
    *,
    is_opencv: bool,
    scale: float,
    folder: Path,
    size: tuple[int, int] | None,
) -> Camera:
    """The camera of an entry, its position multiplied by `scale`.

    Parameters
    ----------
    values : the entry's values over those of the file, without those that are null
    is_opencv : axes of its pose, see `poses`
    folder : what names of pictures are relative to
    size : width and height in pixels that the view is rescaled to; None: its own

    Raises
    ------
    CameraError : a lens that is not read, a value that is missing or cannot be; names it.
    """
    for key in kind.required:
        if key not in values:
            raise CameraError(f"there is no `{key}`")
    lens = lens_of_entry(values)
    c2w = pose_of_entry(values, is_opencv=is_opencv)
    c2w[:, 3] *= scale
    width, height = _size(values, folder, size)
    fx, fy = _focal_lengths(values, lens, width, height)
    cx, cy = one_number(values, ("cx",)), one_number(values, ("cy",))
    if isinstance(lens, Equirectangular) and any(values.get(key) for key in FULL_PANORAMA):
        cx = cy = None
    if isinstance(lens, Orthographic):
        # Pixels per unit of the file, whose positions were just multiplied by the scale.
        fx, fy = fx / scale, fy / scale
    camera = Camera(
        c2w=c2w,
        fx=fx,
        fy=fy,
        cx=width / 2 if cx is None else cx,
        cy=height / 2 if cy is None else cy,
        width=width,
        height=height,
        lens=lens,
    )
    return camera if size is None else camera.resized(*size)


def _focal_lengths(
    values: Mapping[str, Any], lens: Lens, width: int, height: int
) -> tuple[float, float]:
    """Pixels per unit of the lens's plane along x and y."""
    if isinstance(lens, FTheta):
        return 1.0, 1.0  # its polynomial is one of pixels
    if isinstance(lens, Equirectangular):
        full = width / (2 * math.pi), height / math.pi
        if any(values.get(key) for key in FULL_PANORAMA):
            return full
        # nerfstudio's are pixels per half turn.
        given = (one_number(values, FOCAL_KEYS[axis][0]) for axis in "xy")
        along = [
            whole if pixels is None else pixels / math.pi
            for pixels, whole in zip(given, full, strict=True)
        ]
        return along[0], along[1]
    if isinstance(lens, Orthographic) and not any(
        key in values for axis in "xy" for key in FOCAL_KEYS[axis][0]
    ):
        raise CameraError(
            "there is no `fl_x`: of an orthographic camera, pixels per unit of length"
        )
    along_x, along_y = _focal(values, "x", width), _focal(values, "y", height)
    # What one axis alone says holds for both: pixels are square.
    fx, fy = (along_y if along_x is None else along_x), (along_x if along_y is None else along_y)
    if fx is None or fy is None:
        raise CameraError(
            "there is neither `fl_x` nor `camera_angle_x`, nor another key of a focal length or "
            "angle of view"
        )
    return fx, fy


def _focal(values: Mapping[str, Any], axis: str, edge: int) -> float | None:
    """Focal length in pixels along an axis.

    Pixels win over an angle in radians, as in instant-ngp and nerfstudio: Blender's own angle_y,
    which exporters write beside them, is that of the sensor and not that of the picture. Degrees
    must agree, since readers differ on them.
    """
    in_pixels, in_radians, in_degrees = FOCAL_KEYS[axis]
    focal = one_number(values, in_pixels)
    if focal is None and in_radians in values:
        focal = _focal_of_angle(values, in_radians, edge, 1.0, "pi (radians)")
    for key in in_degrees:
        if key not in values:
            continue
        other = _focal_of_angle(values, key, edge, math.pi / 180, "180 degrees")
        if focal is not None and abs(other - focal) > _DEGREES_TOLERANCE * abs(focal):
            raise CameraError(
                f"`{key}` means a focal length of {other:g} pixels, other keys {focal:g}: "
                "they contradict each other"
            )
        focal = other if focal is None else focal
    return focal


def _focal_of_angle(
    values: Mapping[str, Any], key: str, edge: int, unit: float, most: str
) -> float:
    angle = finite_number(values[key])
    if angle is None:
        raise CameraError(f"`{key}` is {shown(values[key])}; expected a finite number")
    if not 0 < angle * unit < math.pi:
        raise CameraError(f"`{key}` is {angle:g}; expected an angle of 0 to {most}")
    tangent = math.tan(0.5 * angle * unit)
    return 0.5 * edge / tangent if tangent > 0 else math.inf


def _size(
    values: Mapping[str, Any], folder: Path, asked: tuple[int, int] | None
) -> tuple[int, int]:
    """Width and height in pixels that intrinsics are in: as said, else those of the picture."""
    width, height = (one_pixels(values, keys) for keys in SIZE_KEYS.values())
    if width is not None or height is not None:
        if width is None or height is None:
            raise CameraError(f"there is no `{'w' if width is None else 'h'}`")
        return width, height
    name = values.get("file_path")
    if name is not None and not isinstance(name, str):
        raise CameraError(f"`file_path` is {shown(name)}; expected the name of a picture")
    picture = picture_of(folder, name) if name else None
    size = None if picture is None else read_image_size(picture)
    if size is not None:
        return size
    lacking = f" ({shown(name)} is no PNG or JPEG picture in {folder})" if name else ""
    pixels = [key for key in ("fl_x", "fx", "fl_y", "fy", "cx", "cy") if key in values]
    if pixels:
        raise CameraError(
            f"there is `{pixels[0]}` in pixels, but neither `w` and `h` nor a picture that says of "
            f"how many{lacking}"
        )
    # An angle of view is one of any picture: of the one asked for, where that is all there is.
    if asked is not None:
        return asked
    if name:
        raise CameraError(
            f"nothing says how large the picture is: there is neither `w` and `h` nor the picture"
            f"{lacking}. Put it there, or say the size (--size 800x800)"
        )
    return DEFAULT_SIZE


def picture_of(folder: Path, name: str) -> Path | None:
    """The PNG or JPEG file that `file_path` names, relative to `folder`; None without one."""
    # Windows writes backslashes; NeRF-synthetic files leave the ending out.
    name = name.replace("\\", "/")
    places = (folder / f"{name}{ending}" for ending in ("", ".png", ".jpg", ".jpeg"))
    return next((place for place in places if read_image_size(place) is not None), None)
