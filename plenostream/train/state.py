"""How far a training is: the voxels and rows as they are, and how they change from stage to stage."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InvalidInput
from plenostream.field.grid import GridSpec
from plenostream.options import TrainOptions
from plenostream.train.budget import TrainBudget
from plenostream.train.exposure import Exposures
from plenostream.train.growing import (
    Views,
    covered,
    finer_voxels,
    heavy_voxels,
    interpolated_rows,
    weights_of,
)
from plenostream.train.layers import TrainedLayers
from plenostream.train.report import Reading
from plenostream.train.rows import TrainedRows
from plenostream.train.voxel_set import VoxelSet

__all__ = ["BRICK_SIZE", "TrainState", "grown", "new_state", "pruned", "resized"]

BRICK_SIZE = 8
"""Cells an axis of a brick while it is trained: a step then brings few rows that it does not touch."""
_WEIGHT_SIZE = 256
"""Voxels along z of the grid that `TrainOptions.min_weight` is for."""


@dataclass(slots=True, kw_only=True, eq=False)
class TrainState:
    """How far a training is."""

    voxel_set: VoxelSet
    rows: TrainedRows
    layers: TrainedLayers | None = None
    """Behind the volume, where some are trained."""
    exposures: Exposures | None = None
    """None: all photographs are taken to be of one."""
    stage: int = 0
    step: int = 0
    seconds: float = 0.0
    """Spent by runs before this one."""
    readings: list[Reading] = field(default_factory=list)


def new_state(grid: GridSpec, options: TrainOptions) -> TrainState:
    """All voxels of a grid, grey and of a density that lets light through."""
    voxel_set = VoxelSet.of(np.ones(grid.size, np.bool_), grid, BRICK_SIZE)
    n, columns = voxel_set.n_voxels, 3 * options.basis_dim
    density = np.full(n, options.init_sigma, np.float32)
    rows = TrainedRows.new(density, np.zeros((n, columns), np.float32), squares=_squares(options))
    return TrainState(voxel_set=voxel_set, rows=rows)


def resized(state: TrainState, grid: GridSpec, options: TrainOptions) -> None:
    """Give a state the voxels of another grid that its own reach."""
    if grid != state.voxel_set.grid:
        _put(state, covered(state.voxel_set, grid), grid, options)


def grown(
    state: TrainState,
    grid: GridSpec,
    options: TrainOptions,
    views: Views,
    budget: TrainBudget,
    *,
    dilation: int,
) -> None:
    """Give a state the voxels of a finer grid that matter to views."""
    before = state.voxel_set.n_voxels
    most = budget.most_voxels(before, grid.size)
    found, density = finer_voxels(
        state.voxel_set,
        state.rows.density,
        grid,
        brick_size=BRICK_SIZE,
        most=budget.most_weighed(before, grid.size),
    )
    weights = weights_of(found, density, views)
    least = _least_weight(grid, options)
    active = heavy_voxels(found, weights, least, times=dilation, most=most)
    if not active.any():
        wanted = weights >= least if found.n_voxels else state.rows.density > 0.0
        if wanted.any():
            budget.require(before + most + 1, grid.size)
        raise _nothing_left()
    del found, density, weights
    _put(state, active, grid, options)


def pruned(state: TrainState, options: TrainOptions, views: Views, *, dilation: int) -> None:
    """Leave out the voxels of a state that do not matter to views; all others stay as they are."""
    voxel_set = state.voxel_set
    weights = weights_of(voxel_set, state.rows.density, views)
    least = _least_weight(voxel_set.grid, options)
    active = heavy_voxels(voxel_set, weights, least, times=dilation)
    kept = active.reshape(-1)[voxel_set.places]
    if not kept.any():
        raise _nothing_left()
    active &= voxel_set.active()
    density, sh = state.rows.density, state.rows.sh
    # What was learnt of them goes first: it takes more than the copies do.
    state.rows = TrainedRows.new(density[:0], sh[:0], squares=False)
    state.rows = TrainedRows.new(density[kept], sh[kept], squares=_squares(options))
    state.voxel_set = VoxelSet.of(active, voxel_set.grid, BRICK_SIZE)


def _least_weight(grid: GridSpec, options: TrainOptions) -> float:
    return options.min_weight * _WEIGHT_SIZE / grid.size[2]


def _nothing_left() -> InvalidInput:
    return InvalidInput(
        "training has left nothing that a view sees. Cameras may look past the volume (radius, center), "
        "photographs may show the background alone, or init_sigma may be too low or min_weight too high"
    )


def _put(
    state: TrainState, active: NDArray[np.bool_], grid: GridSpec, options: TrainOptions
) -> None:
    density, sh = interpolated_rows(state.voxel_set, state.rows, active, grid)
    state.rows = TrainedRows.new(density, sh, squares=_squares(options))
    state.voxel_set = VoxelSet.of(active, grid, BRICK_SIZE)


def _squares(options: TrainOptions) -> bool:
    return options.optimiser == "rmsprop"
