"""How brightly each photograph was taken: a gain by which it shows more or less than the scene.

A photograph P of gain g shows ``g C`` where the scene has the colour C. Of all the pixels of it that steps
have seen, each step's counting less than the one after, the best gain is ``sum C P / sum C^2``. The mean of
all photographs' gains stays 1: what they have in common is the scene's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from plenostream.train.photographs import Batch, Photographs

__all__ = ["BatchExposure", "Exposures"]

_KEPT = 0.85
"""What the pixels of earlier steps count once more are seen of their photograph."""
_PRIOR = 1.0
"""Of sums: a white pixel of gain 1, by which all begin."""


@dataclass(slots=True, kw_only=True, eq=False)
class BatchExposure:
    """Gains of t tiles, and what their pixels say of these."""

    photograph: NDArray[np.int64]
    """[t]."""
    gain: NDArray[np.float32]
    """[t, 3]."""
    cut_out: NDArray[np.bool_]
    """[t]: whether what lies behind the volume was laid behind the photograph, and has no gain."""
    levels: NDArray[np.bool_]
    """[t]: whether it is as bright as can be where it is 1, however bright that was."""
    sums: NDArray[np.float64] = field(init=False)
    """[t, 2, 3]: sums of C P and C^2 of the tiles seen so far."""

    def __post_init__(self) -> None:
        self.sums = np.zeros((len(self.photograph), 2, 3))

    def gains(self, part: slice) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Of the volume [t, 1, 3], and of what lies behind it."""
        gain = self.gain[part, None]
        return gain, np.where(self.cut_out[part, None, None], np.float32(1.0), gain)

    def take(
        self,
        part: slice,
        volume: NDArray[np.float32],
        behind: NDArray[np.float32],
        shown: NDArray[np.float32],
        valid: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        """Count pixels: what is seen [t, 64, 3] of the volume and of what lies behind it, and what the
        photograph has there; which of these tell nothing, being as bright as can be."""
        cut_out = self.cut_out[part, None, None]
        scene = np.where(cut_out, volume, volume + behind)
        photograph = np.where(cut_out, shown - behind, shown)
        full = self.levels[part, None, None] & ~cut_out & (shown >= 1.0)
        counted = np.where(valid[..., None] & ~full, scene, 0.0)
        self.sums[part, 0] = (counted * photograph).sum(1, dtype=np.float64)
        self.sums[part, 1] = (counted * counted).sum(1, dtype=np.float64)
        return full


class Exposures:
    """The gains of n photographs."""

    def __init__(
        self, n: int, *, by_channel: bool, sums: NDArray[np.float64] | None = None
    ) -> None:
        """`sums` [n, 2, 3]: what an earlier run had learnt of them."""
        self.sums = np.zeros((n, 2, 3)) if sums is None else sums
        self._by_channel = by_channel

    def gains(self) -> NDArray[np.float32]:
        """[n, 3], 1 on average."""
        sums = self.sums
        if not self._by_channel:
            sums = np.broadcast_to(sums.mean(2, keepdims=True), sums.shape)
        gains = (sums[:, 0] + _PRIOR) / (sums[:, 1] + _PRIOR)
        found: NDArray[np.float32] = (gains / gains.mean(0)).astype(np.float32)
        return found

    def of_batch(self, batch: Batch, photographs: Photographs) -> BatchExposure:
        """Those of a step's tiles."""
        number = batch.photograph
        return BatchExposure(
            photograph=number,
            gain=self.gains()[number],
            cut_out=np.array(photographs.cut_out)[number],
            levels=np.array(photographs.levels)[number],
        )

    def learn(self, batch: BatchExposure) -> None:
        """Take what a step saw of its photographs."""
        seen = np.unique(batch.photograph)
        self.sums[seen] *= _KEPT
        np.add.at(self.sums, batch.photograph, batch.sums)
