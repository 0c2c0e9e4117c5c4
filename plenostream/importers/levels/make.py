"""Makes the coarser levels of a scene whose bricks are packed, one after another, and finishes it.

A level is counted and packed with a work folder of its own; a file in it says what it counts once it
is whole, so that work that was cut off goes on from there. What a level takes does not grow with the
scene: how much that is at least is known, and compared with what is allowed, before anything starts.
"""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from plenostream.errors import BudgetError, InvalidInput
from plenostream.field.grid import BrickGrid
from plenostream.field.levels import coarse_grid, halvings
from plenostream.files.durable import write_atomically
from plenostream.format.layout import SLAB_BRICKS, SceneMeta
from plenostream.format.levels import LevelCounts, decode_levels, level_folder
from plenostream.format.reader import SceneStore
from plenostream.format.target import ByteTarget, TargetWithin
from plenostream.importers.levels.finer import kept_chunks, write_masks
from plenostream.importers.levels.source import HalvedVoxels, piece_bytes
from plenostream.importers.packing.cutting import BrickBox
from plenostream.importers.packing.graph import n_processes, n_workers
from plenostream.importers.packing.planes import PlaneCounts, count_box
from plenostream.importers.packing.sizing import (
    MemoryPlan,
    check_disk,
    plan_memory,
    sending_bytes,
)
from plenostream.importers.packing.slab import SlabJob
from plenostream.importers.packing.steps import pack_scene
from plenostream.options import ConvertOptions
from plenostream.process.freed import give_back_freed
from plenostream.results import Progress
from plenostream.rules.bytesize import format_bytes, format_least_bytes

__all__ = ["finish_scene", "levels_asked"]

_COLUMN = 8
"""Bricks along y and z that are packed at a time: most of a sparse grid is then passed over."""
_CACHE_SHARE = 4
"""Of the memory allowed, the part that decoded chunks of the finer level may take."""


def levels_asked(meta: SceneMeta, scene: ByteTarget, options: ConvertOptions) -> int:
    """Levels that a scene gets; to be asked before anything is written.

    Parameters
    ----------
    meta : the scene that is to be made; its counts are not looked at
    scene : where it goes

    Raises
    ------
    InvalidInput : more are asked for than there can be.
    BudgetError : the memory allowed is too small for making a level of whatever the scene holds.
    """
    size = meta.grid.size
    most = (max(size) - 2).bit_length()
    asked = halvings(size) if isinstance(options.levels, str) else options.levels
    if asked > most:
        raise InvalidInput(
            f"levels is {asked}, and a grid of {size} voxels can be halved {most} times"
        )
    if asked:
        grid = coarse_grid(meta.grid, 1)
        bricks = BrickGrid(size=grid.size, brick_size=meta.brick_size)
        # As if all voxels were there. Later levels have smaller grids.
        dense = math.prod(grid.size)
        _plan(meta, bricks, scene, options, slab_voxels=dense, slab_rows=8 * dense, n_slabs=1)
    return asked


def finish_scene(
    work: Path, scene: ByteTarget, meta: SceneMeta, options: ConvertOptions, tell: Progress
) -> tuple[SceneMeta, int]:
    """Make the levels that are asked for; `scene` then has all but its documents.

    Parameters
    ----------
    work : folder of the conversion
    scene : the scene in the making, with all chunks of level 0
    meta : what it says about itself, without levels

    Returns
    -------
    What the scene says about itself, and the memory (bytes) that was planned for levels.
    """
    planned = 0
    for level in range(1, levels_asked(meta, scene, options) + 1):
        done = work / "levels" / f"{level}.json"
        if not done.exists():
            counts, taken = _make_level(work, scene, meta, options, tell)
            planned = max(planned, taken)
            write_atomically(done, json.dumps(counts.attributes()).encode())
        (counts,) = decode_levels({"levels": [json.loads(done.read_bytes())]})
        meta = replace(meta, levels=(*meta.levels, counts))
    return meta, planned


def _make_level(
    work: Path, scene: ByteTarget, meta: SceneMeta, options: ConvertOptions, tell: Progress
) -> tuple[LevelCounts, int]:
    """Make the level after those that `meta` has; what it counts, and the memory planned for it."""
    give_back_freed()
    level = len(meta.levels) + 1
    finer = meta.level(level - 1)
    say = partial(_tell_of_level, tell, level)
    grid = coarse_grid(meta.grid, level)
    bricks = BrickGrid(size=grid.size, brick_size=meta.brick_size)
    own = work / "levels" / str(level)
    own.mkdir(parents=True, exist_ok=True)
    check_disk(own, finer.n_bricks * finer.bricks.mask_bytes, what="Making a level")
    masks = own / "finer.masks"
    finer_chunks = _level(scene, level - 1)
    write_masks(SceneStore(path="the finer level", source=finer_chunks, meta=finer), masks)
    counting = HalvedVoxels(finer_chunks, finer, masks, n_chunks=0)
    counts = _counted(counting, bricks, say)
    counting.close()
    slab_rows = counts.slab_rows(bricks)
    row_bytes = finer.sh_columns * np.dtype(finer.sh_dtype).itemsize
    check_disk(work, int(slab_rows.sum()) * (4 + row_bytes), what="Making a level")
    memory, n_chunks = _plan(
        finer,
        bricks,
        scene,
        options,
        slab_voxels=int(counts.slab_voxels(bricks).max()),
        slab_rows=int(slab_rows.max()),
        n_slabs=len(slab_rows),
    )
    coarse = replace(
        finer,
        grid=grid,
        levels=(),
        learned=None,
        background=None,
        n_voxels=counts.n_voxels,
        n_rows=int(slab_rows.sum()),
    )
    source = HalvedVoxels(finer_chunks, finer, masks, n_chunks=n_chunks)
    job = SlabJob(
        work=os.fspath(own),
        scene=_level(scene, level),
        meta=coarse,
        codec=options.codec,
        source=source,
        round_density=options.dtype == "float16",
        rows_before=np.concatenate([[0], np.cumsum(slab_rows)]),
        column=memory.column,
    )
    # What a slab has read of the next one, where they meet, is then still there.
    coarse, _ = pack_scene(job, memory, say, along_x=True)
    source.close()
    masks.unlink()
    values = {name: getattr(coarse, name) for name in LevelCounts.__slots__}
    return LevelCounts(**values), memory.planned_bytes


def _plan(
    finer: SceneMeta,
    bricks: BrickGrid,
    scene: ByteTarget,
    options: ConvertOptions,
    *,
    slab_voxels: int,
    slab_rows: int,
    n_slabs: int,
) -> tuple[MemoryPlan, int]:
    """How the voxels of a level, cut into `bricks`, are packed within the memory allowed, and how many
    decoded chunks of the finer level are kept meanwhile.

    The places of finer bricks, 28 bytes each, are not counted: `assemble` took 25 times as much of the
    same and has given it back.

    Raises
    ------
    BudgetError : not a single brick fits.
    """
    row_bytes = 4 + finer.sh_columns * np.dtype(finer.sh_dtype).itemsize
    share = options.host_bytes // _CACHE_SHARE
    for n_chunks, chunk_bytes in (kept_chunks(finer, share), kept_chunks(finer, 0)):
        held = n_processes() * chunk_bytes
        try:
            memory = plan_memory(
                bricks,
                row_bytes=row_bytes,
                slab_voxels=slab_voxels,
                slab_rows=slab_rows,
                workers=min(n_workers(options.workers), n_slabs),
                allowed_bytes=options.host_bytes - held,
                beside_bytes=sending_bytes(scene, finer.sh_columns) + piece_bytes(finer.sh_columns),
                widest=_COLUMN,
                narrowest=1,
            )
        except BudgetError as error:
            smallest = held + error.smallest_bytes
        else:
            return replace(memory, planned_bytes=held + memory.planned_bytes), n_chunks
    raise BudgetError(
        f"making coarser levels takes {format_least_bytes(smallest)} of memory at least, and "
        f"{format_bytes(options.host_bytes)} are allowed; raise --host-memory, or do without levels: "
        "--levels 0",
        planned_bytes=smallest,
        allowed_bytes=options.host_bytes,
        smallest_bytes=smallest,
    )


def _level(scene: ByteTarget, level: int) -> ByteTarget:
    return TargetWithin(scene, f"{level_folder(level)}/") if level else scene


def _tell_of_level(tell: Progress, level: int, word: str, done: int, total: int) -> None:
    tell(f"{word} level {level}", done, total)


def _counted(source: HalvedVoxels, bricks: BrickGrid, tell: Progress) -> PlaneCounts:
    """The active voxels of a level, counted from the masks of the level before."""
    counted = np.zeros((2, bricks.size[0]), np.int64)
    boxes = list(_boxes(bricks))
    for number, box in enumerate(boxes):
        active = source.active(box)
        if active is not None:
            x, y, z = (
                n - (stop < most)  # the apron belongs to the next box, where there is one
                for n, stop, most in zip(active.shape, box.upper, bricks.shape, strict=True)
            )
            first = [box.voxels(axis)[0] for axis in range(3)]
            count_box(active[:x, :y, :z], (first[0], first[1], first[2]), bricks, counted)
        tell("count", number + 1, len(boxes))
    return PlaneCounts(plane_voxels=counted[0], plane_rows=counted[1])


def _boxes(bricks: BrickGrid) -> Iterator[BrickBox]:
    edges = (SLAB_BRICKS, _COLUMN, _COLUMN)
    starts = (range(0, n, edge) for n, edge in zip(bricks.shape, edges, strict=True))
    for x, y, z in itertools.product(*starts):
        yield BrickBox(
            bricks=bricks,
            lower=(x, y, z),
            upper=(
                min(x + edges[0], bricks.shape[0]),
                min(y + edges[1], bricks.shape[1]),
                min(z + edges[2], bricks.shape[2]),
            ),
        )
