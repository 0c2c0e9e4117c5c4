"""A frame that is written, and what is in its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from plenostream.export.stills import write_picture
from plenostream.options import FileOptions
from plenostream.results import FrameStats, RenderResult

__all__ = ["Frame", "picture", "read_png", "render_to"]

Frame = dict[str, NDArray[np.float32]]


def picture(frame: Frame) -> RenderResult:
    """A picture with all outputs: the frame's, and made up ones."""
    alpha, depth = frame["alpha"], frame["depth"]
    up = np.zeros((*alpha.shape, 3), np.float32)
    up[alpha > 0] = (0.6, 0.0, -0.8)
    half = np.where(alpha > 0.5, depth + np.float32(0.25), np.float32(np.nan))
    return RenderResult(
        **frame,
        median_depth=half,
        density_depth=half + 1,
        normals=up,
        cost=np.rint(alpha * 9),
        stats=FrameStats(),
    )


def render_to(
    path: Path | str,
    frame: Frame,
    *outputs: str,
    overwrite: bool = False,
    background: Any = 0.25,
    options: FileOptions | None = None,
) -> list[str]:
    """Write one frame; the names of the files made."""
    drawn = picture(frame)
    written = write_picture(
        path, drawn, outputs, options, background=background, overwrite=overwrite
    )
    return [path.name for path in written]


def read_png(path: Path) -> NDArray[np.uint8]:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    if pixels.ndim == 2:
        return pixels
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
