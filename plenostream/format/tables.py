"""The tables of a scene: what `bricks/` says about its bricks.

They are read whole when a scene opens, but where it has so many bricks that it has `table_sections`: then
it knows their places (`BrickPlaces`), and the tables of those that are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import BLOCK_SIZE
from plenostream.format.digests import digest_of, sections_of, tables_digest
from plenostream.format.layout import TABLES, SceneMeta, array_specs
from plenostream.format.table_sections import PLACES

__all__ = [
    "BrickPlaces",
    "BrickTables",
    "content_faults",
    "excerpt_faults",
    "place_faults",
    "structure_faults",
]

_AT_ONCE = 65_536
"""Bricks whose boxes are looked at together: bounds the temporaries, which take kilobytes each."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BrickPlaces:
    """Where all bricks of a scene or level are, n of them, and how bright: read-only arrays."""

    index: NDArray[np.int32]
    """Brick coordinates [n, 3]."""
    density_max: NDArray[np.float32]
    """Largest density [n], per world unit; 0 where the brick is not occupied."""
    sh_bound: NDArray[np.float32]
    """Largest norms of the coefficients of degree 0, 1, and 2 or more, [n, 3]."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> BrickPlaces:
        """From arrays by name (`table_sections.PLACES`), which become read-only."""
        for name in PLACES:
            arrays[name].flags.writeable = False
        return cls(**{name.removeprefix("bricks/"): arrays[name] for name in PLACES})

    @property
    def occupied(self) -> NDArray[np.bool_]:
        """Bricks that hold a voxel of positive density [n]: the only ones that renders read."""
        return self.density_max > 0

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.index.nbytes + self.density_max.nbytes + self.sh_bound.nbytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BrickTables:
    """One entry a brick, n in all; read-only arrays (see `layout`).

    They are those of all bricks of a scene, or of some, which then have numbers of their own.
    """

    index: NDArray[np.int32]
    """Brick coordinates [n, 3]."""
    row_start: NDArray[np.int64]
    """Brick b has the rows [row_start[b], row_start[b + 1]) of all that these bricks have; [n + 1]."""
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
    number: NDArray[np.int64] | None = None
    """Which bricks of the scene they are [n], rising; None: all of them."""
    scene_row: NDArray[np.int64] | None = None
    """`first_row` [n], where they are not all bricks of the scene."""

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
    def first_row(self) -> NDArray[np.int64]:
        """Where the rows of each brick begin in the arrays of rows [n]."""
        return self.row_start[:-1] if self.scene_row is None else self.scene_row

    @property
    def nbytes(self) -> int:
        """Bytes that the tables hold in memory."""
        numbers = [a.nbytes for a in (self.number, self.scene_row) if a is not None]
        return sum(int(getattr(self, name).nbytes) for name in TABLES) + sum(numbers)

    def scene_number(self, brick: int) -> int:
        """What the scene calls a brick of these."""
        return brick if self.number is None else int(self.number[brick])

    def rows_of(self, bricks: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First row in the arrays of rows, and number of rows, of each of some bricks [k]."""
        return self.first_row[bricks], self.row_start[bricks + 1] - self.row_start[bricks]


def structure_faults(meta: SceneMeta, tables: BrickTables) -> list[str]:
    """Why it cannot be told which rows belong to which brick, a sentence each beginning with the
    array's name; empty if it can.

    The arrays have the shapes of `array_specs(meta)`. Later code relies on this and on
    `content_faults`: it indexes with these numbers without looking at them again.
    """
    return [*_place_faults(meta, tables.index), *_row_faults(meta, tables)]


def content_faults(meta: SceneMeta, tables: BrickTables) -> list[str]:
    """What else in the tables contradicts itself or the attributes, sentences as above."""
    faults = [*_box_faults(meta, tables), *_bound_faults(meta, tables)]
    arrays = {f"bricks/{name}": getattr(tables, name) for name in TABLES}
    digest = tables_digest(arrays)
    if not faults and digest != meta.tables_digest:
        faults.append(
            "bricks/ has arrays that are not those which were written with this scene: their "
            f"digest is {digest}, expected {meta.tables_digest}"
        )
    if not faults and meta.table_sections is not None:
        per_section = array_specs(meta)["bricks/mask"].chunk_shape[0]
        if sections_of(arrays, per_section, whole=-1) != meta.table_sections:
            faults.append(
                "bricks/ has arrays whose sections have other digests than table_sections"
            )
    return faults


def place_faults(meta: SceneMeta, places: BrickPlaces) -> list[str]:
    """What is wrong with the places of bricks, sentences as above."""
    faults = [*_place_faults(meta, places.index), *_bound_faults(meta, places)]
    found = digest_of((places.index, places.density_max, places.sh_bound))
    if not faults and meta.table_sections is not None and found != meta.table_sections.places:
        faults.append(
            "bricks/index, density_max and sh_bound are not those which were written with this "
            f"scene: their digest is {found}, expected {meta.table_sections.places}"
        )
    return faults


def excerpt_faults(meta: SceneMeta, tables: BrickTables) -> list[str]:
    """Why bricks of a scene cannot be read or drawn by these tables of theirs, sentences as above."""
    ends = tables.first_row + np.diff(tables.row_start)
    if ((tables.first_row < 0) | (ends > meta.n_rows)).any():
        return [f"bricks/row_start has rows beyond the {meta.n_rows} of the scene"]
    return [*_mask_faults(meta, tables), *_box_faults(meta, tables)]


def _bound_faults(meta: SceneMeta, tables: BrickTables | BrickPlaces) -> list[str]:
    faults = []
    bounds = (("bricks/density_max", tables.density_max), ("bricks/sh_bound", tables.sh_bound))
    for name, values in bounds:
        if not ((values >= 0) & np.isfinite(values)).all():
            faults.append(f"{name} has values that are negative or not finite")
    if (n := int(tables.occupied.sum())) != meta.n_occupied:
        faults.append(f"bricks/density_max has {n} occupied bricks, expected {meta.n_occupied}")
    return faults


def _place_faults(meta: SceneMeta, index: NDArray[np.int32]) -> list[str]:
    shape = meta.bricks.shape
    x, y, z = index.T
    if any(((at < 0) | (at >= n)).any() for at, n in zip((x, y, z), shape, strict=True)):
        return [f"bricks/index has bricks outside the grid of {shape} bricks"]
    keys = (x.astype(np.int64) * shape[1] + y) * shape[2] + z
    keys.sort()
    if (keys[1:] == keys[:-1]).any():
        return ["bricks/index has the same brick twice"]
    return []


def _row_faults(meta: SceneMeta, tables: BrickTables) -> list[str]:
    ends = int(tables.row_start[0]), int(tables.row_start[-1])
    if ends != (0, meta.n_rows):
        return [f"bricks/row_start runs from {ends[0]} to {ends[1]}, expected 0 to {meta.n_rows}"]
    return _mask_faults(meta, tables)


def _mask_faults(meta: SceneMeta, tables: BrickTables) -> list[str]:
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
    occupied = tables.occupied
    for start in range(0, len(occupied), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        faults = _faults_of_boxes(meta, tables.index[some], tables.boxes[some], occupied[some])
        if faults:
            return faults
    return []


def _faults_of_boxes(
    meta: SceneMeta,
    index: NDArray[np.int32],
    boxes: NDArray[np.uint8],
    occupied: NDArray[np.bool_],
) -> list[str]:
    bricks = meta.bricks
    lower, upper = boxes[..., :3], boxes[..., 3:]
    filled = (lower < upper).all(axis=-1)
    axis = np.arange(bricks.blocks_per_axis, dtype=np.int64) * BLOCK_SIZE
    block = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    # The last brick of an axis may reach beyond the grid's last cell.
    cells = np.asarray(meta.grid.size) - 1 - index.astype(np.int64) * bricks.brick_size
    inside = ((lower >= block) & (upper <= np.minimum(block + BLOCK_SIZE, cells[:, None]))).all(-1)
    if not np.where(filled, inside, (lower == upper).all(axis=-1)).all():
        return ["bricks/boxes has boxes that do not lie within their block of cells"]
    if (np.any(filled, axis=1) != occupied).any():
        return ["bricks/boxes and bricks/density_max contradict each other"]
    return []
