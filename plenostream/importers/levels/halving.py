"""Half the resolution: each coarse voxel is a mean of the 27 finer ones around it.

Along each axis coarse voxel i takes a quarter of voxels 2 i - 1 and 2 i + 1, and half of voxel 2 i.
Beyond the grid's border its last voxel repeats. Pure NumPy on the voxels that there are: a mean is added up
in the order of the voxels, so it does not depend on what else is halved with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BELOW_ZERO", "Around", "finer_box", "means", "touched", "weights", "widened"]

Triple = tuple[int, int, int]

BELOW_ZERO = 0.5
"""What a density below 0 of level 0 counts. Densities are cut off at 0 between voxels: of a line from p
to -p the mean of what is drawn is p / 4, and so is that of p and -p / 2. Counted whole, thin surfaces
lost their density (level 1 of still_256 had an alpha of 0.202 in the mean, level 0 0.214); not at all,
they grew (0.239)."""
_LEAST_WEIGHT = 1e-20
"""Weight of a colour where nothing around has a density: there all count alike."""
_SHARES = np.array([1, 2, 1], np.float32) / 4
"""Along an axis, of the voxels before, at and after a coarse one: a finer voxel at an even place is the
middle of one, at an odd one the neighbour of two."""
_BLOCK = 2048
"""Coarse voxels whose means are added up at a time: half a megabyte, which stays in a core's cache."""


def finer_box(lower: Triple, upper: Triple, size: Triple) -> tuple[Triple, Triple]:
    """The finer voxels that coarse voxels [lower, upper) are means of; `size` of the finer grid."""
    a, b, c = (max(0, 2 * i - 1) for i in lower)
    x, y, z = (min(n, 2 * i) for i, n in zip(upper, size, strict=True))
    return (a, b, c), (x, y, z)


def widened(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Finite float16 or float32 values as float32; float16 by their bits, in a third of the time that NumPy
    takes for one number after another."""
    if values.dtype != np.float16:
        return values.astype(np.float32, copy=False)
    # Sign, exponent and mantissa go to their places, and the exponent gets the other bias. What is below the
    # smallest normal float16 is so in float32, too, until it is multiplied.
    bits = values.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= -0x70000001
    out = bits.view(np.float32)
    out *= np.float32(2.0**112)
    return out


def weights(
    density: NDArray[np.float32], place: NDArray[np.integer], *, below: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the densities of finer voxels add to each mean, and what their coefficients are weighed with.

    Parameters
    ----------
    density : [v] (per world unit); below 0 it counts `below` times, see `BELOW_ZERO`
    place : [3, v], in the finer grid
    """
    share = _SHARES[1 - (place & 1)].prod(axis=0)
    added = np.where(density < 0, np.float32(below) * density, density) * share
    return added, (np.maximum(density, 0) + np.float32(_LEAST_WEIGHT)) * share


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """Where the finer voxels before, at and after coarse ones lie, along one axis."""

    at: NDArray[np.int64]
    """Counted from the first finer voxel that is there, [n, 3]."""
    repeated: NDArray[np.float32]
    """Share of each, over the one that its place gives it (`weights`): not 1 beyond the border, [n, 3]."""

    @classmethod
    def of(cls, start: int, stop: int, size: int) -> Around:
        """Those of coarse voxels [start, stop), in a finer grid of `size` voxels."""
        place = np.clip(2 * np.arange(start, stop)[:, None] + (-1, 0, 1), 0, size - 1)
        return cls(place - max(0, 2 * start - 1), _SHARES / _SHARES[1 - (place & 1)])


def touched(place: NDArray[np.int32], lower: Triple, upper: Triple) -> NDArray[np.bool_]:
    """Which of the coarse voxels [lower, upper) are means of one of some finer ones, [x, y, z].

    `place` [3, v] in the finer grid; all of them lie in the `finer_box`.
    """
    # A margin around takes what odd places add to coarse voxels beyond.
    x, y, z = (b - a + 2 for a, b in zip(lower, upper, strict=True))
    out = np.zeros((x, y, z), np.bool_)
    flat = out.reshape(-1)
    below = (place >> 1) - np.reshape(np.array(lower, np.int32) - 1, (3, 1))
    at = (below[0] * y + below[1]) * z + below[2]
    odd = place & 1
    steps = (odd[0] * (y * z), odd[1] * z, odd[2])
    for chosen in product((False, True), repeat=3):
        flat[sum(compress(steps, chosen), at)] = True
    return out[1:-1, 1:-1, 1:-1]


def means(
    number: NDArray[np.int32],
    values: NDArray[np.float32],
    around: Sequence[Around],
    coarse: NDArray[np.int64],
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Means of finer voxels: some of the coarse ones at a time, and what is added up for them [m, c].

    Parameters
    ----------
    number : which row of `values` a finer voxel has, [x, y, z]; where there is none, a row of zeros
    values : [v, c], weighed by `weights`
    around : along each axis
    coarse : coarse voxels, counted along each axis as in `around`, [3, n]
    """
    _, y, z = number.shape
    flat = number.reshape(-1)
    spread = [part.at.T * step for part, step in zip(around, (y * z, z, 1), strict=True)]
    repeated = [part.repeated.T for part in around]
    taken, added = np.empty((2, _BLOCK, values.shape[1]), np.float32)
    for start in range(0, coarse.shape[1], _BLOCK):
        block = slice(start, min(start + _BLOCK, coarse.shape[1]))
        rows = flat.take(_of_27(spread, coarse[:, block], np.add))
        factors = _of_27(repeated, coarse[:, block], np.multiply)
        sums, part = added[: rows.shape[1]], taken[: rows.shape[1]]
        sums[...] = 0
        for row, factor, beyond in zip(rows, factors, (factors != 1).any(axis=1), strict=True):
            # With "clip" NumPy writes into `part` without a copy in between.
            values.take(row, axis=0, out=part, mode="clip")
            if beyond:
                part *= factor[:, None]
            sums += part
        yield block, sums


def _of_27(
    parts: Sequence[NDArray[Any]], coarse: NDArray[np.int64], combine: np.ufunc
) -> NDArray[Any]:
    """What three axes [3, n] say together about the voxels around coarse ones, [27, m]."""
    x, y, z = (part.take(at, axis=1) for part, at in zip(parts, coarse, strict=True))
    plane = combine(x[:, None], y[None]).reshape(9, 1, -1)
    all_27: NDArray[Any] = combine(plane, z[None]).reshape(27, -1)
    return all_27
