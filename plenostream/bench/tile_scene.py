"""A scene made of copies of another, side by side: its bricks again, at other places.

For measuring that cost follows what is seen and not what is stored. The rows of a brick do not
depend on where it is; tables, digests and chunks do, and are made anew, in the order in which a
conversion would have written them.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InvalidInput
from plenostream.field.grid import BrickGrid, GridSpec
from plenostream.format.layout import (
    SLAB_BRICKS,
    SceneMeta,
    array_specs,
    brick_digest,
    morton_key,
    tables_digest,
)
from plenostream.format.reader import SceneStore, open_store
from plenostream.format.staging import Staging
from plenostream.format.tables import BrickTables
from plenostream.format.writer import ChunkWriter, Edge, write_documents, write_edges
from plenostream.stream import BrickFetcher, smallest_cache_bytes

__all__ = ["copy_offset", "tile_scene"]

_ROWS = ("rows/density", "rows/sh")


def copy_offset(grid: GridSpec, copies: int, place: tuple[int, int, int]) -> NDArray[np.float64]:
    """Where the copy at `place` is, from where the one scene was, world units [3]."""
    steps = 2.0 * np.asarray(place, np.float64) - (copies - 1)
    return steps * np.asarray(grid.radius, np.float64)


def tile_scene(
    source: str | os.PathLike[str], target: str | os.PathLike[str], *, copies: int, n_threads: int
) -> SceneMeta:
    """Write to `target` `copies` x `copies` x `copies` copies of the scene `source`.

    The middle of the whole is where that of `source` was, and voxels keep their size.

    Raises
    ------
    InvalidInput : copies would not meet at the borders of bricks, or would touch.
    StoreExists : `target` is there.
    """
    with open_store(source) as store:
        _refuse_touching(store)
        tiling = _place_bricks(store, copies)
        codec = store.codec
        journal = {"tiled": os.path.abspath(source), "copies": copies}
        staging = Staging(target, overwrite=False)
        with staging.begin(journal, resume=False):
            digest = _write_rows(store, tiling, staging.scene, codec, n_threads)
            meta = _write_tables(store, tiling, digest, staging.scene, codec)
            write_documents(staging.scene, meta, codec=codec)
            staging.publish()
    return meta


@dataclass(frozen=True, slots=True, eq=False)
class _Tiling:
    """The bricks of all copies, in the order of the file."""

    meta: SceneMeta
    """Of the whole; the digest of its tables is not known yet."""
    index: NDArray[np.int32]
    """Their coordinates [n, 3]."""
    source: NDArray[np.int64]
    """The brick that each is a copy of [n]."""
    row_start: NDArray[np.int64]
    """Rows of brick b are [row_start[b], row_start[b + 1]); [n + 1]."""

    @property
    def slabs(self) -> list[slice]:
        """Runs of bricks that lie in the same slab."""
        slab = self.index[:, 0] // SLAB_BRICKS
        starts = np.flatnonzero(np.diff(slab, prepend=-1))
        ends = [*starts[1:].tolist(), len(slab)]
        return [slice(start, end) for start, end in zip(starts.tolist(), ends, strict=True)]


def _refuse_touching(store: SceneStore) -> None:
    """Bricks can be copied as they are only if no voxel of a copy is a corner of another's cells."""
    grid, bricks = store.meta.grid, store.meta.bricks
    if any(size % bricks.brick_size for size in grid.size):
        raise InvalidInput(
            f"{store.path} has {grid.size} voxels, which bricks of {bricks.brick_size} do not "
            "divide: copies side by side would not meet at the borders of bricks"
        )
    tables, edge = store.tables, bricks.edge
    for axis, last in enumerate(bricks.shape):
        for side, layer in ((0, 0), (last - 1, bricks.brick_size - 1)):
            packed = tables.mask[tables.index[:, axis] == side]
            active = np.unpackbits(packed, axis=1, bitorder="little", count=bricks.voxels)
            if active.reshape(-1, edge, edge, edge).take(layer, axis=1 + axis).any():
                raise InvalidInput(
                    f"{store.path} has voxels in the outermost layer of its grid (axis {axis}): "
                    "copies side by side would touch"
                )


def _place_bricks(store: SceneStore, copies: int) -> _Tiling:
    meta, tables = store.meta, store.tables
    x, y, z = (n * copies for n in meta.grid.size)
    rx, ry, rz = (r * copies for r in meta.grid.radius)
    grid = GridSpec(size=(x, y, z), radius=(rx, ry, rz), center=meta.grid.center)
    step = BrickGrid(size=meta.grid.size, brick_size=meta.brick_size).shape
    places = np.stack(np.meshgrid(*[np.arange(copies)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    index = (tables.index[None] + places * np.asarray(step)).reshape(-1, 3).astype(np.int32)
    source = np.tile(np.arange(meta.n_bricks), len(places))
    order = np.lexsort((morton_key(index), index[:, 0] // SLAB_BRICKS))
    n_rows = np.diff(tables.row_start)[source[order]]
    n = len(places)
    whole = replace(
        meta,
        grid=grid,
        n_bricks=meta.n_bricks * n,
        n_occupied=meta.n_occupied * n,
        n_voxels=meta.n_voxels * n,
        n_rows=meta.n_rows * n,
        tables_digest="",
    )
    return _Tiling(whole, index[order], source[order], np.concatenate([[0], np.cumsum(n_rows)]))


def _write_rows(
    store: SceneStore, tiling: _Tiling, scene: Path, codec: str, n_threads: int
) -> NDArray[np.uint64]:
    """Write the rows, a slab a thread; the digests of all bricks."""
    specs = array_specs(tiling.meta)
    digest = np.empty(tiling.meta.n_bricks, np.uint64)
    edges: dict[str, list[Edge]] = {name: [] for name in _ROWS}
    write = partial(_write_slab, store, tiling, scene, codec, digest)
    with ThreadPoolExecutor(n_threads) as pool:
        for found in pool.map(write, tiling.slabs):
            for name in _ROWS:
                edges[name] += found[name]
    for name in _ROWS:
        write_edges(scene, specs[name], edges[name], codec=codec)
    return digest


def _write_slab(
    store: SceneStore,
    tiling: _Tiling,
    scene: Path,
    codec: str,
    digest: NDArray[np.uint64],
    slab: slice,
) -> dict[str, list[Edge]]:
    """Write the chunks that a slab fills alone, and fill in its part of `digest`."""
    specs = array_specs(tiling.meta)
    start = int(tiling.row_start[slab.start])
    writers = {n: ChunkWriter(scene, specs[n], codec=codec, start=start) for n in _ROWS}
    different, which = np.unique(tiling.source[slab], return_inverse=True)
    with BrickFetcher(store, cache_bytes=smallest_cache_bytes(store), n_threads=1) as fetcher:
        rows = fetcher.take(different)
    mask = store.tables.mask
    for place, copied in enumerate(which.tolist(), start=slab.start):
        mine = slice(int(rows.row_start[copied]), int(rows.row_start[copied + 1]))
        density, sh = rows.density[mine], rows.sh[mine]
        writers["rows/density"].append(density)
        writers["rows/sh"].append(sh)
        digest[place] = brick_digest(tiling.index[place], mask[different[copied]], density, sh)
    return {name: writer.close() for name, writer in writers.items()}


def _write_tables(
    store: SceneStore, tiling: _Tiling, digest: NDArray[np.uint64], scene: Path, codec: str
) -> SceneMeta:
    """Write everything in `bricks/`; the attributes of the whole."""
    old = store.tables
    copied = {
        name: getattr(old, name)[tiling.source]
        for name in ("mask", "boxes", "density_max", "sh_bound")
    }
    fresh: dict[str, Any] = {"index": tiling.index, "row_start": tiling.row_start, "digest": digest}
    arrays = {f"bricks/{name}": {**copied, **fresh}[name] for name in BrickTables.__slots__}
    meta = replace(tiling.meta, tables_digest=tables_digest(arrays))
    specs = array_specs(meta)
    for name, values in arrays.items():
        writer = ChunkWriter(scene, specs[name], codec=codec, start=0)
        writer.append(values)
        writer.close()
    return meta
