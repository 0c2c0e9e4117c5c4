"""The active voxels of a checkpoint: bits that the scan left, and rows in the order of the voxels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import BrickGrid
from plenostream.importers.packing.cutting import BrickBox
from plenostream.importers.packing.planes import slab_planes
from plenostream.importers.packing.rowfile import merge_runs
from plenostream.importers.packing.voxels import BoxVoxels
from plenostream.importers.svox2.rows import RowSource
from plenostream.importers.svox2.scan import BITS_FILE

__all__ = ["LinkedVoxels"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinkedVoxels:
    """A `VoxelSource`: the voxels that links of a checkpoint name."""

    work: str
    """Folder of the conversion."""
    bricks: BrickGrid
    rows: RowSource
    voxels_before: NDArray[np.int64]
    """Active voxels before each plane [X + 1]."""

    def slab(self, slab: int) -> _LinkedSlab:
        """The voxels of slab number `slab`."""
        return _LinkedSlab(self, slab)


class _LinkedSlab:
    """The active voxels of a slab, read from the bits that the scan left, box by box."""

    def __init__(self, source: LinkedVoxels, slab: int) -> None:
        bricks = source.bricks
        self._bits = Path(source.work) / BITS_FILE
        self._rows = source.rows
        self._size = bricks.size
        self._x0, x1 = slab_planes(bricks)[slab]
        per_line = np.stack(
            [_count(self._plane(x, 0, self._size[1])) for x in range(self._x0, x1 + 1)]
        )
        before = np.cumsum(per_line).reshape(per_line.shape) - per_line
        self._before = before + source.voxels_before[self._x0]
        """Active voxels before each line along z: the row of the first one on it."""

    def _plane(self, x: int, y0: int, y1: int) -> NDArray[np.uint8]:
        """Bits of lines [y0, y1) of a plane, [lines, bytes]."""
        line = -(-self._size[2] // 8)
        offset = (x * self._size[1] + y0) * line
        return np.fromfile(self._bits, np.uint8, (y1 - y0) * line, offset=offset).reshape(-1, line)

    def read(self, box: BrickBox) -> BoxVoxels:
        """The active voxels of a box."""
        (x0, x1), (y0, y1), (z0, z1) = (box.voxels(axis) for axis in range(3))
        bits = np.stack([self._plane(x, y0, y1) for x in range(x0, x1)])
        lines = np.unpackbits(bits, axis=2, bitorder="little", count=self._size[2]).view(np.bool_)
        active = lines[:, :, z0:z1]
        before = self._before[x0 - self._x0 : x1 - self._x0, y0:y1]
        starts = before + _count(np.packbits(lines[:, :, :z0], axis=2))
        stops = starts + _count(np.packbits(active, axis=2))
        runs = merge_runs(starts.reshape(-1), stops.reshape(-1))
        density, sh = self._rows.read(*runs)
        return BoxVoxels(active=active, density=density, sh=sh)


def _count(bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Set bits along the last axis."""
    count: NDArray[np.int64] = np.bitwise_count(bits).sum(axis=-1, dtype=np.int64)
    return count
