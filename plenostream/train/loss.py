"""What is made small: the squared error of photographs, and what else is asked of rays and rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from plenostream.integrator.interface import LossByRays
from plenostream.train.behind import Behind
from plenostream.train.exposure import BatchExposure
from plenostream.train.photographs import Batch
from plenostream.train.rows import Variation
from plenostream.train.voxel_set import VoxelSet

__all__ = ["BatchLoss", "total_variation"]

_BETA_EPSILON = 1e-3
"""Added to alpha in the loss of concentration, as in svox2."""
_LEAST_TRANS = 1e-6
_TV_UNIT = 256.0
"""Voxels an axis of a grid whose differences count once."""


@dataclass(slots=True, kw_only=True)
class BatchLoss:
    """The loss of a batch: the mean squared error of all channels of its n rays, the mean of
    ``beta (log T + log(1 - T + 0.001))`` with T the light that passes a ray, and sparsity.

    Source: svox2, ``volume_render_fused`` (``svox2/svox2.py``) and ``trace_ray_cuvol_backward``
    (``csrc/render_lerp_kernel_cuvol.cu``), which takes no mean of sparsity; so here.
    """

    batch: Batch
    behind: Behind
    beta: float
    sparsity: float
    exposure: BatchExposure | None = None
    """How brightly the photographs were taken, where that is learnt."""
    n_rays: int = field(init=False)
    squares: float = 0.0
    """Sum of squared errors, of the tiles seen so far."""

    def __post_init__(self) -> None:
        self.n_rays = max(int(self.batch.tiles.valid.sum()), 1)

    def __call__(
        self, part: slice, rgb: NDArray[np.float32], alpha: NDArray[np.float32]
    ) -> LossByRays:
        """See `walk.Loss`."""
        tiles, shown = self.batch.tiles.some(part), self.batch.rgb[part]
        left = 1.0 - alpha
        behind = self.behind.seen(tiles, left)
        if self.exposure is None:
            error = rgb + behind - shown
        else:
            full = self.exposure.take(part, rgb, behind, shown, tiles.valid)
            gain, gain_behind = self.exposure.gains(part)
            error = gain * rgb + gain_behind * behind - shown
            error[full & (error > 0.0)] = 0.0
        error *= tiles.valid[..., None]
        self.squares += float(np.square(error).sum(dtype=np.float64))
        by_rgb = by_behind = np.float32(2.0 / (3 * self.n_rays)) * error
        if self.exposure is not None:
            by_rgb, by_behind = gain * by_rgb, gain_behind * by_behind
        by_alpha = -self.behind.back(tiles, left, by_behind)
        if self.beta > 0.0:
            by_log = self.beta / self.n_rays * (1.0 - left / (alpha + _BETA_EPSILON))
            by_alpha -= tiles.valid * by_log / np.maximum(left, _LEAST_TRANS)
        return LossByRays(
            rgb=rgb,
            alpha=alpha,
            by_rgb=by_rgb.astype(np.float32),
            by_alpha=by_alpha.astype(np.float32),
            sparsity=self.sparsity,
        )

    @property
    def mean(self) -> float:
        """Mean squared error of a channel."""
        return self.squares / (3 * self.n_rays)

    @property
    def psnr(self) -> float:
        """The same in dB."""
        return -10.0 * math.log10(max(self.mean, 1e-12))


def total_variation(
    voxel_set: VoxelSet, start: int, share: float, weights: tuple[float, float]
) -> list[Variation]:
    """The total variation of a share of the grid's voxels, from voxel `start` on and around the grid's
    end: as many as svox2 takes, and of these the ones that have rows.

    `weights` are those of densities and of coefficients.
    """
    n = int(np.prod(voxel_set.grid.size, dtype=np.int64))
    count = max(int(share * n), 1)
    size = np.array(voxel_set.grid.size, np.float64)
    squares = np.square(size / _TV_UNIT).astype(np.float32)
    spans = [(start, min(start + count, n)), (0, max(start + count - n, 0))]
    found = []
    for low, high in spans:
        first, end = np.searchsorted(voxel_set.places, [low, high])
        if first < end:
            found.append(
                Variation(
                    first=int(first),
                    end=int(end),
                    squares=squares,
                    density_weight=weights[0] / count,
                    sh_weight=weights[1] / count,
                )
            )
    return found
