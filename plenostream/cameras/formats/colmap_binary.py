"""COLMAP's `cameras.bin` and `images.bin`, little-endian.

::

    cameras.bin  u64 n, then n x (u32 id, i32 model, u64 width, u64 height, f64 parameters ...)
    images.bin   u64 n, then n x (u32 id, f64 w x y z, f64 tx ty tz, u32 camera, name, 0,
                                  u64 m, then m x (f64 x, f64 y, u64 point))
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from plenostream.cameras.formats.colmap_records import CameraRecord, ImageRecord
from plenostream.cameras.formats.placed import check_count
from plenostream.errors import CameraError
from plenostream.files.paths import input_file

__all__ = ["read_binary"]

_MODELS: dict[int, tuple[str, int]] = {
    0: ("SIMPLE_PINHOLE", 3),
    1: ("PINHOLE", 4),
    2: ("SIMPLE_RADIAL", 4),
    3: ("RADIAL", 5),
    4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8),
    6: ("FULL_OPENCV", 12),
    7: ("FOV", 5),
    8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5),
    10: ("THIN_PRISM_FISHEYE", 12),
    11: ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
    12: ("SIMPLE_DIVISION", 4),
    13: ("DIVISION", 5),
    14: ("SIMPLE_FISHEYE", 3),
    15: ("FISHEYE", 4),
    16: ("EUCM", 6),
    17: ("EQUIRECTANGULAR", 2),
}
"""Names and numbers of parameters of the models, by their number in the file."""
_LONGEST_NAME = 4096
_POINT_BYTES = 24
_IMAGE = struct.Struct("<I7dI")
_CAMERA = struct.Struct("<IiQQ")


class _Reader:
    """Reads a file front to back, and never past its end."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.path = path
        self._file = file
        self.size = os.fstat(file.fileno()).st_size

    def unpack(self, layout: struct.Struct, what: str) -> tuple[float, ...]:
        data = self._file.read(layout.size)
        if len(data) < layout.size:
            raise CameraError(f"{self.path} ends in the middle of {what}")
        return layout.unpack(data)

    def name(self, what: str) -> str:
        start = self._file.tell()
        data, found, _ = self._file.read(_LONGEST_NAME).partition(b"\0")
        if not found:
            raise CameraError(f"{self.path}: the name of {what} has no end")
        self._file.seek(start + len(data) + 1)
        return data.decode("utf-8", "surrogateescape")

    def skip(self, n_bytes: int, what: str) -> None:
        at = self._file.tell() + n_bytes
        if at > self.size:
            raise CameraError(f"{self.path} ends in the middle of {what}")
        self._file.seek(at)

    def end(self) -> None:
        if self._file.tell() != self.size:
            raise CameraError(
                f"{self.path} has {self.size - self._file.tell()} bytes more than its records"
            )


def read_binary(folder: Path) -> tuple[dict[int, CameraRecord], list[ImageRecord]]:
    """Cameras by their number, and images.

    Raises
    ------
    CameraError : nothing there, or a file that is not whole; names it.
    """
    cameras, images = (
        input_file(folder / name, what="COLMAP file", error=CameraError)
        for name in ("cameras.bin", "images.bin")
    )
    try:
        with cameras.open("rb") as file:
            found = _cameras(_Reader(file, cameras))
        with images.open("rb") as file:
            return found, _images(_Reader(file, images))
    except OSError as error:
        raise CameraError(
            f"the COLMAP model in {folder} cannot be read: {error.strerror}"
        ) from error


def _cameras(reader: _Reader) -> dict[int, CameraRecord]:
    found: dict[int, CameraRecord] = {}
    (count,) = reader.unpack(struct.Struct("<Q"), "its count")
    for number in range(int(count)):
        what = f"camera {number} of {count}"
        camera_id, model, width, height = reader.unpack(_CAMERA, what)
        if int(model) not in _MODELS:
            raise CameraError(
                f"{reader.path}: {what} has the model number {model}; expected 0 to "
                f"{max(_MODELS)}, which COLMAP has"
            )
        name, n_parameters = _MODELS[int(model)]
        parameters = reader.unpack(struct.Struct(f"<{n_parameters}d"), what)
        check_count(reader.path, len(found) + 1, reader.size)
        found[int(camera_id)] = CameraRecord(name, int(width), int(height), parameters)
    reader.end()
    return found


def _images(reader: _Reader) -> list[ImageRecord]:
    found: list[ImageRecord] = []
    (count,) = reader.unpack(struct.Struct("<Q"), "its count")
    for number in range(int(count)):
        what = f"image {number} of {count}"
        image_id, *pose, camera_id = reader.unpack(_IMAGE, what)
        name = reader.name(what)
        (n_points,) = reader.unpack(struct.Struct("<Q"), what)
        reader.skip(int(n_points) * _POINT_BYTES, what)
        check_count(reader.path, len(found) + 1, reader.size)
        found.append(
            ImageRecord(int(image_id), int(camera_id), tuple(pose[:4]), tuple(pose[4:]), name)
        )
    reader.end()
    return found
