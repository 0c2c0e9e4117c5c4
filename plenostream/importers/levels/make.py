"""Makes the coarser levels of a scene whose bricks are packed, one after another, and finishes it.

A level is counted and packed with a work folder of its own; a file in it says what it counts once it
is whole, so that work that was cut off goes on from there.
"""

from __future__ import annotations

import itertools
import json
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
from plenostream.format.brick_rows import cached_chunks
from plenostream.format.layout import SLAB_BRICKS, SceneMeta
from plenostream.format.levels import LevelCounts, decode_levels, level_folder
from plenostream.format.target import ByteTarget, TargetWithin
from plenostream.importers.levels.source import HalvedVoxels
from plenostream.importers.packing.cutting import BrickBox
from plenostream.importers.packing.graph import n_workers
from plenostream.importers.packing.planes import PlaneCounts, count_box
from plenostream.importers.packing.sizing import check_disk, plan_memory, sending_bytes
from plenostream.importers.packing.slab import SlabJob
from plenostream.importers.packing.steps import pack_scene
from plenostream.options import ConvertOptions
from plenostream.results import Progress
from plenostream.rules.bytesize import format_bytes, format_least_bytes

__all__ = ["finish_scene", "levels_asked"]

_COLUMN = 16
"""Bricks along y and z that are packed at a time: most of a sparse grid is then passed over."""
_CACHE_SHARE = 8
"""Of the memory allowed, the part that decoded chunks of the finer level may take."""


def levels_asked(size: tuple[int, int, int], asked: int | str) -> int:
    """Levels that a grid of `size` voxels gets where `asked` are asked for (`ConvertOptions.levels`).

    Raises
    ------
    InvalidInput : more than there can be.
    """
    most = (max(size) - 2).bit_length()
    if isinstance(asked, str):
        return halvings(size)
    if asked > most:
        raise InvalidInput(
            f"levels is {asked}, and a grid of {size} voxels can be halved {most} times"
        )
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
    for level in range(1, levels_asked(meta.grid.size, options.levels) + 1):
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
    level = len(meta.levels) + 1
    finer = meta.level(level - 1)
    say = partial(_tell_of_level, tell, level)
    grid = coarse_grid(meta.grid, level)
    bricks = BrickGrid(size=grid.size, brick_size=meta.brick_size)
    n_chunks, cache_bytes = cached_chunks(finer, options.host_bytes // _CACHE_SHARE)
    source = HalvedVoxels(_level(scene, level - 1), finer, n_chunks=n_chunks)
    counts = _counted(source, bricks, say)
    slab_rows = counts.slab_rows(bricks)
    row_bytes = finer.sh_columns * np.dtype(finer.sh_dtype).itemsize
    check_disk(work, int(slab_rows.sum()) * (4 + row_bytes), what="Making a level")
    # Keys of bricks and their order beside the tables.
    table_bytes = finer.n_bricks * (16 + _brick_bytes(bricks))
    held = cache_bytes + table_bytes
    try:
        memory = plan_memory(
            bricks,
            row_bytes=4 * (4 + 2 * finer.sh_columns),
            slab_voxels=int(counts.slab_voxels(bricks).max()),
            slab_rows=int(slab_rows.max()),
            workers=min(n_workers(options.workers), len(slab_rows)),
            allowed_bytes=options.host_bytes - held,
            sending_bytes=sending_bytes(scene, finer.sh_columns),
            widest=_COLUMN,
        )
    except BudgetError as error:
        # How many rows a level has is known when the one before is there.
        raise _too_little(level, error.smallest_bytes + held, options.host_bytes) from error
    own = work / "levels" / str(level)
    own.mkdir(parents=True, exist_ok=True)
    coarse = replace(
        finer,
        grid=grid,
        levels=(),
        learned=None,
        background=None,
        n_voxels=counts.n_voxels,
        n_rows=int(slab_rows.sum()),
    )
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
    coarse, _ = pack_scene(job, memory, say)
    values = {name: getattr(coarse, name) for name in LevelCounts.__slots__}
    return LevelCounts(**values), held + memory.planned_bytes


def _level(scene: ByteTarget, level: int) -> ByteTarget:
    return TargetWithin(scene, f"{level_folder(level)}/") if level else scene


def _too_little(level: int, smallest_bytes: int, allowed_bytes: int) -> BudgetError:
    return BudgetError(
        f"making level {level} takes {format_least_bytes(smallest_bytes)} of memory at least, and "
        f"{format_bytes(allowed_bytes)} are allowed; raise --host-memory and go on with --resume, or ask for "
        f"fewer levels: --levels {level - 1}",
        planned_bytes=smallest_bytes,
        allowed_bytes=allowed_bytes,
        smallest_bytes=smallest_bytes,
    )


def _brick_bytes(bricks: BrickGrid) -> int:
    """Bytes of a brick in the tables, as they are read."""
    return 12 + 8 + bricks.mask_bytes + 6 * bricks.blocks + 4 + 12 + 8


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
