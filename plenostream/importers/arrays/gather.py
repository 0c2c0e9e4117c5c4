"""Asks a source for its voxels, slab by slab, and keeps those that a picture can depend on.

A voxel is active if it or one of its neighbours has a positive density: these are the corners of
the cells in which something is drawn, so the picture is that of all voxels.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import EllipsisType

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import BudgetError, InvalidInput
from plenostream.field.dilation import dilated
from plenostream.field.grid import BrickGrid
from plenostream.format.layout import SLAB_BRICKS
from plenostream.importers.arrays.boxes import BoxSource, VoxelBox
from plenostream.importers.arrays.tiles import SlabFiles, TileWriter
from plenostream.importers.arrays.values import ValueForm
from plenostream.importers.packing.planes import PlaneCounts, count_box
from plenostream.results import Progress
from plenostream.rules.bytesize import format_bytes

__all__ = ["gather", "gathering_bytes", "slab_files", "widest_boxes"]

_BASE_BYTES = 40_000_000
"""Tables of tiles, file buffers, the allocator's slack."""
_MOST_VOXELS = 128
"""Voxels along y and z of a box; larger ones gain nothing."""


def slab_files(work: Path, bricks: BrickGrid, form: ValueForm) -> tuple[SlabFiles, ...]:
    """Where the tiles of each slab are gathered."""
    n_slabs = -(-bricks.shape[0] // SLAB_BRICKS)
    return tuple(
        SlabFiles(
            folder=str(work / "gathered" / f"{slab:06d}"),
            sh_dtype=form.sh_dtype,
            columns=form.columns,
        )
        for slab in range(n_slabs)
    )


def gathering_bytes(bricks: BrickGrid, form: ValueForm, width: int, held_bytes: int) -> int:
    """Memory that boxes of `width` voxels along y and z take, and `held_bytes` beside."""
    x, y, z = (
        min(n + 2, size)
        for n, size in zip(
            (SLAB_BRICKS * bricks.brick_size + 1, width, width), bricks.size, strict=True
        )
    )
    # Per voxel: what the source makes in float64 and what is kept of it in float32, masks, and, of
    # active voxels, coordinates, their order and rows.
    per_voxel = 12 * (1 + form.columns) + 64 + 12 * form.columns
    return _BASE_BYTES + held_bytes + x * y * z * per_voxel


def widest_boxes(bricks: BrickGrid, form: ValueForm, *, allowed_bytes: int, held_bytes: int) -> int:
    """Voxels along y and z of the boxes that are asked for.

    Raises
    ------
    BudgetError : not even boxes of a brick fit `allowed_bytes`.
    """
    width = max(_MOST_VOXELS, bricks.brick_size)
    while width > bricks.brick_size and (
        gathering_bytes(bricks, form, width, held_bytes) > allowed_bytes
    ):
        width //= 2
    needed = gathering_bytes(bricks, form, width, held_bytes)
    if needed > allowed_bytes:
        raise BudgetError(
            f"gathering voxels takes {format_bytes(needed)} of memory at least, and "
            f"{format_bytes(allowed_bytes)} are allowed; raise host_memory, or use smaller bricks",
            planned_bytes=needed,
            allowed_bytes=allowed_bytes,
            smallest_bytes=needed,
        )
    return width


def gather(
    source: BoxSource,
    bricks: BrickGrid,
    form: ValueForm,
    files: tuple[SlabFiles, ...],
    *,
    width: int,
    tell: Progress,
) -> PlaneCounts:
    """Write the tiles of every slab that is not whole yet; the active voxels, counted.

    `width` as from `widest_boxes`; `tell` is told boxes.
    """
    size_x = bricks.size[0]
    voxels, rows = np.zeros(size_x, np.int64), np.zeros(size_x, np.int64)
    boxes = [list(_boxes(bricks, slab, len(files), width)) for slab in range(len(files))]
    total = sum(map(len, boxes))
    done = 0
    for slab, slab_boxes in enumerate(boxes):
        if not files[slab].tables.exists():
            counted = np.zeros((2, size_x), np.int64)
            with TileWriter(files[slab], bricks.brick_size) as writer:
                for box in slab_boxes:
                    _gather_box(source, bricks, form, box, writer, counted)
                    done += 1
                    tell("gather", done, total)
                writer.finish(counted=counted)
        else:
            done += len(slab_boxes)
        with np.load(files[slab].tables, allow_pickle=False) as tables:
            counted = tables["counted"]
        voxels += counted[0]
        rows += counted[1]
    return PlaneCounts(plane_voxels=voxels, plane_rows=rows)


def _boxes(bricks: BrickGrid, slab: int, n_slabs: int, width: int) -> Iterator[VoxelBox]:
    """The boxes of a slab; its apron belongs to the next one, where there is one."""
    size_x, size_y, size_z = bricks.size
    thickness = SLAB_BRICKS * bricks.brick_size
    x0, x1 = slab * thickness, (slab + 1) * thickness if slab + 1 < n_slabs else size_x
    for y in range(0, size_y, width):
        for z in range(0, size_z, width):
            yield VoxelBox((x0, y, z), (x1, min(y + width, size_y), min(z + width, size_z)))


def _gather_box(
    source: BoxSource,
    bricks: BrickGrid,
    form: ValueForm,
    box: VoxelBox,
    writer: TileWriter,
    counted: NDArray[np.int64],
) -> None:
    around = box.grown(bricks.size)
    positive = source.positive(around)
    if positive is None:
        return
    if isinstance(positive, EllipsisType):
        parts = box.parts(bricks.brick_size)
        if len(parts) == 1:
            raise InvalidInput(
                f"the source asks for smaller boxes than {around}, which is a brick with its "
                "neighbours; expected values or None"
            )
        for part in parts:
            _gather_box(source, bricks, form, part, writer, counted)
        return
    active = dilated(positive, 1)[box.within(around)]
    if not active.any():
        return
    values = source.values(box)
    if values.given is not None:
        active = active & values.given
    density, sh = values.density[active], form.coefficients(values.colours[active])
    writer.add(box.lower, active, density, sh)
    count_box(active, box.lower, bricks, counted)
