"""Single pictures: PNG to look at; NPY and OpenEXR with the renderer's float32 values as they are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenEXR
from numpy.lib import format as npy
from numpy.typing import ArrayLike, NDArray

from plenostream.errors import OutputError
from plenostream.export.pixels import (
    DepthRange,
    colour_8bit,
    depth_8bit,
    depth_range,
    straight_alpha_8bit,
)
from plenostream.export.targets import Target, frame_files, target_files
from plenostream.files.atomic import atomic_file, checked_output, made_folders, try_place, writing
from plenostream.files.foreign import copy_written

__all__ = ["StillWriter", "still_output", "write_exr", "write_npy", "write_png"]


@contextlib.contextmanager
def still_output(
    target: Target, *, numbers: Sequence[int], background: ArrayLike, overwrite: bool
) -> Iterator[StillWriter]:
    """A writer of each frame to files of its own, named as `frame_files` says.

    Parameters
    ----------
    target : of kind png, npy or exr
    numbers : of the frames that will come; their files are checked before any is made
    background : colour behind everything, one number or [3], which an RGBA picture leaves out
    overwrite : replace files that are there

    Raises
    ------
    OutputError : a file is there and may not be replaced; what the system says against writing.
    """
    for path in target_files(target, numbers):
        checked_output(path, overwrite=overwrite, what="picture")
    with made_folders(target.place):
        try_place(target.place / "picture", what="picture")
        yield StillWriter(target, background=background, overwrite=overwrite)


class StillWriter:
    """What `still_output` gives. Files are finished one by one: after an error they stay."""

    def __init__(self, target: Target, *, background: ArrayLike, overwrite: bool) -> None:
        self.written: list[Path] = []
        self.depth_span: DepthRange | None = None
        """Depths (world units) that red and blue stand for: those of the first frame with any."""
        self._target, self._background, self._overwrite = target, background, overwrite

    def write(
        self,
        number: int,
        *,
        rgb: NDArray[np.float32],
        alpha: NDArray[np.float32],
        depth: NDArray[np.float32],
    ) -> None:
        """Write frame `number`: rgb [H, W, 3], alpha [H, W], depth [H, W] (world units)."""
        files = frame_files(self._target, number)
        shown = {"rgb": rgb, "alpha": alpha, "depth": depth}
        shown = {name: shown[name] for name in self._target.outputs}
        if files.main is not None:
            if self._target.kind == "png":
                picture = _png_pixels(shown, background=self._background)
                self._save(write_png, files.main, picture)
            elif self._target.kind == "npy":
                self._save(write_npy, files.main, _stacked(shown))
            else:
                self._save(write_exr, files.main, shown)
        if files.depth_values is not None:
            self._save(write_npy, files.depth_values, depth)
        if files.depth_picture is not None:
            # One range for all frames: a colour means the same depth throughout.
            self.depth_span = self.depth_span or depth_range(depth, alpha)
            colours = depth_8bit(depth, alpha, self.depth_span)
            self._save(write_png, files.depth_picture, colours)

    def notes(self) -> list[str]:
        """Which depths the colours stand for."""
        if self.depth_span is None:
            return []
        near, far = self.depth_span
        return [f"depth colours: red {near:.4g}, blue {far:.4g} (world units)"]

    def _save(self, write: Callable[..., None], path: Path, content: Any) -> None:
        write(path, content, overwrite=self._overwrite)
        self.written.append(path)


def write_png(path: Path, pixels: NDArray[np.uint8], *, overwrite: bool) -> None:
    """Write uint8 pixels, [H, W] grey, [H, W, 3] RGB or [H, W, 4] RGBA (alpha not multiplied in)."""
    # OpenCV wants blue first.
    order = [2, 1, 0, 3][: pixels.shape[-1]]
    swapped = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., order])
    with atomic_file(path, overwrite=overwrite) as file, writing(path):
        _, encoded = cv2.imencode(".png", swapped)
        file.write(encoded)


def write_npy(path: Path, values: NDArray[np.float32], *, overwrite: bool) -> None:
    """Write an array as it is, for `numpy.load`."""
    whole = np.ascontiguousarray(values)
    with atomic_file(path, overwrite=overwrite) as file, writing(path):
        # Not `numpy.save`, which tells neither what went wrong nor that it was the disk.
        npy.write_array_header_1_0(file, npy.header_data_from_array_1_0(whole))
        file.write(whole.data)


def write_exr(path: Path, shown: dict[str, NDArray[np.float32]], *, overwrite: bool) -> None:
    """Write the channels R G B, A and Z (depth, world units) that `shown` has, as float32."""
    names = {"alpha": "A", "depth": "Z"}
    channels = {names[name]: np.ascontiguousarray(shown[name]) for name in names if name in shown}
    if "rgb" in shown:
        channels |= {c: np.ascontiguousarray(shown["rgb"][..., i]) for i, c in enumerate("RGB")}
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    picture = OpenEXR.File(header, channels)
    with atomic_file(path, overwrite=overwrite) as file, writing(path):
        try:
            copy_written(picture.write, file, ending=".exr")
        except RuntimeError as error:  # what the library makes of errors
            raise OutputError(f"{path} cannot be written: {error}") from error


def _png_pixels(
    shown: dict[str, NDArray[np.float32]], *, background: ArrayLike
) -> NDArray[np.uint8]:
    if "rgb" not in shown:
        return colour_8bit(shown["alpha"])
    if "alpha" not in shown:
        return colour_8bit(shown["rgb"])
    return straight_alpha_8bit(shown["rgb"], shown["alpha"], background=background)


def _stacked(shown: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """rgb [H, W, 3], rgb with alpha [H, W, 4] or alpha [H, W]."""
    if "rgb" not in shown:
        return shown["alpha"]
    if "alpha" not in shown:
        return shown["rgb"]
    return np.concatenate([shown["rgb"], shown["alpha"][..., None]], axis=-1)
