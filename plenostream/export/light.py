"""Between sRGB, in which photographs and models of them have their colours, and linear light.

Source: IEC 61966-2-1. Values above 1 go on along the same curve, so that nothing is cut off.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LINEAR", "SRGB", "encoded", "linear_colours", "linear_light"]

LINEAR, SRGB = "lin_rec709_scene", "srgb_rec709_scene"
"""Names of both in the attribute ``colorInteropID`` of OpenEXR (Color Interop Forum)."""


def linear_light(encoded: NDArray[np.float32]) -> NDArray[np.float32]:
    """Light of sRGB values, 0 and more."""
    curve = ((np.maximum(encoded, 0) + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.where(encoded <= np.float32(0.04045), encoded / np.float32(12.92), curve)


def encoded(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """sRGB values of light, 0 and more."""
    curve = np.float32(1.055) * np.maximum(light, 0) ** np.float32(1 / 2.4) - np.float32(0.055)
    return np.where(light <= np.float32(0.0031308), light * np.float32(12.92), curve)


def linear_colours(
    rgb: NDArray[np.float32], alpha: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Light of colours [H, W, 3]; with `alpha` [H, W], by which they are multiplied before and after."""
    if alpha is None:
        return linear_light(rgb)
    opacity = alpha[..., None]
    colour = np.where(opacity > 0, rgb / np.where(opacity > 0, opacity, 1), 0)
    return linear_light(colour) * opacity
