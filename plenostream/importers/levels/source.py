"""The voxels of a coarser level, as the packer asks for them: read from the level before."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.format.layout import SceneMeta
from plenostream.format.source import ByteSource
from plenostream.importers.levels.finer import FinerVoxels, OwnVoxels, SomeBricks
from plenostream.importers.levels.halving import (
    BELOW_ZERO,
    Around,
    finer_box,
    means,
    touched,
    weights,
    widened,
)
from plenostream.importers.packing.cutting import BrickBox
from plenostream.importers.packing.voxels import BoxVoxels

__all__ = ["HalvedVoxels", "piece_bytes"]

_PIECE_ROWS = 1 << 16
"""Finer voxels that are halved at a time."""
_PIECE_VOXELS = 1 << 21
"""Places of finer voxels of a piece: most of them have none."""
_NARROWEST = 4
"""Coarse voxels along an axis that are not cut any more."""
_BLOCK_BYTES = 8_000_000
"""What a block of `means` takes, a decoded chunk and masks of bricks."""
Triple = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Coarse voxels that are made at a time: [lower, upper)."""

    lower: Triple
    upper: Triple
    finer: tuple[Triple, Triple]
    """The finer voxels that they are means of, from and to."""
    bricks: SomeBricks
    """That own some of these."""


def piece_bytes(sh_columns: int) -> int:
    """Memory that halving a piece takes at most; `sh_columns` coefficients a row."""
    # A row: sums and weights, its place three times over, and its numbers.
    row = 4 * (2 + sh_columns) + 3 * 3 * 8 + 32
    return _BLOCK_BYTES + _PIECE_ROWS * row + 5 * _PIECE_VOXELS


class HalvedVoxels:
    """A `VoxelSource`: the voxels of a scene or level, halved.

    Those are active that an active voxel has a part in. The finer level is opened once a process,
    and read without its documents, which are not there yet. What a box holds is made piece by piece.
    """

    def __init__(self, finer: ByteSource, meta: SceneMeta, masks: Path, *, n_chunks: int) -> None:
        """Take the finer level and how it is read, see `FinerVoxels`."""
        self._how = finer, meta, masks, n_chunks
        self._finer: FinerVoxels | None = None
        self._lock = threading.Lock()

    def __reduce__(self) -> Any:
        return _made, self._how

    def slab(self, slab: int) -> HalvedVoxels:
        """See `VoxelSource`: any box can be read."""
        return self

    def close(self) -> None:
        """Let go of what is kept of the finer level."""
        self._finer = None

    def _opened(self) -> FinerVoxels:
        finer, meta, masks, n_chunks = self._how
        with self._lock:
            if self._finer is None:
                self._finer = FinerVoxels(finer, meta, masks, n_chunks=n_chunks)
            return self._finer

    def active(self, box: BrickBox) -> NDArray[np.bool_] | None:
        """Which voxels [x, y, z] of a box of coarse bricks are active, apron included."""
        start, stop = _ends(box)
        out = np.zeros([b - a for a, b in zip(start, stop, strict=True)], np.bool_)
        for piece in self._pieces(start, stop):
            own = self._opened().owned(piece.bricks, *piece.finer)
            x, y, z = (
                slice(a - s, b - s) for a, b, s in zip(piece.lower, piece.upper, start, strict=True)
            )
            out[x, y, z] = touched(own.place, piece.lower, piece.upper)
        return out if out.any() else None

    def read(self, box: BrickBox) -> BoxVoxels | None:
        """See `SlabVoxels`."""
        start, stop = _ends(box)
        shape = [b - a for a, b in zip(start, stop, strict=True)]
        found = [self._halved(piece, start, shape) for piece in self._pieces(start, stop)]
        found = [values for values in found if len(values[0])]
        if not found:
            return None
        place, density, sh = (np.concatenate(column) for column in zip(*found, strict=True))
        del found
        active = np.zeros(shape, np.bool_)
        active.reshape(-1)[place] = True
        order = np.argsort(place)
        return BoxVoxels(active=active, density=density[order], sh=sh[order])

    def _pieces(self, lower: Triple, upper: Triple) -> Iterator[_Piece]:
        """The coarse voxels [lower, upper) in boxes that are small enough; empty ones left out."""
        finer = self._opened()
        box = finer_box(lower, upper, finer.bricks.size)
        return self._cut(finer.bricks_within(*box), lower, upper)

    def _cut(self, around: SomeBricks, lower: Triple, upper: Triple) -> Iterator[_Piece]:
        """See `_pieces`; of the bricks `around`."""
        finer = self._opened()
        box = finer_box(lower, upper, finer.bricks.size)
        bricks, most = finer.voxels_within(around, *box)
        if most == 0:
            return
        axis = max(range(3), key=lambda n: upper[n] - lower[n])
        length = upper[axis] - lower[axis]
        places = math.prod(b - a for a, b in zip(*box, strict=True))
        if (most <= _PIECE_ROWS and places <= _PIECE_VOXELS) or length <= _NARROWEST:
            yield _Piece(lower, upper, box, bricks)
            return
        middle = lower[axis] + length // 2
        # Where a finer brick ends, if there is such a place: fewer are then looked through twice.
        brick_end = middle - middle % (finer.bricks.brick_size // 2)
        middle = brick_end if brick_end > lower[axis] else middle
        yield from self._cut(bricks, lower, _with(upper, axis, middle))
        yield from self._cut(bricks, _with(lower, axis, middle), upper)

    def _halved(
        self, piece: _Piece, start: Triple, shape: list[int]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.floating]]:
        """Active voxels of a piece: places in the box of `shape` from `start` on, densities, coefficients."""
        finer, meta = self._opened(), self._how[1]
        own = finer.owned(piece.bricks, *piece.finer)
        active = touched(own.place, piece.lower, piece.upper)
        coarse = np.stack(np.unravel_index(np.flatnonzero(active), active.shape))
        first, end = piece.finer
        number = np.full([b - a for a, b in zip(first, end, strict=True)], len(own.row), np.int32)
        x, y, z = own.place - np.reshape(np.array(first, np.int32), (3, 1))
        number.reshape(-1)[(x * number.shape[1] + y) * number.shape[2] + z] = np.arange(len(x))
        n = coarse.shape[1]
        density, sh = np.empty(n, np.float32), np.empty((n, meta.sh_columns), meta.sh_dtype)
        around = [
            Around.of(*ends)
            for ends in zip(piece.lower, piece.upper, finer.bricks.size, strict=True)
        ]
        for block, sums in means(number, self._weighed(own), around, coarse):
            density[block] = sums[:, 0]
            np.divide(sums[:, 2:], sums[:, 1:2], out=sums[:, 2:])
            sh[block] = sums[:, 2:]
        x, y, z = coarse + (np.array(piece.lower) - start)[:, None]
        return (x * shape[1] + y) * shape[2] + z, density, sh

    def _weighed(self, own: OwnVoxels) -> NDArray[np.float32]:
        """What is added up, [v + 1, 2 + c]: density, the weight of the coefficients, and these times it;
        the last row is that of a voxel that is not there."""
        finer, meta = self._opened(), self._how[1]
        density = np.empty(len(own.row), np.float32)
        for some, values in finer.rows("rows/density", own.row):
            density[some] = values
        out = np.empty((len(density) + 1, 2 + meta.sh_columns), np.float32)
        out[-1] = 0
        below = 1.0 if meta.grid.level else BELOW_ZERO
        out[:-1, 0], out[:-1, 1] = weights(density, own.place, below=below)
        for some, values in finer.rows("rows/sh", own.row):
            np.multiply(widened(values), out[some, 1:2], out=out[some, 2:])
        return out


def _ends(box: BrickBox) -> tuple[Triple, Triple]:
    """First voxel of a box and the one after its last."""
    (a, x), (b, y), (c, z) = (box.voxels(axis) for axis in range(3))
    return (a, b, c), (x, y, z)


def _with(corner: Triple, axis: int, value: int) -> Triple:
    x, y, z = (value if n == axis else i for n, i in enumerate(corner))
    return x, y, z


def _made(finer: ByteSource, meta: SceneMeta, masks: Path, n_chunks: int) -> HalvedVoxels:
    return HalvedVoxels(finer, meta, masks, n_chunks=n_chunks)
