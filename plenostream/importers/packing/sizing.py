"""Memory and disk of a conversion, added up before the work starts."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from plenostream.errors import BudgetError, StoreError
from plenostream.field.grid import BrickGrid
from plenostream.format.layout import DENSITY_ROWS_PER_CHUNK, SH_ROWS_PER_CHUNK, SLAB_BRICKS
from plenostream.format.target import ByteTarget, putting_bytes
from plenostream.rules.bytesize import format_bytes

__all__ = ["MemoryPlan", "check_disk", "plan_memory", "sending_bytes"]

_BASE_BYTES = 40_000_000
"""The scan's batches of links, the tables at the end, the allocator's slack (measured: 20 to 30 MB)."""
_TASK_BYTES = 24_000_000
"""A task's gathered rows, chunks and compressed chunks, whatever its slab holds."""
_VOXEL_BYTES = 5
"""Booleans of a voxel: active, in its bricks, its cells, and what is in between."""
_STORED_ROW_BYTES = 80
"""Sorting keys, voxel numbers and their temporaries, for each row that is stored."""
_SOURCE_ROW_BYTES = 64
"""Coordinates, norms and numbers of a voxel's row, beside the row itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """How a conversion keeps within its memory."""

    column: int
    """Bricks along y and z that are packed at a time."""
    in_flight: int
    """Slabs that are packed at the same time."""
    planned_bytes: int
    """What this takes at most, above the interpreter and its imports."""
    spill_bytes: int
    """What sorting rows into a spill file may hold: it is over before packing begins."""


def sending_bytes(scene: ByteTarget, sh_columns: int) -> int:
    """Memory that a task takes for chunks on their way to another machine; `sh_columns` of a row."""
    rows, density_rows = SH_ROWS_PER_CHUNK, DENSITY_ROWS_PER_CHUNK
    return putting_bytes(scene, 4 * max(rows * sh_columns, density_rows))


def _task_bytes(
    bricks: BrickGrid, column: int, *, row_bytes: int, slab_voxels: int, slab_rows: int
) -> int:
    edges = min(column, SLAB_BRICKS), column, column
    x, y, z = (
        min(n * bricks.brick_size + 1, size) for n, size in zip(edges, bricks.size, strict=True)
    )
    voxels = x * y * z
    held = min(slab_voxels, voxels)
    n_bricks = edges[0] * min(column, bricks.shape[1]) * min(column, bricks.shape[2])
    stored = min(slab_rows, n_bricks * bricks.voxels, 8 * held)
    return (
        _TASK_BYTES
        + _VOXEL_BYTES * voxels
        + x * y * bricks.size[2]
        + (2 * row_bytes + _SOURCE_ROW_BYTES) * held
        + _STORED_ROW_BYTES * stored
    )


def plan_memory(
    bricks: BrickGrid,
    *,
    row_bytes: int,
    slab_voxels: int,
    slab_rows: int,
    workers: int,
    allowed_bytes: int,
    beside_bytes: int,
    widest: int | None = None,
    narrowest: int = SLAB_BRICKS,
) -> MemoryPlan:
    """The largest pieces, and as many at a time as there are workers, that fit `allowed_bytes`.

    Parameters
    ----------
    row_bytes : bytes of a row in the checkpoint
    slab_voxels, slab_rows : active voxels and stored rows of the largest slab
    beside_bytes : what a task takes beside, see `sending_bytes`
    widest : bricks along y and z that are worth being packed at a time; None: all of them
    narrowest : as few as the source can be asked for at a time

    Raises
    ------
    BudgetError : not even one column of the narrowest kind fits.
    """
    column = SLAB_BRICKS
    while column < min(max(bricks.shape[1:]), widest or max(bricks.shape[1:])):
        column *= 2
    while True:
        task = beside_bytes + _task_bytes(
            bricks, column, row_bytes=row_bytes, slab_voxels=slab_voxels, slab_rows=slab_rows
        )
        in_flight = min(workers, max(0, allowed_bytes - _BASE_BYTES) // task)
        if in_flight == workers or column == narrowest:
            break
        column //= 2
    if in_flight == 0:
        smallest = _BASE_BYTES + task
        raise BudgetError(
            f"converting takes {format_bytes(smallest)} of memory at least, and "
            f"{format_bytes(allowed_bytes)} are allowed; raise --host-memory, or use smaller bricks",
            planned_bytes=smallest,
            allowed_bytes=allowed_bytes,
            smallest_bytes=smallest,
        )
    return MemoryPlan(
        column=column,
        in_flight=in_flight,
        planned_bytes=_BASE_BYTES + in_flight * task,
        spill_bytes=in_flight * task,
    )


def check_disk(folder: Path, needed_bytes: int, *, what: str) -> None:
    """Refuse (StoreError) to start what would fill the disk on which `folder` lies."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise StoreError(
            f"{what} may take {format_bytes(needed_bytes)} of disk beside the target, and "
            f"{format_bytes(free)} are free"
        )
