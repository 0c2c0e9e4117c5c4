"""COLMAP models: a folder with `cameras` and `images`, both .bin or both .txt.

An image has a quaternion w, x, y, z and a translation that lead from the world to its camera; axes
are OpenCV's, the centre of the first pixel is at 0.5. Views are in the order of their pictures'
names: numbers of images depend on the run. What COLMAP knows beside them (points, rigs) is not
looked at: `images` holds the poses of rigs' cameras too.

=============================================== ==================================================
model                                           lens
=============================================== ==================================================
SIMPLE_PINHOLE, PINHOLE                         pinhole
SIMPLE_RADIAL, RADIAL, OPENCV, FULL_OPENCV      radial and tangential
SIMPLE_FISHEYE, FISHEYE, SIMPLE_RADIAL_FISHEYE, fisheye
RADIAL_FISHEYE, OPENCV_FISHEYE
EQUIRECTANGULAR                                 whole panorama
=============================================== ==================================================

The others are refused by name. Source: COLMAP's documentation of its output format, and
`sensor/models.h`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plenostream.cameras.camera import Camera
from plenostream.cameras.formats.colmap_binary import read_binary
from plenostream.cameras.formats.colmap_records import CameraRecord, ImageRecord
from plenostream.cameras.formats.colmap_text import read_text
from plenostream.cameras.formats.placed import FileView, placed_views, refuse_bounds
from plenostream.cameras.image_size import read_image_size
from plenostream.cameras.lenses import Equirectangular, Fisheye, Lens, Pinhole, RadialTangential
from plenostream.cameras.quaternions import rotation_of
from plenostream.cameras.similarity import Similarity
from plenostream.cameras.views import Asked, CameraSet
from plenostream.errors import CameraError, printable, shown
from plenostream.options import LARGEST_COORDINATE

__all__ = ["model_folder", "read_colmap"]

_BELOW = ("", "sparse/0", "sparse", "colmap/sparse/0", "dense/sparse")
"""Where in a data set its model lies."""
_PICTURES_ABOVE = 3
"""Folders above the model in which `images/` is looked for."""


@dataclass(frozen=True, slots=True)
class _Model:
    """How the parameters of a camera model are to be read."""

    terms: tuple[str, ...]
    """What each parameter is: f, fx, fy, cx, cy, k1, ..."""
    lens: Callable[[dict[str, float]], Lens]


def _radial(values: dict[str, float]) -> Lens:
    k = tuple(values.get(f"k{i}", 0.0) for i in range(1, 7))
    p = (values.get("p1", 0.0), values.get("p2", 0.0))
    return RadialTangential(k=k, p=p) if any(k + p) else Pinhole()


def _fisheye(values: dict[str, float]) -> Lens:
    return Fisheye(k=tuple(values.get(f"k{i}", 0.0) for i in range(1, 5)))


def _pinhole(_: dict[str, float]) -> Lens:
    return Pinhole()


def _panorama(_: dict[str, float]) -> Lens:
    return Equirectangular()


_ONE, _TWO = ("f", "cx", "cy"), ("fx", "fy", "cx", "cy")
_MODELS = {
    "SIMPLE_PINHOLE": _Model(_ONE, _pinhole),
    "PINHOLE": _Model(_TWO, _pinhole),
    "SIMPLE_RADIAL": _Model((*_ONE, "k1"), _radial),
    "RADIAL": _Model((*_ONE, "k1", "k2"), _radial),
    "OPENCV": _Model((*_TWO, "k1", "k2", "p1", "p2"), _radial),
    "FULL_OPENCV": _Model((*_TWO, "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"), _radial),
    "SIMPLE_FISHEYE": _Model(_ONE, _fisheye),
    "FISHEYE": _Model(_TWO, _fisheye),
    "SIMPLE_RADIAL_FISHEYE": _Model((*_ONE, "k1"), _fisheye),
    "RADIAL_FISHEYE": _Model((*_ONE, "k1", "k2"), _fisheye),
    "OPENCV_FISHEYE": _Model((*_TWO, "k1", "k2", "k3", "k4"), _fisheye),
    "EQUIRECTANGULAR": _Model(("w", "h"), _panorama),
}


def model_folder(folder: Path) -> Path | None:
    """The folder of the model of a data set, or of a model itself; None where there is none."""
    for below in _BELOW:
        place = folder / below
        if any((place / f"images{ending}").is_file() for ending in (".bin", ".txt")):
            return place
    return None


def read_colmap(path: Path, asked: Asked) -> CameraSet:
    """The views of the model in a folder, or of the one that a file of it belongs to.

    Raises
    ------
    CameraError : a file that is cut short or not as COLMAP writes it, a model that is not read; names
        the file and the image.
    """
    asked.require_only_matrices_say("a COLMAP model")
    refuse_bounds(asked, "a COLMAP model")
    folder = path if path.is_dir() else path.parent
    is_binary = path.suffix == ".bin" if folder != path else (folder / "images.bin").exists()
    cameras, images = (read_binary if is_binary else read_text)(folder)
    pictures = _pictures(folder)
    views = []
    for image in sorted(images, key=lambda image: image.name):
        camera = cameras.get(image.camera_id)
        try:
            if camera is None:
                raise CameraError(f"there is no camera {image.camera_id}")
            made = _camera(camera, image)
        except CameraError as error:
            raise CameraError(
                f"{folder}: image {image.image_id} ({shown(image.name)}): {error}"
            ) from error
        place = pictures / image.name if pictures is not None else None
        there = place is not None and read_image_size(place) is not None
        views.append(
            FileView(camera=made, name=printable(image.name), picture=place if there else None)
        )
    if not views:
        raise CameraError(f"the COLMAP model in {folder} has no images with a pose")
    return CameraSet(
        found=f"COLMAP model ({'binary' if is_binary else 'text'})",
        views=placed_views(folder, views, asked, Similarity.scaled(asked.scale or 1.0)),
    )


def _camera(camera: CameraRecord, image: ImageRecord) -> Camera:
    model = _MODELS.get(camera.model)
    if model is None:
        raise CameraError(
            f"its camera has the model {shown(camera.model)}; expected one of "
            f"{', '.join(_MODELS)}. Undistort the pictures and cameras first."
        )
    if len(camera.parameters) != len(model.terms):
        raise CameraError(
            f"its camera has {len(camera.parameters)} parameters; {camera.model} has "
            f"{len(model.terms)}"
        )
    values = dict(zip(model.terms, camera.parameters, strict=True))
    if camera.model == "EQUIRECTANGULAR":
        width, height = camera.width, camera.height
        values = {
            **{"fx": width / (2 * math.pi), "fy": height / math.pi},
            **{"cx": width / 2, "cy": height / 2},
        }
    lengths = np.array([*image.quaternion, *image.translation])
    if not np.abs(lengths).max() <= LARGEST_COORDINATE or not any(image.quaternion):
        raise CameraError(
            f"its pose is {shown([*image.quaternion, *image.translation])}; expected a quaternion and "
            "a translation"
        )
    w, x, y, z = image.quaternion
    rotation = rotation_of(np.array([x, y, z, w])).T
    return Camera(
        c2w=np.column_stack([rotation, -rotation @ np.array(image.translation)]),
        fx=values.get("fx", values.get("f", math.nan)),
        fy=values.get("fy", values.get("f", math.nan)),
        cx=values["cx"],
        cy=values["cy"],
        width=camera.width,
        height=camera.height,
        lens=model.lens(values),
    )


def _pictures(folder: Path) -> Path | None:
    """The folder of pictures of a data set that a model lies in."""
    real = folder.absolute()
    places = [real, *real.parents][: _PICTURES_ABOVE + 1]
    return next((place / "images" for place in places if (place / "images").is_dir()), None)
