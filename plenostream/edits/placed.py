"""Scenes, or boxes of them, laid into one grid: what cropping and merging have in common."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.edits.voxels import SceneVoxels
from plenostream.field.grid import GridSpec
from plenostream.importers.arrays.boxes import BoxValues, Triple, VoxelBox
from plenostream.options import Overlap

__all__ = ["Placed", "PlacedScenes", "grid_of_box"]


def grid_of_box(grid: GridSpec, box: VoxelBox) -> GridSpec:
    """The grid of the voxels of a box alone, which stay where they are in the world.

    The box may go beyond the grid.
    """
    if box == VoxelBox((0, 0, 0), grid.size):
        return grid
    middle = grid.grid_to_world(
        [(a + b - 1) / 2 for a, b in zip(box.lower, box.upper, strict=True)]
    )
    frame = [
        (_rounded(radius, to=radius), _rounded(center, to=radius))
        for radius, center in zip(
            np.asarray(grid.radius) * box.shape / grid.size, middle.tolist(), strict=True
        )
    ]
    (x, cx), (y, cy), (z, cz) = frame
    return GridSpec(size=box.shape, radius=(x, y, z), center=(cx, cy, cz))


def _rounded(value: float, *, to: float) -> float:
    """A length to 14 digits of another: so parts of a grid that are joined again are that grid."""
    return round(float(value), 14 - math.ceil(math.log10(to)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placed:
    """A box of a scene, and where it lies in the new grid."""

    voxels: SceneVoxels
    window: VoxelBox
    """The voxels of the scene that count."""
    shift: Triple
    """New place of the scene's voxel 0."""

    def own_box(self, box: VoxelBox) -> VoxelBox | None:
        """The voxels of the window that lie in a box of the new grid; None: none."""
        moved = _moved(box, (-self.shift[0], -self.shift[1], -self.shift[2]))
        common = moved.common(self.window)
        return common if min(common.shape) > 0 else None


def _moved(box: VoxelBox, shift: Triple) -> VoxelBox:
    (x0, y0, z0), (x1, y1, z1) = (
        tuple(a + s for a, s in zip(corner, shift, strict=True))
        for corner in (box.lower, box.upper)
    )
    return VoxelBox((x0, y0, z0), (x1, y1, z1))


class PlacedScenes:
    """A `BoxSource`: every voxel that one of the scenes stores.

    Of a voxel that several store, one scene's values are taken whole, as `overlap` says: those of
    the "first" or of the "last" scene, or the "denser" ones (of equal ones the first).
    """

    def __init__(self, placed: Sequence[Placed], *, basis_dim: int, overlap: Overlap) -> None:
        self._placed, self._dim, self._overlap = placed, basis_dim, overlap

    def positive(self, box: VoxelBox) -> NDArray[np.bool_] | None:
        """All stored voxels, since these are what is kept; see `BoxSource`."""
        found = np.zeros(box.shape, np.bool_)
        for placed, own, part in self._parts(box):
            active = placed.voxels.active(own)
            if active is not None:
                found[part] |= active
        return found if found.any() else None

    def values(self, box: VoxelBox) -> BoxValues:
        """See `BoxSource`."""
        density = np.zeros(box.shape, np.float32)
        sh = np.zeros((*box.shape, 3, self._dim), np.float32)
        given = np.zeros(box.shape, np.bool_)
        for placed, own, part in self._parts(box):
            values = placed.voxels.values(own)
            assert values.given is not None
            taken = values.given
            if self._overlap == "first":
                taken = taken & ~given[part]
            elif self._overlap == "denser":
                taken = taken & (~given[part] | (values.density > density[part]))
            dim = placed.voxels.meta.basis_dim
            density[part][taken] = values.density[taken]
            # Functions of higher degrees follow those of lower ones: what a scene lacks is 0.
            coefficients = np.zeros((np.count_nonzero(taken), 3, self._dim), np.float32)
            coefficients[..., :dim] = values.colours[taken].reshape(-1, 3, dim)
            sh[part][taken] = coefficients
            given[part] |= taken
        return BoxValues(density=density, colours=sh.reshape(*box.shape, -1), given=given)

    def _parts(
        self, box: VoxelBox
    ) -> Iterator[tuple[Placed, VoxelBox, tuple[slice, slice, slice]]]:
        """The scenes that lie in a box: the box in their own grid, and in an array of `box`."""
        for placed in self._placed:
            own = placed.own_box(box)
            if own is not None:
                yield placed, own, _moved(own, placed.shift).within(box)
