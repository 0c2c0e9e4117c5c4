"""Cameras read from files and folders, whatever their format (`formats.registry`)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from plenostream.cameras.camera import Camera
from plenostream.cameras.formats.registry import find_format
from plenostream.cameras.views import Asked, CameraSet, PicturedCamera, ViewNumbers
from plenostream.files.paths import local_path
from plenostream.options import CAMERA_FORMAT

__all__ = ["load_cameras", "load_pictured", "read_cameras"]


def load_cameras(
    path: str | Path,
    *,
    views: ViewNumbers | None = None,
    size: tuple[int, int] | None = None,
    scene_scale: float | Literal["auto"] = "auto",
    camera_format: str | None = None,
    poses: str = "svox2",
    camera_axes: str | None = None,
    fov_degrees: float | None = None,
) -> list[Camera]:
    """The cameras of a file or folder, in its order or in that of `views`.

    Parameters
    ----------
    path : JSON of NeRF-synthetic, instant-ngp, nerfstudio or Open3D; a data set of COLMAP, LLFF or
        NSVF; plain matrices (docs/cameras.md)
    views : which of them, counted from 0: numbers, or text such as "0,3,8-12"; None: all
    size : width and height in pixels that the views are rescaled to; None: what the file says,
        else that of each view's own picture, else 800x800 where an angle of view is all there is
        and no picture is named
    scene_scale : what positions are multiplied by; "auto": what the file says, else what svox2
        does for the format
    camera_format : name of the format (`options.CAMERA_FORMAT`); None: what the path is found to be
    poses : "svox2": moved as svox2's loaders do; "svox2-bbox": by the box of an NSVF folder;
        "as-written": as the file has them, no scale either
    camera_axes, fov_degrees : of plain matrices, what they lead to and the horizontal field of view

    Raises
    ------
    CameraError : no such file, of no known format, a lens that is not read, a matrix or number that
        cannot be; names file and place.
    InvalidInput : no path, a URL, views that the file does not have, an option that means nothing.
    """
    asked = Asked(
        views=views,
        size=size,
        scene_scale=scene_scale,
        poses=poses,
        camera_axes=camera_axes,
        fov_degrees=fov_degrees,
    )
    return [view.camera for view in read_cameras(path, asked, camera_format).views]


def load_pictured(path: str | Path, **asked: Any) -> list[PicturedCamera]:
    """The same as `load_cameras`, each with its picture."""
    camera_format = asked.pop("camera_format", None)
    return read_cameras(path, Asked(**asked), camera_format).views


def read_cameras(path: str | Path, asked: Asked, camera_format: str | None = None) -> CameraSet:
    """The same as a record that says what the file was found to be; raises as `load_cameras`."""
    place = local_path(path, what="camera file")
    name = CAMERA_FORMAT.check("camera_format", camera_format)
    form, place, others = find_format(place, name)
    found = form.read(place, asked)
    also = f" (also there: {', '.join(others)}; see --camera-format)" if others else ""
    return replace(found, found=found.found + also)
