"""Voxels that were gathered from a source, kept as tiles in files beside the target.

A tile is a cube of B^3 voxels, from voxel (iB, jB, kB) on: a brick without its apron. The files of
a slab hold the active voxels of its tiles, one tile after another, so that any box of bricks is
read in a few runs.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import BrickGrid
from plenostream.files import durable
from plenostream.files.durable import write_atomically
from plenostream.format.layout import SLAB_BRICKS
from plenostream.importers.packing.cutting import BrickBox
from plenostream.importers.packing.rowfile import RowTable, merge_runs
from plenostream.importers.packing.voxels import BoxVoxels

__all__ = ["SlabFiles", "TileWriter", "TiledVoxels", "as_tiles"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlabFiles:
    """Where the tiles of a slab are."""

    folder: str
    sh_dtype: str
    columns: int

    @property
    def tables(self) -> Path:
        """Index and mask of every tile, and whatever else is known of the slab; there once all is."""
        return Path(self.folder, "tiles.npz")

    def rows(self) -> tuple[RowTable, RowTable]:
        """Densities and coefficients."""
        density = Path(self.folder, "density"), "<f4", 1
        sh = Path(self.folder, "sh"), np.dtype(self.sh_dtype).newbyteorder("<").str, self.columns
        one, other = (
            RowTable(path=str(path), offset=0, dtype=dtype, columns=columns)
            for path, dtype, columns in (density, sh)
        )
        return one, other


def as_tiles(values: NDArray[Any], edge: int) -> NDArray[Any]:
    """A box of voxels [x, y, z] as tiles [n, edge^3], filled up at its upper ends."""
    values = np.pad(values, [(0, -n % edge) for n in values.shape])
    x, y, z = (n // edge for n in values.shape)
    cut = values.reshape(x, edge, y, edge, z, edge).transpose(0, 2, 4, 1, 3, 5)
    return cut.reshape(x * y * z, edge**3)


class TileWriter:
    """Takes the boxes of a slab and writes their tiles; a context manager."""

    def __init__(self, files: SlabFiles, edge: int) -> None:
        self._files, self._edge = files, edge
        self._index = [np.zeros((0, 3), np.int32)]
        self._mask = [np.zeros((0, edge**3 // 8), np.uint8)]
        Path(files.folder).mkdir(parents=True, exist_ok=True)
        self._density, self._sh = (open(table.path, "wb") for table in files.rows())

    def __enter__(self) -> TileWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._density.close()
        self._sh.close()

    def add(
        self,
        lower: tuple[int, int, int],
        active: NDArray[np.bool_],
        density: NDArray[np.float32],
        sh: NDArray[np.floating],
    ) -> None:
        """Take the tiles of a box that have an active voxel.

        Parameters
        ----------
        lower : first voxel of the box, at the corner of a tile
        active : [x, y, z]
        density, sh : of the active voxels, in C order of the box: [v] and [v, columns]
        """
        tiles = as_tiles(active, self._edge)
        some = np.flatnonzero(tiles.any(axis=1))
        number = np.full(active.shape, -1, np.int64)
        number[active] = np.arange(len(density))
        order = as_tiles(number, self._edge)[some][tiles[some]]
        shape = [-(-n // self._edge) for n in active.shape]
        place = np.stack(np.unravel_index(some, shape), axis=1)
        self._index.append((place + np.asarray(lower) // self._edge).astype(np.int32))
        self._mask.append(np.packbits(tiles[some], axis=1, bitorder="little"))
        _append(self._density, density[order])
        _append(self._sh, sh[order])

    def finish(self, **others: NDArray[Any]) -> None:
        """Say that the slab is whole; `others` are kept with its tables."""
        for file in (self._density, self._sh):
            file.flush()
            durable.flush_file(file.name)
        content = io.BytesIO()
        np.savez(
            content,
            allow_pickle=False,
            index=np.concatenate(self._index),
            mask=np.concatenate(self._mask),
            **others,
        )
        write_atomically(self._files.tables, content.getvalue())


def _append(file: BinaryIO, rows: NDArray[Any]) -> None:
    file.write(np.ascontiguousarray(rows, rows.dtype.newbyteorder("<")).data)


@dataclass(frozen=True, slots=True, kw_only=True)
class TiledVoxels:
    """A `VoxelSource`: what was gathered."""

    slabs: tuple[SlabFiles, ...]
    bricks: BrickGrid

    def slab(self, slab: int) -> _TiledSlab:
        """The voxels of slab number `slab`."""
        return _TiledSlab(self, slab)


class _Tiles:
    """The tiles of a slab, those of some planes of tiles alone."""

    def __init__(self, files: SlabFiles, most_x: int) -> None:
        with np.load(files.tables, allow_pickle=False) as tables:
            index, mask = tables["index"], tables["mask"]
        stop = np.cumsum(np.bitwise_count(mask).sum(axis=1, dtype=np.int64))
        start = np.concatenate([[0], stop[:-1]]) if len(stop) else stop
        kept = index[:, 0] <= most_x
        self.rows = files.rows()
        self.index, self.mask = index[kept], mask[kept]
        self.start, self.stop = start[kept], stop[kept]


class _TiledSlab:
    """The voxels of a slab: of its own tiles, and of those beyond that its apron lies in."""

    def __init__(self, source: TiledVoxels, slab: int) -> None:
        self._bricks = source.bricks
        apron = (slab + 1) * SLAB_BRICKS
        self._stores = [_Tiles(files, apron) for files in source.slabs[slab : slab + 2]]

    def read(self, box: BrickBox) -> BoxVoxels | None:
        """The active voxels of a box; None where there are none."""
        found = [values for store in self._stores for values in self._of_store(store, box)]
        if not found:
            return None
        place, density, sh = (np.concatenate(column) for column in zip(*found, strict=True))
        shape = [stop - start for start, stop in map(box.voxels, range(3))]
        active = np.zeros(shape, np.bool_)
        active.reshape(-1)[place] = True
        order = np.argsort(place)
        return BoxVoxels(active=active, density=density[order], sh=sh[order])

    def _of_store(
        self, store: _Tiles, box: BrickBox
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.floating]]]:
        """Places in the box, densities and coefficients; nothing where there are none."""
        edge = self._bricks.brick_size
        bounds = np.array([box.voxels(axis) for axis in range(3)])
        first = store.index.astype(np.int64) * edge
        tiles = np.flatnonzero(((first < bounds[:, 1]) & (first + edge > bounds[:, 0])).all(axis=1))
        bits = np.unpackbits(store.mask[tiles], axis=1, bitorder="little")
        tile, local = np.nonzero(bits)
        place = np.zeros(len(tile), np.int64)
        inside = np.ones(len(tile), np.bool_)
        for axis, within in enumerate(np.unravel_index(local, (edge,) * 3)):
            voxel = first[tiles, axis][tile] + within
            inside &= (voxel >= bounds[axis, 0]) & (voxel < bounds[axis, 1])
            place = place * (bounds[axis, 1] - bounds[axis, 0]) + (voxel - bounds[axis, 0])
        if not inside.any():
            return
        # Tiles lie in the file in the order in which they are kept here.
        runs = merge_runs(store.start[tiles], store.stop[tiles])
        density, sh = (table.read(*runs)[inside] for table in store.rows)
        yield place[inside], density[:, 0].astype(np.float32, copy=False), sh
