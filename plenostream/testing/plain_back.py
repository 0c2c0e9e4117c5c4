"""The way back of the integrator in plain NumPy: derivatives of a loss by rows, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.integrator.interface import (
    OPAQUE_LENGTH,
    Light,
    LossByRays,
    RowDerivatives,
    SampleRule,
)

__all__ = ["BackSamples", "PlainBack"]

Floats = NDArray[np.float64]
_CORNERS = np.array(list(np.ndindex(2, 2, 2)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BackSamples:
    """Samples of n rays in a brick, one each."""

    rays: NDArray[np.int64]
    """[n]"""
    slot: int
    voxels: NDArray[np.int64]
    """[n, 8]: the corners of their cells."""
    within: Floats
    """[n, 3]: where they lie in these."""
    sigma: Floats
    """[n]: density, 0 where they do not count."""
    length: Floats
    """[n]: world units."""
    weight: Floats
    """[n]"""
    after: Floats
    """[n]: light left behind them, whether or not the ray ends there."""
    signed: Floats
    """[n, 3]: colour, before it is clamped."""
    seen: Floats
    """[n, 3]: what their rays have seen, with them."""
    basis: Floats
    """[n, K]"""


class PlainBack:
    """Derivatives beside a pool, and the loss that rays go back for."""

    def __init__(self, rule: SampleRule, row_of: NDArray[np.int64], rows: Floats) -> None:
        """Take where the pool's rows are: `row_of` [slots, voxels], 0 where there is none."""
        self._rule, self._row_of = rule, row_of
        kept = rule.differentiate
        self._by_density: Floats = np.zeros(row_of.shape if kept else (0, 0))
        self._by_sh: Floats = np.zeros(rows.shape if kept else (0, 0))
        self._loss: LossByRays | None = None

    @property
    def nbytes(self) -> int:
        return self._by_density.nbytes + self._by_sh.nbytes

    @property
    def is_on(self) -> bool:
        return self._loss is not None

    def begin(self, loss: LossByRays) -> None:
        assert self._rule.differentiate
        assert self._rule.light is not Light.ADDS_UP
        self._loss = loss

    def end(self) -> None:
        self._loss = None

    def clear(self, slot: int) -> None:
        """A brick has come to `slot`."""
        if self._rule.differentiate:
            self._by_density[slot] = 0.0
            self._by_sh[self._row_of[slot]] = 0.0

    def add(self, samples: BackSamples) -> None:
        """Add what samples say; see `docs/rules.md`, rule 34."""
        loss, rays, some = self._loss, samples.rays, samples
        assert loss is not None
        rgb, by_rgb = (a.reshape(-1, 3)[rays].astype(float) for a in (loss.rgb, loss.by_rgb))
        alpha, by_alpha = (a.reshape(-1)[rays].astype(float) for a in (loss.alpha, loss.by_alpha))
        behind = (by_rgb * (rgb - some.seen)).sum(1)
        left = 1.0 - alpha
        if self._rule.light is Light.OPAQUE_END:
            # Nothing lies behind it, whatever float32 says of its colours: its length is 1e9.
            ends = some.length == OPAQUE_LENGTH
            behind[ends] = 0.0
            left = np.where(ends, some.after * (some.after >= self._rule.stop_thresh), left)
        own = (by_rgb * np.maximum(some.signed, 0.0)).sum(1)
        by_sigma = some.length * (own * some.after - behind + by_alpha * left)
        by_sigma += loss.sparsity * 4.0 * some.sigma / (1.0 + 2.0 * some.sigma**2)
        by_sigma = np.where(some.sigma > 0.0, by_sigma, 0.0)
        by_colour = np.where(some.signed > 0.0, by_rgb, 0.0) * some.weight[:, None]
        n = len(rays)
        by_sh = (by_colour.reshape(n, 3, 1) * some.basis.reshape(n, 1, -1)).reshape(n, -1)
        for corner, offset in enumerate(_CORNERS):
            share = np.where(offset, some.within, 1.0 - some.within).prod(1)
            voxel = some.voxels[:, corner]
            np.add.at(self._by_density[some.slot], voxel, share * by_sigma)
            np.add.at(self._by_sh, self._row_of[some.slot, voxel], share[:, None] * by_sh)

    def take(self, slots: NDArray[np.int32], into: RowDerivatives | None) -> RowDerivatives:
        """See `Integrator.derivatives`."""
        active = [np.flatnonzero(self._row_of[slot]) for slot in slots]
        n = sum(len(voxels) for voxels in active)
        columns = self._by_sh.shape[-1]
        found = RowDerivatives.zeros(n, columns) if into is None else into
        assert len(found.density) == n
        start = 0
        for slot, voxels in zip(slots, active, strict=True):
            mine = found.rows(start, start := start + len(voxels))
            if mine.touched is not None:
                mine.touched[:] = True
            mine.density[:] = self._by_density[slot, voxels]
            mine.sh[:] = self._by_sh[self._row_of[slot, voxels]]
            self.clear(int(slot))
        return found
