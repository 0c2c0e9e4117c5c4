"""The tables of a scene: what `bricks/` says about every brick, read whole when a scene opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import BLOCK_SIZE
from plenostream.format.digests import tables_digest
from plenostream.format.layout import TABLES, SceneMeta

__all__ = ["BrickTables", "content_faults", "structure_faults"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BrickTables:
    """One entry per stored brick, n in all; read-only arrays (see `layout`)."""

    index: NDArray[np.int32]
    """Brick coordinates [n, 3]."""
    row_start: NDArray[np.int64]
    """Rows of brick b are [row_start[b], row_start[b + 1]); [n + 1]."""
    mask: NDArray[np.uint8]
    """Bits of the active voxels [n, ceil((B + 1)^3 / 8)], little bit order."""
    boxes: NDArray[np.uint8]
    """Tight boxes [n, blocks, 6], lower and upper cell (exclusive) within the brick."""
    density_max: NDArray[np.float32]
    """Largest density [n], per world unit; 0 where the brick is not occupied."""
    sh_bound: NDArray[np.float32]
    """Largest norms of the coefficients of degree 0, 1, and 2 or more, [n, 3]."""
    digest: NDArray[np.uint64]
    """`brick_digest` of each brick [n]."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> BrickTables:
        """The tables from arrays by name (``bricks/index``, ...), which become read-only."""
        values = {name: arrays[f"bricks/{name}"] for name in TABLES}
        for array in values.values():
            array.flags.writeable = False
        return cls(**values)

    @property
    def occupied(self) -> NDArray[np.bool_]:
        """Bricks that hold a voxel of positive density [n]: the only ones that renders read."""
        return self.density_max > 0

    @property
    def nbytes(self) -> int:
        """Bytes that the tables hold in memory."""
        return sum(int(getattr(self, name).nbytes) for name in TABLES)


def structure_faults(meta: SceneMeta, tables: BrickTables) -> list[str]:
    """Why it cannot be told which rows belong to which brick, a sentence each beginning with the
    array's name; empty if it can.

    The arrays have the shapes of `array_specs(meta)`. Later code relies on this and on
    `content_faults`: it indexes with these numbers without looking at them again.
    """
    return [*_place_faults(meta, tables), *_row_faults(meta, tables)]


def content_faults(meta: SceneMeta, tables: BrickTables) -> list[str]:
    """What else in the tables contradicts itself or the attributes, sentences as above."""
    faults = _box_faults(meta, tables)
    bounds = (("bricks/density_max", tables.density_max), ("bricks/sh_bound", tables.sh_bound))
    for name, values in bounds:
        if not ((values >= 0) & np.isfinite(values)).all():
            faults.append(f"{name} has values that are negative or not finite")
    if (n := int(tables.occupied.sum())) != meta.n_occupied:
        faults.append(f"bricks/density_max has {n} occupied bricks, expected {meta.n_occupied}")
    digest = tables_digest({f"bricks/{name}": getattr(tables, name) for name in TABLES})
    if not faults and digest != meta.tables_digest:
        faults.append(
            "bricks/ has arrays that are not those which were written with this scene: their "
            f"digest is {digest}, expected {meta.tables_digest}"
        )
    return faults


def _place_faults(meta: SceneMeta, tables: BrickTables) -> list[str]:
    shape = meta.bricks.shape
    if ((tables.index < 0) | (tables.index >= shape)).any():
        return [f"bricks/index has bricks outside the grid of {shape} bricks"]
    x, y, z = tables.index.T.astype(np.int64)
    if len(np.unique((x * shape[1] + y) * shape[2] + z)) != meta.n_bricks:
        return ["bricks/index has the same brick twice"]
    return []


def _row_faults(meta: SceneMeta, tables: BrickTables) -> list[str]:
    ends = int(tables.row_start[0]), int(tables.row_start[-1])
    if ends != (0, meta.n_rows):
        return [f"bricks/row_start runs from {ends[0]} to {ends[1]}, expected 0 to {meta.n_rows}"]
    active = np.bitwise_count(tables.mask).sum(axis=1, dtype=np.int64)
    if (active == 0).any():
        return ["bricks/mask has bricks without a voxel"]
    if (np.diff(tables.row_start) != active).any():
        return ["bricks/mask and bricks/row_start contradict each other"]
    unused = 8 * meta.bricks.mask_bytes - meta.bricks.voxels
    if (tables.mask[:, -1] >> np.uint8(8 - unused)).any():
        return ["bricks/mask has bits for voxels that bricks do not have"]
    return []


def _box_faults(meta: SceneMeta, tables: BrickTables) -> list[str]:
    bricks = meta.bricks
    lower, upper = tables.boxes[..., :3], tables.boxes[..., 3:]
    filled = (lower < upper).all(axis=-1)
    axis = np.arange(bricks.blocks_per_axis, dtype=np.int64) * BLOCK_SIZE
    block = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    # The last brick of an axis may reach beyond the grid's last cell.
    cells = np.asarray(meta.grid.size) - 1 - tables.index.astype(np.int64) * bricks.brick_size
    inside = ((lower >= block) & (upper <= np.minimum(block + BLOCK_SIZE, cells[:, None]))).all(-1)
    if not np.where(filled, inside, (lower == upper).all(axis=-1)).all():
        return ["bricks/boxes has boxes that do not lie within their block of cells"]
    if (np.any(filled, axis=1) != tables.occupied).any():
        return ["bricks/boxes and bricks/density_max contradict each other"]
    return []
