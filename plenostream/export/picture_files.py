"""Writes one picture to one file: PNG, JPEG and WebP to look at, OpenEXR and NumPy's with the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenEXR
from numpy.lib import format as npy
from numpy.typing import NDArray

from plenostream.errors import OutputError, printable
from plenostream.export.light import LINEAR, SRGB
from plenostream.files.atomic import atomic_file, writing
from plenostream.files.foreign import copy_written

__all__ = ["LAYERS", "write_exr", "write_npy", "write_npz", "write_png", "write_preview"]

LAYERS: dict[str, tuple[str, ...]] = {
    "rgb": ("R", "G", "B"),
    "alpha": ("A",),
    "depth": ("Z",),
    "mean-depth": ("mean-depth.Z",),
    "median-depth": ("median-depth.Z",),
    "density-depth": ("density-depth.Z",),
    "normals": ("N.X", "N.Y", "N.Z"),
    "cost": ("cost.Y",),
}
"""Channels of an OpenEXR file that an output becomes; what stands before a dot is a layer."""

_REC709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
"""x and y of red, green, blue and white: the primaries of sRGB (ITU-R BT.709)."""
_QUALITY = {".jpg": cv2.IMWRITE_JPEG_QUALITY, ".webp": cv2.IMWRITE_WEBP_QUALITY}


def write_png(path: Path, pixels: NDArray[Any], *, overwrite: bool) -> None:
    """Write pixels of 8 or 16 bits: [H, W] grey, [H, W, 3] RGB, [H, W, 4] RGBA (straight alpha)."""
    _encode(path, pixels, ".png", [], overwrite=overwrite)


def write_preview(
    path: Path, pixels: NDArray[np.uint8], *, ending: str, quality: int, overwrite: bool
) -> None:
    """Write 8-bit pixels as a JPEG (`ending` .jpg: grey or RGB) or a WebP (.webp: RGBA too).

    Raises
    ------
    OutputError : more pixels than the format can have; what the system says.
    """
    _encode(path, pixels, ending, [_QUALITY[ending], quality], overwrite=overwrite)


def _encode(
    path: Path, pixels: NDArray[Any], ending: str, flags: Sequence[int], *, overwrite: bool
) -> None:
    # OpenCV wants blue first.
    order = [2, 1, 0, 3][: pixels.shape[-1]]
    swapped = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., order])
    with atomic_file(path, overwrite=overwrite) as file, writing(path):
        try:
            done, content = cv2.imencode(ending, swapped, flags)
        except cv2.error:
            done, content = False, np.empty(0, np.uint8)
        if not done:
            size = f"{pixels.shape[1]}x{pixels.shape[0]}"
            raise OutputError(
                f"{printable(str(path))} cannot be written: a {ending[1:]} does not take {size} "
                "pixels; try .png"
            )
        file.write(content)


def write_npy(path: Path, values: NDArray[np.float32], *, overwrite: bool) -> None:
    """Write an array as it is, for `numpy.load`."""
    whole = np.ascontiguousarray(values)
    with atomic_file(path, overwrite=overwrite) as file, writing(path):
        # Not `numpy.save`, which tells neither what went wrong nor that it was the disk.
        npy.write_array_header_1_0(file, npy.header_data_from_array_1_0(whole))
        file.write(whole.data)


def write_npz(path: Path, shown: Mapping[str, NDArray[np.float32]], *, overwrite: bool) -> None:
    """Write outputs by their names, not compressed, for `numpy.load`."""
    with atomic_file(path, overwrite=overwrite) as file, writing(path):
        np.savez(file, allow_pickle=False, **shown)


def write_exr(
    path: Path,
    shown: Mapping[str, NDArray[np.float32]],
    *,
    linear: bool = False,
    overwrite: bool,
) -> None:
    """Write outputs as channels of float32 (`LAYERS`), with the colour space named in the header.

    Attributes: ``chromaticities`` and ``colorInteropID``, by which compositors choose a colour
    space, and ``comments``, which tells people.

    Parameters
    ----------
    shown : [H, W] or [H, W, 3] by name of the output
    linear : colours are linear light, not sRGB
    """
    channels: dict[str, NDArray[np.float32]] = {}
    for name, values in shown.items():
        for column, channel in enumerate(LAYERS[name]):
            plane = values if values.ndim == 2 else values[..., column]
            channels[channel] = np.ascontiguousarray(plane)
    header: dict[str, Any] = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
    }
    if "rgb" in shown:
        header |= {"chromaticities": _REC709, "colorInteropID": LINEAR if linear else SRGB}
        header["comments"] = (
            "Colours were converted from sRGB to linear light."
            if linear
            else "Colours are sRGB, as the model has them; they were not converted to linear light."
        )
    picture = OpenEXR.File(header, channels)
    with atomic_file(path, overwrite=overwrite) as file, writing(path):
        try:
            copy_written(picture.write, file, ending=".exr")
        except RuntimeError as error:  # what the library makes of errors
            raise OutputError(f"{path} cannot be written: {error}") from error
