"""Steps on one set of voxels: a batch of rays forward and back, and the rows that it touched a step down."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from plenostream.field.tiles import TILE_RAYS
from plenostream.options import RenderOptions, StreamOptions, TrainOptions
from plenostream.process.closing import Closing
from plenostream.train.behind import Behind, Colour, Layers
from plenostream.train.compiled_rows import row_work
from plenostream.train.layers import LARGEST_SHARE, TrainedLayers
from plenostream.train.loss import BatchLoss, total_variation
from plenostream.train.photographs import Photographs
from plenostream.train.rows import Descent
from plenostream.train.state import TrainState
from plenostream.train.walk import Walk

__all__ = ["Stage"]


class Stage(Closing):
    """A set of voxels with its rows, and the integrator that draws them; a context manager."""

    def __init__(
        self,
        state: TrainState,
        photographs: Photographs,
        options: TrainOptions,
        render: RenderOptions,
        stream: StreamOptions,
        *,
        colours_only: bool,
    ) -> None:
        """Take the voxels of a state, and what is trained beside them. With `colours_only`, densities stay.

        Raises BudgetError and DeviceError as `Walk`.
        """
        voxel_set, rows = state.voxel_set, state.rows
        self.voxel_set = voxel_set
        self._photographs, self._options = photographs, options
        self.behind: Behind = Colour(render.background_rgb)
        self._layers = state.layers
        if state.layers is not None:
            self.behind = Layers(state.layers, voxel_set.grid, render)
        self._exposures = state.exposures
        self._density_factor = 0.0 if colours_only else 1.0
        self._n_tiles = max(1, round(options.rays / TILE_RAYS))
        n_threads = stream.n_threads or len(os.sched_getaffinity(0))
        self._work = row_work(rows, voxel_set.beyond, n_threads=n_threads)
        self.walk = Walk(voxel_set, rows, render, stream, differentiate=True)

    def close(self) -> None:
        """Give back the device and the threads."""
        self.walk.close()
        self._work.close()

    def step(
        self, number: int, rates: tuple[float, float], texel_rates: tuple[float, float]
    ) -> float:
        """Take step `number` of the training with these rates of densities and coefficients, and of densities
        and colours of layers; the mean squared error of its rays before.

        Everything random comes from the number, so that a training that is resumed goes on as it would
        have.
        """
        options = self._options
        rng = np.random.default_rng((options.seed, number))
        n_views = min(options.views_a_step, self._n_tiles)
        batch = self._photographs.batch(rng, self._n_tiles, n_views, options.spacing)
        exposure = None
        if self._exposures is not None:
            exposure = self._exposures.of_batch(batch, self._photographs)
        loss = BatchLoss(
            batch=batch,
            behind=self.behind,
            beta=options.beta,
            sparsity=options.sparsity,
            exposure=exposure,
        )
        self.walk.changed(self.walk.learn(batch.tiles, loss))
        if self._exposures is not None and exposure is not None:
            self._exposures.learn(exposure)
        weights = self._density_factor * options.tv_sigma, options.tv_sh
        if max(weights) > 0.0 and options.tv_share > 0.0:
            start = int(rng.integers(int(np.prod(self.voxel_set.grid.size))))
            for variation in total_variation(self.voxel_set, start, options.tv_share, weights):
                self._work.vary(variation)
                self.walk.changed(self._bricks(variation.first, variation.end))
        density_rate, sh_rate = rates
        self._work.descend(
            Descent(
                density_rate=self._density_factor * density_rate,
                sh_rate=sh_rate,
                beta=options.rms_beta,
            )
        )
        if self._layers is not None:
            self._step_layers(self._layers, rng, texel_rates)
        return loss.mean

    def _step_layers(
        self, layers: TrainedLayers, rng: np.random.Generator, rates: tuple[float, float]
    ) -> None:
        options, (density_rate, colour_rate) = self._options, rates
        if options.tv_texels > 0.0 and options.tv_share > 0.0:
            start = int(rng.integers(layers.links.size))
            layers.vary(start, min(options.tv_share, LARGEST_SHARE), options.tv_texels)
        layers.descend(
            Descent(
                density_rate=self._density_factor * density_rate,
                sh_rate=colour_rate,
                beta=options.rms_beta,
            )
        )

    def _bricks(self, first: int, end: int) -> NDArray[np.int64]:
        """Bricks that the voxels [first, end) lie in."""
        found = np.zeros(self.voxel_set.n_bricks, bool)
        found[self.voxel_set.home[first:end]] = True
        return np.flatnonzero(found)
