"""A scene of many copies of another, side by side, whose chunks of rows are the same files.

A scene of 10^9 voxels takes some hundred megabytes of disk this way and a minute to make: the rows of
each copy fill whole chunks, filled up with bricks that are not drawn, and each chunk is a hard link.
Levels that have no room for such bricks are written out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import Say
from plenostream.errors import InvalidInput
from plenostream.field.grid import BrickGrid, GridSpec
from plenostream.field.levels import coarse_grid
from plenostream.field.precision import density_rounding, density_unit
from plenostream.format.digests import brick_digest, sections_of, tables_digest
from plenostream.format.layout import ROW_ARRAYS, SceneMeta, array_specs
from plenostream.format.levels import LevelCounts, level_folder
from plenostream.format.opening import open_level, open_store
from plenostream.format.reader import SceneStore
from plenostream.format.target import FolderTarget
from plenostream.format.writer import ChunkWriter, write_documents

__all__ = ["copy_scene"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Model:
    """Bricks of one copy, n of them, r rows in all, and what is between two copies."""

    tables: dict[str, NDArray[Any]]
    """By the names of arrays, without `index` of the whole and digests."""
    rows: dict[str, NDArray[Any]]
    side: NDArray[np.int64]
    """[3]: bricks from one copy to the next."""
    shares: bool
    """Whether the rows fill whole chunks."""

    @property
    def counts(self) -> NDArray[np.int64]:
        """Rows of each brick [n]."""
        counts: NDArray[np.int64] = np.bitwise_count(self.tables["bricks/mask"]).sum(axis=1)
        return counts.astype(np.int64)


def copy_scene(source: Path, target: Path, *, copies: int, say: Say) -> SceneMeta:
    """Write `copies` x `copies` x `copies` copies of the scene `source`, levels too, to the new folder
    `target`; voxels keep their size, and the middle is where it was.

    Raises
    ------
    InvalidInput : the scene's bricks do not tile space, or something reaches its border.
    """
    with open_store(source) as one:
        meta, cut = one.meta, one.meta.bricks
        n_levels = len(meta.levels)
        if any(n % (meta.brick_size << n_levels) for n in cut.size):
            raise InvalidInput(
                f"{source} has {cut.size} voxels, which are no multiples of the bricks of all levels"
            )
        x, y, z = (n * copies for n in meta.grid.size)
        a, b, c = (r * copies for r in meta.grid.radius)
        grid = replace(meta.grid, size=(x, y, z), radius=(a, b, c))
        found = []
        for level in range(n_levels + 1):
            say(f"copying level {level}")
            whole = _write_level(
                open_level(one, level), target / level_folder(level), level, grid, copies
            )
            found.append(whole)
        levels = tuple(
            LevelCounts(**{name: getattr(whole, name) for name in LevelCounts.__slots__})
            for whole in found[1:]
        )
        made = replace(found[0], levels=levels, history=(f"{copies**3} copies of {source.name}",))
        write_documents(FolderTarget(target), made, codec=one.codec, where=str(target))
    return made


def _write_level(
    store: SceneStore, folder: Path, level: int, grid: GridSpec, copies: int
) -> SceneMeta:
    """Write tables and rows of a level; what it says about itself."""
    model = _model(store, np.array(store.root.meta.grid.size) // (store.meta.brick_size << level))
    counts, n = model.counts, copies**3
    whole = coarse_grid(grid, level) if level else grid
    meta = replace(
        store.meta,
        grid=whole,
        density_rounding=density_rounding(model.rows["rows/density"], density_unit(whole)),
        n_bricks=n * len(counts),
        n_occupied=n * int(np.count_nonzero(model.tables["bricks/density_max"])),
        n_voxels=n * (store.meta.n_voxels + int(counts.sum()) - store.meta.n_rows),
        n_rows=n * int(counts.sum()),
        levels=(),
        table_sections=None,
    )
    tables = _tables_of_copies(model, copies)
    specs = array_specs(meta)
    for name, values in tables.items():
        _write(folder, specs[name], values, store.codec)
    for name in ROW_ARRAYS:
        if model.shares:
            _link_rows(folder, specs[name], model.rows[name], n, store.codec)
        else:
            writer = ChunkWriter(FolderTarget(folder).put, specs[name], codec=store.codec, start=0)
            for _ in range(n):
                writer.append(model.rows[name])
            writer.close()
    per_section = specs["bricks/mask"].chunk_shape[0]
    sections = sections_of(tables, per_section)
    return replace(meta, tables_digest=tables_digest(tables), table_sections=sections)


def _model(store: SceneStore, side: NDArray[np.int64]) -> _Model:
    """What is copied of a level: its bricks, and such as fill its last chunk of rows."""
    tables = {
        f"bricks/{name}": getattr(store.tables, name)
        for name in ("index", "mask", "boxes", "density_max", "sh_bound")
    }
    index = tables["bricks/index"]
    if _reaches_border(store, side):
        raise InvalidInput(f"{store.path} has voxels at its border, where its copies would touch")
    rows = {name: store.read_array(name) for name in ROW_ARRAYS}
    per_chunk = max(store.specs[name].chunk_shape[0] for name in ROW_ARRAYS)
    missing = -store.meta.n_rows % per_chunk
    inner = _inner(store.meta.bricks)
    free = np.setdiff1d(np.arange(side.prod()), np.ravel_multi_index(tuple(index.T), tuple(side)))
    n = -(-missing // len(inner))
    if n > len(free):
        return _Model(tables=tables, rows=rows, side=side, shares=False)
    masks = np.zeros((n, store.meta.bricks.voxels), np.bool_)
    for number, mask in enumerate(masks):
        mask[inner[: missing - number * len(inner)]] = True
    added = {
        "bricks/index": np.stack(np.unravel_index(free[:n], tuple(side)), -1).astype(np.int32),
        "bricks/mask": np.packbits(masks, axis=1, bitorder="little"),
    }
    for name, array in tables.items():
        more = added.get(name, np.zeros((n, *array.shape[1:]), array.dtype))
        tables[name] = np.concatenate([array, more])
    rows = {
        name: np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)])
        for name, array in rows.items()
    }
    return _Model(tables=tables, rows=rows, side=side, shares=True)


def _reaches_border(store: SceneStore, side: NDArray[np.int64]) -> bool:
    index, mask, cut = store.tables.index, store.tables.mask, store.meta.bricks
    for axis in range(3):
        last = cut.size[axis] - 1 - (side[axis] - 1) * cut.brick_size
        for brick, planes in ((0, slice(0, 1)), (side[axis] - 1, slice(last, None))):
            some = mask[index[:, axis] == brick]
            bits = np.unpackbits(some, axis=1, bitorder="little", count=cut.voxels)
            voxels = np.moveaxis(bits.reshape(-1, *(cut.edge,) * 3), 1 + axis, 1)
            if voxels[:, planes].any():
                return True
    return bool((index >= side).any())


def _inner(bricks: BrickGrid) -> NDArray[np.int64]:
    """The voxels of a brick, in C order, that belong to no other."""
    inside = np.zeros((bricks.edge,) * 3, np.bool_)
    inside[1:-1, 1:-1, 1:-1] = True
    return np.flatnonzero(inside)


def _tables_of_copies(model: _Model, copies: int) -> dict[str, NDArray[Any]]:
    """All arrays in `bricks/`, by name, in the order of their digest."""
    axis = np.arange(copies)
    places = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 1, 3)
    index = (model.tables["bricks/index"] + places * model.side).astype(np.int32)
    n, counts = copies**3, model.counts
    digest = np.empty((n, len(counts)), np.uint64)
    ends = np.cumsum(counts)
    for brick, (end, count) in enumerate(zip(ends.tolist(), counts.tolist(), strict=True)):
        density, sh = (model.rows[name][end - count : end] for name in ROW_ARRAYS)
        mask = model.tables["bricks/mask"][brick]
        digest[:, brick] = [brick_digest(at, mask, density, sh) for at in index[:, brick]]
    found = {name: np.tile(a, (n, *(1,) * (a.ndim - 1))) for name, a in model.tables.items()}
    return found | {
        "bricks/index": index.reshape(-1, 3),
        "bricks/row_start": np.concatenate([[0], np.cumsum(np.tile(counts, n))]),
        "bricks/digest": digest.reshape(-1),
    }


def _write(folder: Path, spec: Any, values: NDArray[Any], codec: str) -> None:
    writer = ChunkWriter(FolderTarget(folder).put, spec, codec=codec, start=0)
    writer.append(values)
    writer.close()


def _link_rows(folder: Path, spec: Any, rows: NDArray[Any], copies: int, codec: str) -> None:
    """Write the chunks of the first copy, and links to them."""
    _write(folder, spec, rows, codec)
    n_chunks = len(rows) // spec.chunk_shape[0]
    for chunk in range(n_chunks):
        made = folder / spec.chunk_key(chunk)
        for copy in range(1, copies):
            link = folder / spec.chunk_key(copy * n_chunks + chunk)
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(made, link)
