"""From what a renderer gives to what a browser shows: colours, JPEG, and a line about it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.export.colormaps import Span, coloured, normal_colours
from plenostream.export.jpeg import jpeg_bytes
from plenostream.export.pixels import colour_8bit
from plenostream.results import RenderResult

__all__ = ["Colouring", "depths_in_view", "packed", "picture_jpeg"]

_COLORMAP = "turbo"
_COSTS = (0.0, 64.0)
"""Samples that contributed a ray, from blue to red: one range for all, since patches are drawn alone."""
_COARSE_QUALITY, _FINE_QUALITY = 75, 96
"""Of JPEG. Fine pictures are within 40 dB of what was drawn."""


class Colouring:
    """How a picture's values become colours: the same for all parts of a picture."""

    def __init__(
        self,
        *,
        output: str,
        background: tuple[float, float, float],
        drawn_behind: tuple[float, float, float],
        depths: Span | None,
    ) -> None:
        """Take the background that is wanted, and the one that the renderer lays behind."""
        self._output = output
        self._lift = np.asarray(background, np.float32) - np.asarray(drawn_behind, np.float32)
        self._depths = depths

    def pixels(self, picture: RenderResult) -> NDArray[np.uint8]:
        """Colours [H, W, 3]."""
        if self._output == "depth":
            mean = np.zeros_like(picture.depth)
            np.divide(picture.depth, picture.alpha, out=mean, where=picture.alpha > 0)
            return coloured(mean, picture.alpha, self._depths, colormap=_COLORMAP)
        if self._output == "cost":
            cost = picture.channel("cost")
            opaque = np.ones_like(cost)
            return coloured(cost, opaque, _COSTS, colormap=_COLORMAP, first_is_high=True)
        if self._output == "normals":
            colours: NDArray[np.uint8] = normal_colours(picture.channel("normals"), 8)
            return colours
        if self._output == "alpha":
            return colour_8bit(np.repeat(picture.alpha[..., None], 3, axis=-1))
        if self._lift.any():
            return colour_8bit(picture.rgb + (1 - picture.alpha[..., None]) * self._lift)
        return colour_8bit(picture.rgb)


def depths_in_view(camera: Camera, corners: NDArray[np.float64]) -> Span:
    """Depths (world units) that anything in a box [2, 3] can have from a camera's eye."""
    low, high = corners
    eye = camera.eye_world
    nearest = np.clip(eye, low, high)
    farthest = np.where(eye > 0.5 * (low + high), low, high)
    return float(np.linalg.norm(eye - nearest)), float(np.linalg.norm(eye - farthest))


def picture_jpeg(pixels: NDArray[np.uint8], *, is_fine: bool) -> bytes:
    """Colours [H, W, 3] as a JPEG."""
    quality = _FINE_QUALITY if is_fine else _COARSE_QUALITY
    return jpeg_bytes(pixels, quality=quality, full_colour=is_fine)


def packed(head: dict[str, Any], jpeg: bytes) -> bytes:
    """A message: bytes of the head as a 32-bit number (low byte first), the head in JSON, the JPEG."""
    text = json.dumps(head, separators=(",", ":")).encode()
    return len(text).to_bytes(4, "little") + text + jpeg
