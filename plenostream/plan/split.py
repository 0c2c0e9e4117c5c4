"""A scene's bricks split into subvolumes: boxes of bricks of about the same bytes, the leaves of a k-d tree.

A plane between bricks parts every ray in two: where a ray's coordinate along the plane's axis rises,
all that it meets below the plane comes before all that it meets above. So what the subvolumes of a
tree show goes together pair by pair, from the leaves up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InvalidInput

__all__ = ["Cut", "Split", "bricks_within", "fold", "split_bricks"]

_AS_GOOD = 1.05
"""Of planes that divide about as well, by this factor, the one across the longest axis is taken:
subvolumes like cubes are seen through fewer tiles than slices."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cut:
    """An inner node of the tree."""

    axis: int
    at: int
    """Brick coordinate: bricks below it are in `low`, the others in `high`."""
    low: Cut | int
    """A node, or the number of a subvolume."""
    high: Cut | int


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Subvolumes of a scene, n of them."""

    root: Cut | int
    boxes: NDArray[np.int64]
    """[n, 2, 3]: first brick, and one past the last; together they are the whole grid of bricks."""
    n_bytes: NDArray[np.int64]
    """[n]: what the bricks of each take."""

    @property
    def balance(self) -> float:
        """Bytes of a subvolume, on average, as a part of those of the largest: 1 is even."""
        largest = int(self.n_bytes.max())
        return float(self.n_bytes.mean()) / largest if largest else 1.0


def bricks_within(index: NDArray[np.int32], box: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the bricks at `index` [n, 3] lie in a box [2, 3]."""
    inside: NDArray[np.bool_] = ((index >= box[0]) & (index < box[1])).all(-1)
    return inside


def fold(node: Cut | int, leaf: Callable[[int], T], join: Callable[[Cut, T, T], T]) -> T:
    """What `join` makes of the two sides of every cut, the leaves' own given by `leaf`."""
    if isinstance(node, int):
        return leaf(node)
    return join(node, fold(node.low, leaf, join), fold(node.high, leaf, join))


def split_bricks(
    index: NDArray[np.int32], n_bytes: NDArray[np.int64], n: int, shape: tuple[int, int, int]
) -> Split:
    """Subvolumes of about the same bytes, each with a brick at least.

    Parameters
    ----------
    index : [m, 3] brick coordinates, none twice
    n_bytes : [m] what each brick takes, above zero
    n : subvolumes
    shape : bricks per axis of the whole grid

    Raises
    ------
    InvalidInput : there are fewer bricks than subvolumes.
    """
    if len(index) < n:
        raise InvalidInput(
            f"the scene has {len(index)} bricks to draw, which is too few for {n} workers; use at most "
            f"{max(len(index), 1)}"
        )
    boxes, sums = np.empty((n, 2, 3), np.int64), np.empty(n, np.int64)

    def build(
        members: NDArray[np.int64], box: NDArray[np.int64], first: int, count: int
    ) -> Cut | int:
        if count == 1:
            boxes[first], sums[first] = box, n_bytes[members].sum()
            return first
        axis, at, n_low = _best_plane(index[members], n_bytes[members], count)
        below = index[members, axis] < at
        sides = box.copy(), box.copy()
        sides[0][1, axis] = sides[1][0, axis] = at
        low = build(members[below], sides[0], first, n_low)
        high = build(members[~below], sides[1], first + n_low, count - n_low)
        return Cut(axis, at, low, high)

    whole = np.array([(0, 0, 0), shape], np.int64)
    root = build(np.arange(len(index)), whole, 0, n)
    return Split(root, boxes, sums)


def _best_plane(
    index: NDArray[np.int32], n_bytes: NDArray[np.int64], n: int
) -> tuple[int, int, int]:
    """Axis and place of a plane, and how many of `n` subvolumes go below it: those that leave the
    least bytes to a subvolume of the fuller side, with about as many on both where there is a way."""
    halves = {n // 2, n - n // 2}
    found = list(_planes(index, n_bytes, n, halves)) or list(
        _planes(index, n_bytes, n, range(1, n))
    )
    least = min(cost for cost, *_ in found)
    extent = index.max(0) - index.min(0)
    good = [plane for plane in found if plane[0] <= _AS_GOOD * least]
    _, axis, at, n_low = max(good, key=lambda plane: (extent[plane[1]], -plane[0]))
    return axis, at, n_low


def _planes(
    index: NDArray[np.int32], n_bytes: NDArray[np.int64], n: int, counts: Iterable[int]
) -> Iterator[tuple[float, int, int, int]]:
    """The best plane across each axis for each of the `counts` of subvolumes below it: the bytes of a
    subvolume of the fuller side, axis, place, count. Every subvolume has to get a brick."""
    for axis in range(3):
        at, members = np.unique(index[:, axis], return_inverse=True)
        below = np.cumsum(np.bincount(members, n_bytes))[:-1]
        n_below = np.cumsum(np.bincount(members))[:-1]
        for n_low in counts:
            enough = np.flatnonzero((n_below >= n_low) & (len(index) - n_below >= n - n_low))
            if len(enough):
                above = float(n_bytes.sum()) - below[enough]
                cost = np.maximum(below[enough] / n_low, above / (n - n_low))
                best = int(np.argmin(cost))
                yield float(cost[best]), axis, int(at[enough[best] + 1]), n_low
