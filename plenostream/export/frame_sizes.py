"""Which pixels a picture in a file has, without decoding it where its format allows that."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import OpenEXR

from plenostream.cameras.image_size import read_image_size

__all__ = ["found_pixels", "found_size", "holds_levels", "pixels_in_words"]

Size = tuple[int, int]
_NO_PICTURE = (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, cv2.error)
"""Not there, cut short, another thing: the same as no picture."""


def found_pixels(path: Path) -> str | None:
    """Size of a picture of `plenostream render`, what pixels a PNG has, and what an OpenEXR or .npz holds,
    all of which is read, as `pixels_in_words` says it; None where it is none."""
    size = found_size(path)
    if size is None:
        return None
    try:
        held = _held(path)
    except _NO_PICTURE:
        return None
    bits, channels = _png_pixel(path)
    return pixels_in_words(*size, bits=bits, channels=channels, held=held)


def found_size(path: Path) -> Size | None:
    """Width and height of a picture, of any format that is read; None where it is none."""
    try:
        return _READERS.get(path.suffix.lower(), read_image_size)(path)
    except _NO_PICTURE:
        return None


def holds_levels(path: Path) -> bool:
    """Whether a picture has 8 bits a channel and no alpha, as its header says."""
    ending = path.suffix.lower()
    return ending in (".jpg", ".jpeg") or _png_pixel(path) in ((8, 1), (8, 3))


def _png_pixel(path: Path) -> tuple[int, int]:
    """Bits and channels of a PNG's pixels, 0 where they are not known."""
    if path.suffix.lower() != ".png":
        return 0, 0
    try:
        with path.open("rb") as file:
            bits, colours = file.read(26)[24:]
    except _NO_PICTURE:
        return 0, 0
    return bits, _PNG_CHANNELS.get(colours, 0)


def pixels_in_words(
    width: int, height: int, *, bits: int = 0, channels: int = 0, held: Iterable[str] = ()
) -> str:
    """A size, with what a pixel has, and the names of what is `held` of each, where that is known."""
    each = f" of {channels} x {bits} bits" if bits else ""
    names = " ".join(sorted(held))
    return f"{width}x{height} pixels{each}" + (f" ({names})" if names else "")


def _held(path: Path) -> list[str]:
    """Names of what a picture holds by name, which is read: a header may be there without the rest."""
    ending = path.suffix.lower()
    if ending == ".exr":
        with OpenEXR.File(str(path), separate_channels=True) as file:
            return list(file.channels())
    if ending == ".npz":
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return [name for name in archive.files if archive[name].size]
    return []


def _exr_size(path: Path) -> Size:
    with OpenEXR.File(str(path), header_only=True) as file:
        first, last = file.header()["dataWindow"]
    width, height = (last - first + 1).tolist()
    return width, height


def _array_size(path: Path) -> Size | None:
    shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    return (shape[1], shape[0]) if len(shape) >= 2 else None


def _archive_size(path: Path) -> Size | None:
    # Opened here: of what is no archive, NumPy leaves the file open.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        shape: tuple[int, ...] = archive[archive.files[0]].shape if archive.files else ()
    return (shape[1], shape[0]) if len(shape) >= 2 else None


def _webp_size(path: Path) -> Size | None:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return None if pixels is None else (pixels.shape[1], pixels.shape[0])


_PNG_COLOURS = {0: "grey", 2: "RGB", 6: "RGBA"}
"""By the colour type in the header."""
_PNG_CHANNELS = {0: 1, 2: 3, 6: 4}
"""By the type of colour that the header has."""
_READERS: dict[str, Callable[[Path], Size | None]] = {
    ".exr": _exr_size,
    ".npy": _array_size,
    ".npz": _archive_size,
    ".webp": _webp_size,
}
"""By ending; PNG and JPEG have their size in front."""
