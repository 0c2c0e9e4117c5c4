"""The largest weight that each row of a scene has had, over all pictures: kept in a file.

A brick comes into the pool and leaves it as pictures need it; what its voxels weighed meanwhile is
taken over when it leaves, and for all at the end.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import xxhash
from numpy.typing import NDArray

from plenostream.format.layout import SceneMeta
from plenostream.format.tables import BrickTables

__all__ = ["BRICKS_AT_ONCE", "RowWeights"]

BRICKS_AT_ONCE = 16
"""Bricks whose weights are held at a time."""
_TYPE = np.dtype("<f4")
_COPIES = 4
"""Arrays of a weight for each voxel that keeping makes of those that it is given."""
_DIGESTED_BYTES = 1 << 20


class RowWeights:
    """Weights of samples, from 0 to 1, by the rows of a scene.

    A voxel that lies in several bricks has a row in each, and the weight of each is that of the
    samples in the brick's own cells.
    """

    def __init__(self, meta: SceneMeta, tables: BrickTables, file: BinaryIO) -> None:
        """Take an empty `file`, which may be read and written; it gets 4 bytes a row."""
        self._tables, self._voxels, self._file = tables, meta.bricks.voxels, file
        self.held_bytes = BRICKS_AT_ONCE * _COPIES * self._voxels * _TYPE.itemsize
        """Memory that keeping takes."""
        file.truncate(meta.n_rows * _TYPE.itemsize)

    def keep(self, bricks: NDArray[np.int64], weights: NDArray[np.float32]) -> None:
        """Take over weights [b, voxels] of bricks, where they exceed those from before."""
        for brick, seen in zip(bricks.tolist(), weights, strict=True):
            rows = np.maximum(self.of(brick), seen[self.active(brick)])
            self._file.seek(self._place(brick))
            self._file.write(rows.astype(_TYPE).tobytes())

    def of(self, brick: int) -> NDArray[np.float32]:
        """Weights of all rows of a brick."""
        start, stop = (int(row) for row in self._tables.row_start[brick : brick + 2])
        self._file.seek(self._place(brick))
        stored = self._file.read((stop - start) * _TYPE.itemsize)
        return np.frombuffer(stored, _TYPE).astype(np.float32)

    def active(self, brick: int) -> NDArray[np.bool_]:
        """Which voxels of a brick have a row, in C order."""
        bits = np.unpackbits(self._tables.mask[brick], bitorder="little", count=self._voxels)
        return bits.view(np.bool_)

    def digest(self) -> str:
        """xxh3-64 of all weights, 16 hexadecimal digits."""
        digest = xxhash.xxh3_64()
        self._file.seek(0)
        while part := self._file.read(_DIGESTED_BYTES):
            digest.update(part)
        return digest.hexdigest()

    def _place(self, brick: int) -> int:
        return int(self._tables.row_start[brick]) * _TYPE.itemsize
