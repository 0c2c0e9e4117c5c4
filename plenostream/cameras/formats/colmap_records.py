"""What COLMAP's files of cameras and images hold, whichever way they are written."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CameraRecord", "ImageRecord"]


@dataclass(frozen=True, slots=True)
class CameraRecord:
    """A camera of a model: a lens, shared by images."""

    model: str
    """COLMAP's name of the lens model; "model 99" for a number without one."""
    width: int
    height: int
    parameters: tuple[float, ...]
    """In the model's order; those of a model without a name are not read."""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image of a model: a pose."""

    image_id: int
    camera_id: int
    quaternion: tuple[float, ...]
    """w, x, y, z: world to camera."""
    translation: tuple[float, ...]
    """World to camera."""
    name: str
    """Of its picture, relative to the folder of pictures."""
