"""`resample`: a scene with more or fewer voxels, in the same place."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, product
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.edits.origins import make_edited, open_origin
from plenostream.edits.voxels import SceneVoxels
from plenostream.errors import InvalidInput
from plenostream.field.grid import GridSpec
from plenostream.files.paths import PathLike
from plenostream.importers.arrays.boxes import BoxValues, Triple, VoxelBox
from plenostream.importers.packing.report import ConvertReport
from plenostream.options import FACTOR, NEW_GRID, EditOptions
from plenostream.results import Progress

__all__ = ["resample"]

_MOST_PARTS = 4
_WIDEST = 34
"""Voxels an axis of the largest box that is asked for."""
_MOST_POINTS = 68
"""Points an axis of a portion of it that is made at a time: twice a brick of 32, and of a brick of 16
with three or four parts a voxel still the whole."""


def resample(
    scene: PathLike,
    target: PathLike,
    factor: float | None = None,
    options: EditOptions | None = None,
    *,
    grid: Any = None,
    progress: Progress | None = None,
) -> ConvertReport:
    """Write a scene whose grid has `factor` times as many voxels along each axis (rounded), or those of
    `grid` (three whole numbers, each a quarter to four times what there is).

    Its volume stays where it is. With more voxels, each has what the old grid has at its centre,
    densities and coefficients interpolated linearly between eight voxels, as svox2's own `resample`
    does. With fewer, each is cut into parts no longer than an old voxel, and has the mean of what
    the old grid has at their middles; of coefficients it is weighted by density, so that surfaces
    keep their colours where they are next to nothing.

    Raises
    ------
    InvalidInput : neither or both of the two; one is against its rule, or leaves less than two voxels
        along an axis.
    StoreNotFound, StoreFormat, BrickCorrupt, StoreExists, StoreError, OutputError, BudgetError : as
    for `crop`.
    """
    if (factor is None) == (grid is None):
        raise InvalidInput("expected a factor or a grid, and not both")
    if factor is not None:
        factor = FACTOR.check("factor", factor)
    else:
        grid = NEW_GRID.check("grid", grid)
    origin = open_origin(scene, target)
    old = origin.meta.grid
    new = replace(old, size=_times(old.size, factor) if factor is not None else grid)
    _check_ratios(old.size, new.size)
    form = _Sampling(old=old, new=new)
    return make_edited(
        target,
        new,
        [origin],
        lambda scenes: _Resampled(scenes[0], form),
        options,
        line=f"resample from {old.size} to {new.size} voxels",
        held_bytes=form.box_bytes(origin.meta.sh_columns),
        progress=progress,
    )


def _times(size: Triple, factor: float) -> Triple:
    x, y, z = (round(n * factor) for n in size)
    if min(x, y, z) < 2:
        raise InvalidInput(f"factor is {factor:g}, which leaves {(x, y, z)} of {size} voxels")
    return x, y, z


def _check_ratios(old: Triple, new: Triple) -> None:
    """Refuse more than a factor of `_MOST_PARTS` along an axis: boxes would not fit any memory."""
    for a, b in zip(old, new, strict=True):
        # A factor of 1/4 may round to a little less.
        if _MOST_PARTS * (b + 1) <= a or b > _MOST_PARTS * a:
            raise InvalidInput(
                f"grid is {new}, and the scene has {old} voxels; expected a quarter to four times "
                "as many along each axis: go there in several steps"
            )


class _Sampling:
    """Where the values of new voxels are taken from the old ones."""

    def __init__(self, *, old: GridSpec, new: GridSpec) -> None:
        self.old, self.new = old, new
        x, y, z = (math.ceil(a / b) for a, b in zip(old.size, new.size, strict=True))
        self.parts: Triple = (x, y, z)
        """Points along each axis of a new voxel whose mean it has."""

    def along(self, axis: int, first: int, after: int) -> NDArray[np.float64]:
        """Old coordinates, within the grid, of the points of new voxels [first, after)."""
        n = self.parts[axis]
        point = np.arange(first * n, after * n) + 0.5
        old = point * self.old.size[axis] / (self.new.size[axis] * n) - 0.5
        return np.clip(old, 0, self.old.size[axis] - 1)

    def old_box(self, box: VoxelBox) -> VoxelBox:
        """The old voxels that a box of new ones is made of."""
        ends = [
            self.along(axis, a, b)[[0, -1]]
            for axis, (a, b) in enumerate(zip(box.lower, box.upper, strict=True))
        ]
        (x0, x1), (y0, y1), (z0, z1) = (
            (int(low), min(int(high) + 2, n))
            for (low, high), n in zip(ends, self.old.size, strict=True)
        )
        return VoxelBox((x0, y0, z0), (x1, y1, z1))

    def portions(self, box: VoxelBox) -> Iterator[VoxelBox]:
        """A box in portions of `_MOST_POINTS` points an axis at most."""
        cuts = []
        for a, b, n in zip(box.lower, box.upper, self.parts, strict=True):
            cuts.append(_even_cuts(a, b, min(_MOST_POINTS // n, _WIDEST)))
        for x, y, z in product(*cuts):
            yield VoxelBox((x[0], y[0], z[0]), (x[1], y[1], z[1]))

    def box_bytes(self, columns: int) -> int:
        """Memory that making the largest portion takes, and the box that it is a part of."""
        widths = [min(_MOST_POINTS // n, _WIDEST) for n in self.parts]
        points = math.prod(w * n for w, n in zip(widths, self.parts, strict=True))
        sizes = zip(widths, self.old.size, self.new.size, strict=True)
        old = math.prod(min(w * a // b + 3, a) for w, a, b in sizes)
        return 4 * (1 + columns) * (2 * old + 4 * points + _WIDEST**3)


def _even_cuts(first: int, after: int, most: int) -> list[tuple[int, int]]:
    """The whole numbers [first, after) in parts of `most` at most, as alike as can be."""
    n = -(-(after - first) // most)
    ends = [first + (after - first) * i // n for i in range(n + 1)]
    return list(pairwise(ends))


class _Resampled:
    """A `BoxSource`: a scene at other voxels."""

    def __init__(self, voxels: SceneVoxels, sampling: _Sampling) -> None:
        self._voxels, self._sampling = voxels, sampling

    def positive(self, box: VoxelBox) -> NDArray[np.bool_] | EllipsisType | None:
        """See `BoxSource`."""
        old = self._sampling.old_box(box)
        if self._voxels.active(old) is None:
            return None
        if max(box.shape) > _WIDEST:
            return ...
        found = np.empty(box.shape, np.bool_)
        for part in self._sampling.portions(box):
            old = self._sampling.old_box(part)
            points = self._points(self._voxels.density(old), old, part)
            found[part.within(box)] = self._means(points) > 0
        return found

    def values(self, box: VoxelBox) -> BoxValues:
        """See `BoxSource`."""
        density = np.empty(box.shape, np.float32)
        colours = np.empty((*box.shape, self._voxels.meta.sh_columns), np.float32)
        for part in self._sampling.portions(box):
            made, at = self._values(part), part.within(box)
            density[at], colours[at] = made.density, made.colours
        return BoxValues(density=density, colours=colours)

    def _values(self, box: VoxelBox) -> BoxValues:
        """`values` of a portion."""
        old = self._sampling.old_box(box)
        values = self._voxels.values(old)
        density = self._points(values.density, old, box)
        colours = self._points(values.colours, old, box)
        mean = self._means(density)
        if max(self._sampling.parts) == 1:
            return BoxValues(density=mean, colours=colours)
        weights = np.maximum(density, 0)[..., None]
        total = self._means(weights)
        weighted = self._means(weights * colours) / np.where(total > 0, total, 1)
        colours = np.where(total > 0, weighted, self._means(colours))
        return BoxValues(density=mean, colours=colours)

    def _points(
        self, values: NDArray[np.float32], old: VoxelBox, box: VoxelBox
    ) -> NDArray[np.float32]:
        """Values [x, y, z, ...] of old voxels, interpolated at the points of a box's new ones."""
        for axis, (first, after) in enumerate(zip(box.lower, box.upper, strict=True)):
            at = self._sampling.along(axis, first, after) - old.lower[axis]
            low = np.minimum(at.astype(np.int64), max(old.shape[axis] - 2, 0))
            high = np.minimum(low + 1, old.shape[axis] - 1)
            shape = [1] * values.ndim
            shape[axis] = len(at)
            share = (at - low).astype(np.float32).reshape(shape)
            values = values.take(low, axis) * (1 - share) + values.take(high, axis) * share
        return values

    def _means(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Means over the points of each voxel."""
        for axis, n in enumerate(self._sampling.parts):
            if n > 1:
                shape = points.shape
                cut = points.reshape(*shape[:axis], shape[axis] // n, n, *shape[axis + 1 :])
                points = cut.mean(axis=axis + 1)
        return points
