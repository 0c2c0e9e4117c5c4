"""From what a render gives (float32) to whole numbers of a picture, and how far two pictures are apart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["colour_8bit", "psnr", "quantised", "straight_alpha"]


def quantised(values: NDArray[np.floating], bits: int) -> NDArray[Any]:
    """`values` in [0, 1], of any shape, as whole numbers of 8 or 16 bits; what is beyond is cut off."""
    scaled: NDArray[np.floating] = np.clip(values, 0.0, 1.0)
    scaled *= 2**bits - 1
    np.rint(scaled, out=scaled)
    return scaled.astype(np.uint8 if bits == 8 else np.uint16)


def colour_8bit(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """`values` in [0, 1], of any shape, as 0 to 255; what is beyond is cut off."""
    return quantised(values, 8)


def straight_alpha(
    rgb: NDArray[np.float32], alpha: NDArray[np.float32], *, background: ArrayLike
) -> NDArray[np.float32]:
    """Pixels [H, W, 4] as PNG defines them: colours not multiplied by alpha, without background.

    `rgb` [H, W, 3] holds alpha * colour + (1 - alpha) * background. Laid over a plain picture of
    that colour the result gives `rgb` again, and over another one what would be seen before it.
    """
    opacity = alpha[..., None]
    premultiplied = rgb - (1 - opacity) * np.asarray(background, np.float32)
    # Where nothing is seen any colour will do; black compresses best.
    colour = np.where(opacity > 0, premultiplied / np.where(opacity > 0, opacity, 1), 0)
    return np.concatenate([colour, opacity], axis=-1, dtype=np.float32)


def psnr(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Peak signal-to-noise ratio in dB of two pictures of one shape, values in [0, 1]."""
    squares = np.square(np.asarray(first, np.float64) - np.asarray(second, np.float64))
    mean = float(squares.mean())
    return math.inf if mean == 0 else -10 * math.log10(mean)
