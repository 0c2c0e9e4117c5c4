"""What each output of a render looks like in a picture to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plenostream.export.colormaps import (
    COLORMAP_ENDS,
    Span,
    coloured,
    normal_colours,
    span_of,
    with_scale,
)
from plenostream.export.pixels import quantised, straight_alpha
from plenostream.options import FileOptions
from plenostream.results import RenderResult

__all__ = ["Painter"]

_FAINTEST = 0.5
"""Opacity below which a pixel's depth has no say in the range of colours."""


class Painter:
    """Pixels of pictures, red first.

    Colours of depths and costs mean the same in all frames that one painter paints: their range is
    that of the first frame that has any.
    """

    def __init__(self, *, background: ArrayLike, options: FileOptions) -> None:
        self.spans: dict[str, Span] = {}
        """Range of values that colours stand for, by output."""
        self._background, self._options = background, options

    def colours(
        self, picture: RenderResult, outputs: Sequence[str], bits: int | None = None
    ) -> NDArray[Any]:
        """rgb [H, W, 3], rgb with straight alpha [H, W, 4], or alpha [H, W]: what of them `outputs`
        names; whole numbers of `bits`, those of a PNG unless said."""
        if "rgb" not in outputs:
            values = picture.alpha
        elif "alpha" in outputs:
            values = straight_alpha(picture.rgb, picture.alpha, background=self._background)
        else:
            values = picture.rgb
        return quantised(values, bits or self._options.png_bits)

    def map_of(self, picture: RenderResult, name: str) -> NDArray[Any]:
        """A picture [H, W, 3] of an output that is no colour; lower by a bar of its scale."""
        if name == "normals":
            return normal_colours(picture.channel(name), self._options.png_bits)
        values, opacity = _measured(picture, name)
        if name not in self.spans:
            counts = np.ones(values.shape, np.bool_) if name == "cost" else opacity > _FAINTEST
            found = span_of(values, counts)
            if found is not None:
                self.spans[name] = (0.0, found[1]) if name == "cost" else found
        span = self.spans.get(name)
        colormap, many = self._options.depth_colormap, name == "cost"
        pixels = coloured(values, opacity, span, colormap=colormap, first_is_high=many)
        return with_scale(pixels, span, colormap=colormap, first_is_high=many)

    def notes(self) -> list[str]:
        """Which values the colours stand for, a line an output."""
        colormap = self._options.depth_colormap
        first, last = COLORMAP_ENDS[colormap]
        lines = []
        for name, (low, high) in self.spans.items():
            ends = (last, first) if name == "cost" else (first, last)
            unit = "samples a pixel" if name == "cost" else "world units"
            lines.append(
                f"colours of {name} ({colormap}): {ends[0]} {low:.4g}, {ends[1]} {high:.4g} ({unit})"
            )
        return lines


def _measured(picture: RenderResult, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Values [H, W] that colours stand for, and how much of the colour is shown, 0 to 1."""
    if name == "cost":
        cost = picture.channel(name)
        return cost, np.ones_like(cost)
    if name in ("depth", "mean-depth"):
        # The expected depth is that of what is seen times how much is seen; layers behind it, which
        # alpha counts, have none.
        mean = picture.mean_depth
        weight = picture.alpha if picture.depth_weight is None else picture.depth_weight
        return mean, np.where(np.isfinite(mean), weight, np.float32(0))
    values = picture.channel(name)
    return values, np.isfinite(values).astype(np.float32)
