"""From the cameras that a file holds to the views that are asked for: moved, scaled, resized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plenostream.cameras.camera import Camera
from plenostream.cameras.document import check_memory, memory_for
from plenostream.cameras.image_size import read_image_size
from plenostream.cameras.similarity import Similarity
from plenostream.cameras.views import Asked, PicturedCamera, chosen_numbers
from plenostream.errors import CameraError, InvalidInput

__all__ = ["FileView", "check_count", "pictures_in", "placed_views", "refuse_bounds"]

_PICTURES = (".png", ".jpg", ".jpeg")
_VIEW_BYTES = 1500
"""Memory of a view, at most, with the records that it is made of; measured with tracemalloc."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileView:
    """A camera as the file has it, OpenCV axes, lengths in the file's unit."""

    camera: Camera
    name: str = ""
    """The picture's name, as the file has it."""
    picture: Path | None = None
    """The picture, where it is there."""


def placed_views(
    path: Path, views: Sequence[FileView], asked: Asked, similarity: Similarity
) -> list[PicturedCamera]:
    """The views that are asked for, in the world after `similarity`, at the size asked for.

    Raises
    ------
    InvalidInput : views that are not there. CameraError : a position that float32 does not hold.
    """
    placed = []
    for number in chosen_numbers(asked.views, len(views), path):
        view = views[number]
        try:
            # A scale beyond all measure is said by the camera that it makes.
            with np.errstate(over="ignore", invalid="ignore"):
                camera = similarity.moved(view.camera)
        except CameraError as error:
            raise CameraError(f"{path}: frame {number} ({view.name}): {error}") from error
        if asked.size is not None:
            camera = camera.resized(*asked.size)
        placed.append(
            PicturedCamera(number=number, camera=camera, picture=view.picture, name=view.name)
        )
    return placed


def check_count(path: Path, n_views: int, n_bytes: int) -> None:
    """Refuse more views than a file of `n_bytes` may take the memory for; raises CameraError."""
    check_memory(path, n_views * _VIEW_BYTES, memory_for(n_bytes))


def refuse_bounds(asked: Asked, what: str) -> None:
    """Refuse `svox2-bbox` for a format that has no box."""
    if asked.poses == "svox2-bbox":
        raise InvalidInput(f"poses is svox2-bbox, which is for NSVF folders; this is {what}")


def pictures_in(folder: Path, names: Sequence[str]) -> tuple[Path | None, list[Path]]:
    """The first of the folders `names` in `folder` that is there, and its pictures by name."""
    for name in names:
        place = folder / name
        if place.is_dir():
            listed = sorted(p for p in place.iterdir() if p.suffix.lower() in _PICTURES)
            return place, [path for path in listed if read_image_size(path) is not None]
    return None, []
