"""The voxels of a coarser level, as the packer asks for them: read from the level before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import BrickGrid
from plenostream.format.asking import asked_at_once
from plenostream.format.brick_rows import BrickRows
from plenostream.format.layout import ROW_ARRAYS, SceneMeta
from plenostream.format.reader import SceneStore
from plenostream.format.source import ByteSource
from plenostream.importers.levels.halving import BELOW_ZERO, Halving, weighed
from plenostream.importers.packing.cutting import BrickBox
from plenostream.importers.packing.voxels import BoxVoxels

__all__ = ["HalvedVoxels"]

_MOST_FOUND = 1 << 13
"""Bricks of which it is kept which coarse voxels they have a part in: 8 MB with bricks of 16."""
Region = tuple[slice, slice, slice]


class HalvedVoxels:
    """A `VoxelSource`: the voxels of a scene or level, halved.

    Those are active that an active voxel has a part in. The finer level is opened once a process,
    and read without its documents, which are not there yet.
    """

    def __init__(self, finer: ByteSource, meta: SceneMeta, *, n_chunks: int) -> None:
        """Take the bytes of the finer level, what it says about itself, and the decoded chunks that
        are kept of each array of its rows."""
        self._how = finer, meta, n_chunks
        self._rows: BrickRows | None = None
        self._found: dict[int, NDArray[np.bool_]] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> Any:
        finer, meta, n_chunks = self._how
        return _made, (finer, meta, n_chunks)

    def slab(self, slab: int) -> HalvedVoxels:
        """See `VoxelSource`: any box can be read."""
        return self

    def _opened(self) -> BrickRows:
        finer, meta, n_chunks = self._how
        with self._lock:
            if self._rows is None:
                store = SceneStore(path="the finer level", source=finer, meta=meta)
                with asked_at_once(finer.n_at_once) as each:
                    store.read_tables(each)
                self._rows = BrickRows(store, n_chunks=n_chunks)
            return self._rows

    def active(self, box: BrickBox) -> NDArray[np.bool_] | None:
        """Which voxels [x, y, z] of a box of coarse bricks are active, apron included."""
        out = np.zeros([b - a for a, b in map(box.voxels, range(3))], np.bool_)
        for brick, halving, here, there in self._parts(box):
            out[there] |= self._touched(brick, halving)[here]
        return out if out.any() else None

    def _touched(self, brick: int, halving: Halving) -> NDArray[np.bool_]:
        """See `Halving.touched`; asked for when voxels are counted, and again when they are read."""
        found = self._found.get(brick)
        if found is None:
            rows = self._opened()
            x, y, z = rows.owned(halving.place)
            found = halving.touched(rows.mask(brick)[:x, :y, :z])
            if len(self._found) < _MOST_FOUND:
                self._found[brick] = found
        return found

    def read(self, box: BrickBox) -> BoxVoxels | None:
        """See `SlabVoxels`."""
        active = self.active(box)
        if active is None:
            return None
        rows = self._opened()
        number = np.zeros(active.shape, np.int32)
        number[active] = np.arange(np.count_nonzero(active))
        meta = self._how[1]
        below = 1.0 if meta.grid.level else BELOW_ZERO
        sums = np.zeros((np.count_nonzero(active), 2 + meta.sh_columns), np.float32)
        for brick, halving, here, there in self._parts(box):
            mask, (x, y, z) = rows.mask(brick), rows.owned(halving.place)
            density, sh = (rows.rows(name, brick) for name in ROW_ARRAYS)
            fine = weighed(mask, density, sh, below=below)
            part = halving.values(fine[:x, :y, :z])[here]
            touched = part[..., 1] > 0  # every active voxel has a weight
            sums[number[there][touched]] += part[touched]
        colours = sums[:, 2:] / sums[:, 1:2]
        return BoxVoxels(active=active, density=sums[:, 0].copy(), sh=colours.astype(meta.sh_dtype))

    def _parts(self, box: BrickBox) -> Iterator[tuple[int, Halving, Region, Region]]:
        """Finer bricks that have a part in a box, with what of it lies where in the box.

        In an order that does not depend on the box: so neither do the sums.
        """
        rows = self._opened()
        ends = [box.voxels(axis) for axis in range(3)]
        bricks: BrickGrid = rows.bricks
        lower = tuple(max(0, 2 * a - 1) for a, _ in ends)
        upper = tuple(min(2 * b, n) for (_, b), n in zip(ends, bricks.size, strict=True))
        for place, brick in rows.within(lower, upper):
            halving = Halving(bricks, place)
            here, there = [], []
            for axis, (first, end) in enumerate(ends):
                start = halving.lower[axis]
                stop = start + self._length(rows, place, axis)
                low, high = max(start, first), min(stop, end)
                here.append(slice(low - start, high - start))
                there.append(slice(low - first, high - first))
            yield brick, halving, (here[0], here[1], here[2]), (there[0], there[1], there[2])

    @staticmethod
    def _length(rows: BrickRows, place: tuple[int, int, int], axis: int) -> int:
        """Coarse voxels along an axis that a finer brick has a part in."""
        size, half = rows.bricks.size[axis], rows.bricks.brick_size // 2
        if place[axis] == rows.bricks.shape[axis] - 1:
            return -(-(size - 1) // 2) + 1 - place[axis] * half
        return half + 1


def _made(finer: ByteSource, meta: SceneMeta, n_chunks: int) -> HalvedVoxels:
    return HalvedVoxels(finer, meta, n_chunks=n_chunks)
