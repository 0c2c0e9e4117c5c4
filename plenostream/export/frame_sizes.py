"""How large a picture in a file is, without decoding it where its format allows that."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import OpenEXR

from plenostream.cameras.image_size import read_image_size

__all__ = ["frame_size"]

Size = tuple[int, int]


def frame_size(path: Path) -> Size | None:
    """Width and height of a picture of `plenostream render`; None where it is none."""
    try:
        return _READERS.get(path.suffix.lower(), read_image_size)(path)
    except (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, cv2.error):
        # Not there, cut short, another thing: the same as no picture.
        return None


def _exr_size(path: Path) -> Size:
    with OpenEXR.File(str(path), header_only=True) as file:
        first, last = file.header()["dataWindow"]
    width, height = (last - first + 1).tolist()
    return width, height


def _array_size(path: Path) -> Size | None:
    shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    return (shape[1], shape[0]) if len(shape) >= 2 else None


def _archive_size(path: Path) -> Size | None:
    with np.load(path, allow_pickle=False) as archive:
        shape: tuple[int, ...] = archive[archive.files[0]].shape if archive.files else ()
    return (shape[1], shape[0]) if len(shape) >= 2 else None


def _webp_size(path: Path) -> Size | None:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return None if pixels is None else (pixels.shape[1], pixels.shape[0])


_READERS: dict[str, Callable[[Path], Size | None]] = {
    ".exr": _exr_size,
    ".npy": _array_size,
    ".npz": _archive_size,
    ".webp": _webp_size,
}
"""By ending; PNG and JPEG have their size in front."""
