"""A scene as a svox2 checkpoint: an .npz with svox2's names, types and order, nothing rounded.

1. Planes of constant x are counted from the masks, and cut into groups that fit the memory.
2. Each array is a member of the archive, and is written group by group: voxels of a group get their
   place in C order (svox2's own order of rows), and rows of the group's bricks go there.

Bricks are read once for each group of planes that they reach into: no file beside the target, and
nothing is held but one group.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import OutputError
from plenostream.export.bricks import BrickReader, refuse_beyond
from plenostream.export.checkpoint_extras import write_background, write_basis
from plenostream.export.npz import NpzWriter
from plenostream.files.atomic import AsideFile
from plenostream.format.layout import SLAB_BRICKS
from plenostream.results import Progress
from plenostream.rules.bytesize import format_bytes

__all__ = ["write_checkpoint"]

_MOST_ROWS = 2**31 - 1
"""svox2's links are int32."""
_VOXEL_BYTES = 6
"""Of a group: its link, whether it is active, and the inverse of that."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Group:
    """Planes of constant x whose rows are held together."""

    first: int
    stop: int
    row: int
    """Rows before it."""
    n_rows: int
    bricks: NDArray[np.int64]
    """Those that own a voxel of these planes."""


def write_checkpoint(
    reader: BrickReader, file: AsideFile, *, host_bytes: int, tell: Progress
) -> int:
    """Write the scene of `reader` as an .npz archive, not compressed; the number of its rows.

    Arrays: radius and center [3], links [X, Y, Z] int32 (row of each voxel, -1: none), density_data
    [n, 1] float32, sh_data [n, 3 dim] in the type in which the scene has it, basis_type, and those of
    `checkpoint_extras`. Rows lie in C order of their voxels. Source of the names: svox2's
    `SparseGrid.save`.

    Raises
    ------
    OutputError : more rows than svox2's links can name, or more bytes than the disk has free.
    BudgetError : one plane of voxels takes more than `host_bytes`.
    BrickCorrupt : a chunk of the scene is damaged.
    """
    meta = reader.meta
    if meta.n_voxels > _MOST_ROWS:
        raise OutputError(
            f"the scene has {meta.n_voxels} voxels; links of svox2 are int32 and name "
            f"{_MOST_ROWS} rows at most"
        )
    groups = _groups(reader, host_bytes)
    grid, n_rows = meta.grid, meta.n_voxels
    _check_disk(reader, file)

    def parts(key: str, values: _Values) -> Iterator[NDArray[Any]]:
        for number, group in enumerate(groups):
            yield values(reader, group)
            tell(key, number + 1, len(groups))

    with NpzWriter(file) as archive:
        archive.write_small("radius", _three(grid.radius))
        archive.write_small("center", _three(grid.center))
        archive.write("links", np.int32, grid.size, parts("links", _links))
        density = parts("density_data", _rows_of("rows/density"))
        archive.write("density_data", np.float32, (n_rows, 1), density)
        shape = (n_rows, meta.sh_columns)
        archive.write("sh_data", meta.sh_dtype, shape, parts("sh_data", _rows_of("rows/sh")))
        write_background(reader.store, archive)
        write_basis(reader.store, archive)
    return n_rows


def _check_disk(reader: BrickReader, file: AsideFile) -> None:
    """Refuse what would fill the disk: every voxel of the grid has a link, whether it is there or not."""
    meta, specs = reader.meta, reader.store.specs
    row_bytes = specs["rows/density"].row_bytes + specs["rows/sh"].row_bytes
    needed = 4 * math.prod(meta.grid.size) + meta.n_voxels * row_bytes
    needed += sum(part.nbytes for part in (meta.background, meta.learned) if part is not None)
    free = shutil.disk_usage(os.path.dirname(file.name)).free
    if needed > free:
        raise OutputError(
            f"a svox2 checkpoint of {meta.grid.size} voxels takes {format_bytes(needed)}, most of it "
            f"links, and {format_bytes(free)} of disk are free"
        )


_Values = Callable[[BrickReader, _Group], NDArray[Any]]
"""What an array has for the planes of a group, flat or a row each."""


def _links(reader: BrickReader, group: _Group) -> NDArray[np.int32]:
    """Links of the voxels of a group, [planes, Y, Z]."""
    _, size_y, size_z = reader.bricks.size
    active = np.zeros((group.stop - group.first, size_y, size_z), np.bool_)
    for brick, local, place in _parts(reader, group):
        active[place] = reader.active(brick)[local]
    links = np.cumsum(active.reshape(-1), dtype=np.int32).reshape(active.shape)
    links += np.int32(group.row - 1)
    links[~active] = -1
    return links


def _rows_of(name: str) -> _Values:
    # Densities come first. They are read again with the coefficients, which take 13 times as much.
    checked = name == "rows/sh"

    def read(reader: BrickReader, group: _Group) -> NDArray[Any]:
        links = _links(reader, group)
        spec = reader.store.specs[name]
        rows = np.empty((group.n_rows, *spec.shape[1:]), spec.dtype)
        for brick, local, place in _parts(reader, group):
            active = reader.active(brick)
            chosen = np.zeros(active.shape, np.bool_)
            chosen[local] = active[local]
            if chosen.any():
                there = links[place][chosen[local]] - group.row
                rows[there] = reader.rows(brick, name, checked=checked)[chosen[active]]
        return rows

    return read


_Slices = tuple[slice, slice, slice]


def _parts(reader: BrickReader, group: _Group) -> Iterator[tuple[int, _Slices, _Slices]]:
    """Bricks of a group with the voxels that they own in it: where in the brick, and in the group."""
    for brick in group.bricks.tolist():
        corner, owned = reader.corner(brick).tolist(), reader.owned(brick)
        low = max(group.first - corner[0], 0)
        high = min(group.stop - corner[0], owned[0])
        x = corner[0] - group.first
        yield (
            brick,
            (slice(low, high), slice(owned[1]), slice(owned[2])),
            (
                slice(x + low, x + high),
                slice(corner[1], corner[1] + owned[1]),
                slice(corner[2], corner[2] + owned[2]),
            ),
        )


def _groups(reader: BrickReader, host_bytes: int) -> list[_Group]:
    """Consecutive planes, of one slab each, cut so that the rows of a group fit the memory."""
    size_x, size_y, size_z = reader.bricks.size
    n_voxels = np.zeros(size_x, np.int64)
    first = np.empty(reader.n_bricks, np.int64)
    stop = np.empty(reader.n_bricks, np.int64)
    for brick in range(reader.n_bricks):
        owned, x = reader.owned(brick), int(reader.corner(brick)[0])
        active = reader.active(brick)[: owned[0], : owned[1], : owned[2]]
        n_voxels[x : x + owned[0]] += np.count_nonzero(active, axis=(1, 2))
        first[brick], stop[brick] = x, x + owned[0]
    row_bytes = max(reader.store.specs[name].row_bytes for name in ("rows/density", "rows/sh"))
    plane_bytes = _VOXEL_BYTES * size_y * size_z + n_voxels * row_bytes
    fixed = reader.planned_bytes()
    refuse_beyond(fixed + int(plane_bytes.max()), host_bytes, what="writing a svox2 checkpoint")
    thickness = SLAB_BRICKS * reader.bricks.brick_size
    groups: list[_Group] = []
    begin = row = 0
    while begin < size_x:
        # Bricks of one slab lie together in the store: a group beyond it would read other chunks.
        slab_end = min((begin // thickness + 1) * thickness, size_x)
        fits = np.cumsum(plane_bytes[begin:slab_end]) <= host_bytes - fixed
        end = begin + max(1, int(np.count_nonzero(fits)))
        n_rows = int(n_voxels[begin:end].sum())
        reached = np.flatnonzero((first < end) & (stop > begin))
        groups.append(_Group(first=begin, stop=end, row=row, n_rows=n_rows, bricks=reached))
        begin, row = end, row + n_rows
    return groups


def _three(values: tuple[float, float, float]) -> NDArray[np.floating]:
    """As svox2 has them, in float32, unless that would round."""
    exact = np.asarray(values, np.float64)
    with np.errstate(over="ignore", under="ignore"):
        short = exact.astype(np.float32)
    return short if np.array_equal(short.astype(np.float64), exact) else exact
