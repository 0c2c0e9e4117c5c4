"""Pictures read from files, and laid beside what was rendered."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
from numpy.typing import ArrayLike, NDArray

from plenostream.errors import InvalidInput
from plenostream.export.light import LINEAR, encoded
from plenostream.export.pixels import colour_8bit
from plenostream.files.paths import input_file

__all__ = ["PICTURE_ENDINGS", "read_cut_out", "read_picture", "side_by_side"]

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".npy", ".npz", ".exr")
_AS_RENDERED = (".npy", ".npz", ".exr")
"""Written by `plenostream render` as it has them: colours multiplied by alpha, over the background."""

Picture = NDArray[np.float32]


def read_picture(path: str | Path, *, background: ArrayLike) -> Picture:
    """The colours [H, W, 3] of a picture, 0 to 1, laid over `background` where it has alpha.

    PNG, JPEG and WebP, 8 or 16 bits; .npy arrays [H, W], [H, W, 3] or [H, W, 4], ``rgb`` of an .npz
    and the channels R, G, B of an OpenEXR file as they are, or as sRGB where its header says that
    they are linear light. In a PNG colours are not multiplied by alpha; in a .npy, .npz or .exr of
    `plenostream render` they are, and stand before the background of the render.

    Raises
    ------
    InvalidInput : nothing there, or no such picture.
    """
    colours, opacity = read_cut_out(path)
    if opacity is None:
        return colours
    return colours + (1 - opacity[..., None]) * np.asarray(background, np.float32)


def read_cut_out(path: str | Path) -> tuple[Picture, Picture | None]:
    """The colours [H, W, 3] of a picture before black, and its alpha [H, W] where it has one, as
    `read_picture` lays it over a background."""
    place = input_file(path, what="picture", error=InvalidInput)
    ending = place.suffix.lower()
    values = {".npy": _array, ".npz": _member, ".exr": _channels}.get(ending, _decoded)(place)
    if values.ndim == 2:
        values = np.repeat(values[..., None], 3, axis=-1)
    if values.ndim != 3 or values.shape[-1] not in (3, 4) or not np.isfinite(values).all():
        raise InvalidInput(f"{place} is no picture: its values have the shape {values.shape}")
    if values.shape[-1] == 4 and ending not in _AS_RENDERED:
        alpha = values[..., 3]
        return values[..., :3] * alpha[..., None], alpha
    return values[..., :3], None


def side_by_side(photograph: Picture, rendering: Picture) -> NDArray[np.uint8]:
    """Photograph, rendering and the difference of both [H, 3 W, 3], four times as strong."""
    difference = 4 * np.abs(np.clip(photograph, 0, 1) - np.clip(rendering, 0, 1))
    return colour_8bit(np.concatenate([photograph, rendering, difference], axis=1))


def _array(place: Path) -> Picture:
    try:
        values = np.load(place, allow_pickle=False)
        return np.asarray(values, np.float32)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{place} cannot be read as an array of pixels: {error}") from error


def _member(place: Path) -> Picture:
    """Colours [H, W, 3] of an archive of outputs."""
    try:
        with np.load(place, allow_pickle=False) as archive:
            return np.asarray(archive["rgb"], np.float32)
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidInput(f"{place} cannot be read as an archive with rgb: {error}") from error


def _channels(place: Path) -> Picture:
    """Colours [H, W, 3] of an OpenEXR file."""
    try:
        with OpenEXR.File(str(place), separate_channels=True) as file:
            channels = {name: np.array(channel.pixels) for name, channel in file.channels().items()}
            space = file.header().get("colorInteropID")
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise InvalidInput(f"{place} cannot be read as an OpenEXR picture: {error}") from error
    shapes = {channels[name].shape for name in "RGB" if name in channels}
    if not set("RGB") <= set(channels) or len(shapes) != 1:
        raise InvalidInput(
            f"{place} has the channels {', '.join(sorted(channels))}; expected R, G and B of one size"
        )
    colours = np.stack([channels[name] for name in "RGB"], axis=-1).astype(np.float32)
    return encoded(colours) if space == LINEAR else colours


def _decoded(place: Path) -> Picture:
    try:
        data = np.frombuffer(place.read_bytes(), np.uint8)
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    except (OSError, cv2.error) as error:
        raise InvalidInput(f"{place} cannot be read as a picture: {error}") from error
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        raise InvalidInput(f"{place} is damaged, or no PNG, JPEG or WebP picture of 8 or 16 bits")
    most = 255 if pixels.dtype == np.uint8 else 65_535
    values: Picture = np.asarray(pixels, np.float32) / np.float32(most)
    # OpenCV has blue first.
    return values if values.ndim == 2 else values[..., [2, 1, 0, 3][: values.shape[-1]]]
