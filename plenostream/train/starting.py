"""The voxels of a scene, to go on from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InvalidInput
from plenostream.files.paths import PathLike
from plenostream.format.brick_rows import BrickRows
from plenostream.format.layout import SceneMeta
from plenostream.format.opening import open_store
from plenostream.format.reader import SceneStore
from plenostream.train.budget import TrainBudget
from plenostream.train.layers import TrainedLayers
from plenostream.train.rows import TrainedRows
from plenostream.train.state import BRICK_SIZE, TrainState
from plenostream.train.unit import TrainingUnit
from plenostream.train.voxel_set import VoxelSet

__all__ = ["contents_of", "started"]

_CHUNKS = 4


def contents_of(scene: PathLike) -> str:
    """What tells the contents of a scene from those of any other; raises as `started`."""
    with open_store(scene) as store:
        background = store.meta.background
        return store.meta.tables_digest + (background.digest if background else "")


def started(
    scene: PathLike, budget: TrainBudget, unit: TrainingUnit, *, squares: bool
) -> TrainState:
    """The state that a scene is, in the unit of training.

    Raises
    ------
    InvalidInput : it has a learned basis or device coordinates, or coefficients beyond float16, which are
        not trained. BudgetError : its voxels do not fit. StoreNotFound, StoreFormat, BrickCorrupt : it
        cannot be read.
    """
    with open_store(scene) as store:
        meta = store.meta
        _refuse(meta)
        budget.require(meta.n_voxels, meta.grid.size)
        places, first = np.unique(_places(store), return_index=True)
        density = np.empty(len(places), np.float32)
        sh = np.empty((len(places), meta.sh_columns), np.float32)
        _read(store, first, density, sh)
        _refuse_beyond_float16(sh)
        layers = None
        if meta.background is not None and meta.background.n_rows:
            layers = TrainedLayers.of_scene(store, squares=squares)
            unit.densities(layers.texels[..., 3])
    active = np.zeros(meta.grid.size, np.bool_)
    active.reshape(-1)[places] = True
    voxel_set = VoxelSet.of(active, unit.volume(meta.grid), BRICK_SIZE)
    rows = TrainedRows.new(unit.densities(density), sh, squares=squares)
    return TrainState(voxel_set=voxel_set, rows=rows, layers=layers)


def _refuse(meta: SceneMeta) -> None:
    for what, there in (
        ("a learned basis", meta.learned),
        ("normalised device coordinates", meta.ndc),
    ):
        if there is not None:
            raise InvalidInput(f"the scene has {what}, which cannot be trained yet")


def _refuse_beyond_float16(sh: NDArray[np.float32]) -> None:
    """Densities that float16 does not hold are opaque all the same; colours would be others."""
    largest = max(-float(sh.min(initial=0.0)), float(sh.max(initial=0.0)))
    most = float(np.finfo(np.float16).max)
    if largest > most:
        raise InvalidInput(
            f"the scene has coefficients of up to {largest:.3g}, and what is trained is kept in float16, "
            f"which ends at {most:g}; it cannot be trained"
        )


def _places(store: SceneStore) -> NDArray[np.int64]:
    """Where the voxel of each row of a scene is, counted through the grid in C order."""
    meta, tables = store.meta, store.tables
    bits = np.unpackbits(tables.mask, axis=1, bitorder="little", count=meta.bricks.voxels)
    brick, local = np.nonzero(bits)
    within = np.stack(np.unravel_index(local, (meta.bricks.edge,) * 3), -1)
    voxel = tables.index[brick].astype(np.int64) * meta.brick_size + within
    _, y, z = meta.grid.size
    found: NDArray[np.int64] = (voxel[:, 0] * y + voxel[:, 1]) * z + voxel[:, 2]
    return found


def _read(
    store: SceneStore,
    wanted: NDArray[np.int64],
    density: NDArray[np.float32],
    sh: NDArray[np.float32],
) -> None:
    """Fill in the rows `wanted` [n] of a scene."""
    rows = BrickRows(store, n_chunks=_CHUNKS)
    order = np.argsort(wanted)
    rising = wanted[order]
    row_start = store.tables.row_start
    ends = np.searchsorted(rising, row_start)
    for brick in range(len(row_start) - 1):
        mine = slice(ends[brick], ends[brick + 1])
        inside = rising[mine] - row_start[brick]
        density[order[mine]] = rows.rows("rows/density", brick)[inside]
        sh[order[mine]] = rows.rows("rows/sh", brick)[inside]
