"""From what a render gives (float32) to bytes of a picture, and how far two pictures are apart."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["DepthRange", "colour_8bit", "depth_8bit", "depth_range", "psnr", "straight_alpha_8bit"]

DepthRange = tuple[float, float]
"""Nearest and farthest depth (world units) that colours stand for."""

FAINTEST = 0.5
"""Opacity below which a pixel's depth has no say in the range of colours."""


def colour_8bit(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """`values` in [0, 1], of any shape, as 0 to 255; what is beyond is cut off."""
    scaled: NDArray[np.floating] = np.clip(values, 0.0, 1.0)
    scaled *= 255
    np.rint(scaled, out=scaled)
    return scaled.astype(np.uint8)


def straight_alpha_8bit(
    rgb: NDArray[np.float32], alpha: NDArray[np.float32], *, background: ArrayLike
) -> NDArray[np.uint8]:
    """Pixels [H, W, 4] as PNG defines them: colours not multiplied by alpha, without background.

    `rgb` [H, W, 3] holds alpha * colour + (1 - alpha) * background. Laid over a plain picture of
    that colour the result gives `rgb` again, and over another one what would be seen before it.
    """
    opacity = alpha[..., None]
    premultiplied = rgb - (1 - opacity) * np.asarray(background, np.float32)
    # Where nothing is seen any colour will do; black compresses best.
    colour = np.where(opacity > 0, premultiplied / np.where(opacity > 0, opacity, 1), 0)
    return colour_8bit(np.concatenate([colour, opacity], axis=-1, dtype=np.float32))


def depth_range(depth: NDArray[np.float32], alpha: NDArray[np.float32]) -> DepthRange | None:
    """Nearest and farthest mean depth of the pixels that are not faint; None where all are."""
    clear = alpha > FAINTEST
    if not clear.any():
        return None
    mean = depth[clear] / alpha[clear]
    return float(mean.min()), float(mean.max())


def depth_8bit(
    depth: NDArray[np.float32], alpha: NDArray[np.float32], span: DepthRange | None
) -> NDArray[np.uint8]:
    """Colours [H, W, 3] for depths [H, W]: red is near, blue is far, fading to black with alpha.

    `depth` is the expected depth, not divided by alpha; the colour stands for depth / alpha.
    """
    near, far = span or (0.0, 0.0)
    mean = depth / np.where(alpha > 0, alpha, 1)
    nearness = (far - mean) / (far - near) if far > near else np.ones_like(mean)
    bgr = cv2.applyColorMap(colour_8bit(nearness), cv2.COLORMAP_TURBO)
    return colour_8bit(bgr[..., ::-1] / np.float32(255) * alpha[..., None])


def psnr(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Peak signal-to-noise ratio in dB of two pictures of one shape, values in [0, 1]."""
    squares = np.square(np.asarray(first, np.float64) - np.asarray(second, np.float64))
    mean = float(squares.mean())
    return math.inf if mean == 0 else -10 * math.log10(mean)
