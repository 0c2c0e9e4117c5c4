"""Depths, costs and normals as colours to look at, with a bar that says what they stand for."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from plenostream.export.pixels import colour_8bit, quantised

__all__ = ["COLORMAP_ENDS", "Span", "coloured", "normal_colours", "span_of", "with_scale"]

Span = tuple[float, float]
"""Smallest and largest value that colours stand for."""

_TABLES = {
    "turbo": cv2.COLORMAP_TURBO,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "plasma": cv2.COLORMAP_PLASMA,
    "cividis": cv2.COLORMAP_CIVIDIS,
}
"""OpenCV's tables; grey needs none."""
COLORMAP_ENDS = {
    "turbo": ("red", "blue"),
    "viridis": ("yellow", "violet"),
    "plasma": ("yellow", "blue"),
    "cividis": ("yellow", "dark blue"),
    "grey": ("white", "black"),
}
"""What the first and the last colour of each are called: near, or many, comes first."""

_NARROWEST = 96
"""Pixels of a picture with room for a bar and its numbers."""
_STRIP, _BAR, _MARGIN = 30, 10, 16
"""Pixels: height of the strip below a picture, height of the bar in it, left and right of it."""
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.36


def span_of(values: NDArray[np.float32], counts: NDArray[np.bool_]) -> Span | None:
    """Smallest and largest of the values that count; None where none does."""
    chosen = values[counts]
    return (float(chosen.min()), float(chosen.max())) if chosen.size else None


def coloured(
    values: NDArray[np.float32],
    opacity: NDArray[np.float32],
    span: Span | None,
    *,
    colormap: str,
    first_is_high: bool = False,
) -> NDArray[np.uint8]:
    """Colours [H, W, 3] of values [H, W], fading to black with `opacity` [H, W].

    The first colour of `COLORMAP_ENDS` is that of the low end of `span`, or with `first_is_high` of
    the high end. Where opacity is 0 a value may be anything.
    """
    low, high = span or (0.0, 0.0)
    known = np.where(opacity > 0, values, low)
    share = (known - low) / (high - low) if high > low else np.zeros_like(known)
    firstness = share if first_is_high else 1 - share
    return colour_8bit(_table(colormap)[colour_8bit(firstness)] * opacity[..., None])


def normal_colours(normals: NDArray[np.float32], bits: int) -> NDArray[Any]:
    """Unit vectors [H, W, 3] as 0.5 + 0.5 n; grey where there is none (0)."""
    return quantised(0.5 + 0.5 * normals, bits)


def with_scale(
    pixels: NDArray[np.uint8], span: Span | None, *, colormap: str, first_is_high: bool = False
) -> NDArray[np.uint8]:
    """A picture [H, W, 3] with a strip below: its colours from low to high, and numbers.

    A picture of nothing, or one too narrow for numbers, is given back as it is.
    """
    width = pixels.shape[1]
    if span is None or width < _NARROWEST:
        return pixels
    low, high = span
    strip = np.zeros((_STRIP, width, 3), np.uint8)
    ramp = np.linspace(low, high, width - 2 * _MARGIN, dtype=np.float32)[None]
    bar = coloured(ramp, np.ones_like(ramp), span, colormap=colormap, first_is_high=first_is_high)
    strip[4 : 4 + _BAR, _MARGIN : width - _MARGIN] = bar
    for tick in _ticks(low, high, most=max(2, width // 90)):
        share = (tick - low) / (high - low) if high > low else 0.5
        column = _MARGIN + round(share * (width - 2 * _MARGIN - 1))
        text = f"{tick:.4g}"
        (text_width, _), _ = cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)
        left = min(max(column - text_width // 2, 1), width - text_width - 1)
        strip[4 + _BAR : 7 + _BAR, column] = 255
        white = (255, 255, 255)
        cv2.putText(strip, text, (left, _STRIP - 3), _FONT, _FONT_SCALE, white, 1, cv2.LINE_AA)
    return np.concatenate([pixels, strip])


def _ticks(low: float, high: float, *, most: int) -> list[float]:
    """At most about `most` round numbers from `low` to `high`; the value itself where both are one."""
    if not high > low:
        return [low]
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * base for base in (1, 2, 5, 10) if power * base >= raw)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [number * step for number in range(first, last + 1)] or [low, high]


def _table(colormap: str) -> NDArray[np.float32]:
    """256 colours [256, 3], 0 to 1, red first; the last one is for near, or many."""
    steps = np.arange(256, dtype=np.uint8)
    if colormap == "grey":
        table = np.repeat(steps[:, None], 3, axis=1)
    else:
        table = np.asarray(cv2.applyColorMap(steps[:, None], _TABLES[colormap])[:, 0, ::-1])
    return table.astype(np.float32) / np.float32(255)
