"""A scene of some bricks of another, elsewhere: alone, or behind millions that are only said to be there.

So numbers of rows, bricks and chunks beyond 2^32 are tried with a few small files.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import GridSpec
from plenostream.format.brick_rows import BrickRows
from plenostream.format.digests import brick_digest, digest_of, sections_of, tables_digest
from plenostream.format.layout import ROW_ARRAYS, TABLES, SceneMeta, array_specs
from plenostream.format.opening import open_level, open_store
from plenostream.format.reader import SceneStore
from plenostream.format.table_sections import PLACES, SECTIONED, TableSections
from plenostream.format.target import FolderTarget
from plenostream.format.writer import ChunkWriter, write_documents

__all__ = ["enlarged", "write_few_bricks", "write_in_sections"]

Triple = tuple[int, int, int]
_NOWHERE = "0" * 16
"""Digest of what is not there."""
_KEPT = 4
"""Chunks of rows that are kept decoded: bricks come in the order of the file."""


def enlarged(grid: GridSpec, size: Triple) -> GridSpec:
    """A grid of `size` voxels of the same edges, with the same center."""
    x, y, z = (r * new / old for r, new, old in zip(grid.radius, size, grid.size, strict=True))
    return replace(grid, size=size, radius=(x, y, z))


def write_in_sections(scene: Path, target: Path) -> None:
    """Write a scene as it is to the new folder `target`, but that tables are to be read in sections."""
    shutil.copytree(scene, target)
    with open_store(scene) as store:
        found = []
        for level in range(len(store.meta.levels) + 1):
            coarse = open_level(store, level)
            tables = {f"bricks/{name}": getattr(coarse.tables, name) for name in TABLES}
            per_section = coarse.specs[SECTIONED[0]].chunk_shape[0]
            found.append(sections_of(tables, per_section, whole=-1))
        levels = zip(store.meta.levels, found[1:], strict=True)
        meta = replace(
            store.meta,
            table_sections=found[0],
            levels=tuple(replace(level, table_sections=sections) for level, sections in levels),
        )
        write_documents(FolderTarget(target), meta, codec=store.codec, where=str(target))


def write_few_bricks(
    target: Path,
    store: SceneStore,
    bricks: NDArray[np.int64],
    *,
    size: Triple | None = None,
    shift: Triple = (0, 0, 0),
    claimed: int = 0,
) -> SceneMeta:
    """Write `bricks` [k] of a scene to the new folder `target`; returns what that says about itself.

    Parameters
    ----------
    size : voxels of its grid, where that is another
    shift : bricks by which they are moved, along each axis
    claimed : bricks in front of them, full of voxels that are not drawn, of which nothing is written but
        their places
    """
    tables, cut = store.tables, store.meta.bricks
    grid = store.meta.grid if size is None else enlarged(store.meta.grid, size)
    index = tables.index[bricks] + np.array(shift, np.int32)
    counts = np.concatenate([np.full(claimed, cut.voxels), np.diff(tables.row_start)[bricks]])
    read = BrickRows(store, n_chunks=_KEPT)
    rows = [[read.rows(name, int(brick)) for name in ROW_ARRAYS] for brick in bricks]
    meta = replace(
        store.meta,
        grid=grid,
        n_bricks=claimed + len(bricks),
        n_occupied=int(tables.occupied[bricks].sum()),
        n_voxels=int(counts.sum()),
        n_rows=int(counts.sum()),
        levels=(),
        table_sections=None,
    )
    row_start = np.concatenate([[0], np.cumsum(counts)])
    masks = tables.mask[bricks]
    own: dict[str, NDArray[Any]] = {
        "bricks/index": np.concatenate([_places(meta, index, claimed), index]),
        "bricks/row_start": row_start,
        "bricks/mask": masks,
        "bricks/boxes": tables.boxes[bricks],
        "bricks/density_max": np.pad(tables.density_max[bricks], (claimed, 0)),
        "bricks/sh_bound": np.pad(tables.sh_bound[bricks], ((claimed, 0), (0, 0))),
        "bricks/digest": np.array(
            [brick_digest(i, m, *r) for i, m, r in zip(index, masks, rows, strict=True)], np.uint64
        ),
        **{
            name: np.concatenate([part[number] for part in rows])
            for number, name in enumerate(ROW_ARRAYS)
        },
    }
    specs = array_specs(meta)
    per_section = specs[SECTIONED[0]].chunk_shape[0]
    sections = _sections(own, claimed, per_section) if claimed else None
    meta = replace(
        meta, table_sections=sections, tables_digest=_NOWHERE if claimed else tables_digest(own)
    )
    for name, spec in specs.items():
        first = spec.shape[0] - len(own[name])
        start = first - first % spec.chunk_shape[0]
        writer = ChunkWriter(FolderTarget(target).put, spec, codec=store.codec, start=start)
        writer.append(np.zeros((first - start, *spec.shape[1:]), spec.dtype))
        writer.append(own[name].astype(spec.dtype, copy=False))
        writer.close()
    write_documents(FolderTarget(target), meta, codec=store.codec, where=str(target))
    return meta


def _places(meta: SceneMeta, taken: NDArray[np.int32], n: int) -> NDArray[np.int32]:
    """The first `n` places of bricks in the grid, in C order, but for those that are taken [k, 3]."""
    shape = meta.bricks.shape
    used = np.ravel_multi_index(tuple(taken.T), shape)
    free = np.setdiff1d(np.arange(n + len(used)), used)[:n]
    return np.stack(np.unravel_index(free, shape), -1).astype(np.int32)


def _sections(own: dict[str, NDArray[Any]], claimed: int, per_section: int) -> TableSections:
    """Digests of the sections that hold bricks which are there; of the others, nothing is right."""
    whole = claimed // per_section
    held = [
        np.concatenate(
            [
                np.zeros((claimed % per_section, *own[name].shape[1:]), own[name].dtype),
                own[name],
            ]
        )
        if name != "bricks/row_start"
        else own[name][whole * per_section : -1]
        for name in SECTIONED
    ]
    starts = range(0, len(held[0]), per_section)
    sections = [digest_of(a[start : start + per_section] for a in held) for start in starts]
    return TableSections(
        places=digest_of(own[name] for name in PLACES),
        sections=(_NOWHERE,) * whole + tuple(sections),
    )
