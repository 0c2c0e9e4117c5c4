"""Pictures that are put together from the parts that workers drew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.cluster.drawing import Drawn
from plenostream.results import FrameStats, RenderResult

__all__ = ["Making", "not_sent", "together"]

_LARGEST = ("peak_", "planned_", "allowed_")
"""Counters of which the largest of a picture's parts is told; those of time, and all others, add up."""


class Making:
    """A picture whose parts come one after another."""

    def __init__(self, camera: Camera) -> None:
        """Begin the picture that `camera` takes."""
        self._size = camera.height, camera.width
        self._arrays: dict[str, NDArray[np.float32]] = {}
        self._stats: list[FrameStats] = []

    def put(self, top: int, part: Drawn) -> None:
        """Fill in the rows from `top` on."""
        for name, rows in part.arrays.items():
            if len(rows) == self._size[0]:
                self._arrays[name] = rows  # all of them: nothing is copied
                continue
            if name not in self._arrays:
                self._arrays[name] = np.empty((self._size[0], *rows.shape[1:]), np.float32)
            self._arrays[name][top : top + len(rows)] = rows
        self._stats.append(part.stats)

    def finished(self) -> RenderResult:
        """The picture."""
        return RenderResult(**not_sent(*self._size) | self._arrays, stats=together(self._stats))


def not_sent(*shape: int) -> dict[str, NDArray[np.float32]]:
    """In place of rgb [*shape, 3], alpha and depth [*shape] that workers did not send: NaN, read-only."""
    nothing = np.broadcast_to(np.float32(np.nan), (*shape, 3))
    return {"rgb": nothing, "alpha": nothing[..., 0], "depth": nothing[..., 0]}


def together(parts: Sequence[FrameStats]) -> FrameStats:
    """The counters of a picture from those of its parts."""
    whole = FrameStats()
    for counter in fields(FrameStats):
        values = [getattr(part, counter.name) for part in parts]
        if counter.name in ("backend", "precision"):
            joined: Any = values[0]
        else:
            joined = (max if counter.name.startswith(_LARGEST) else sum)(values)
        setattr(whole, counter.name, joined)
    return whole
