"""Host memory of training: what it takes, and how many voxels there may be."""

from __future__ import annotations

from dataclasses import dataclass

from plenostream.errors import BudgetError
from plenostream.plan.budget import round_up_budget
from plenostream.rules.bytesize import format_bytes, format_least_bytes
from plenostream.train.rows import rows_bytes

__all__ = ["TrainBudget"]

_VOXEL = 72
"""Bytes of a voxel in a set of them: its place, home and neighbours, and its copies in bricks."""
_CUTTING = 110
"""Bytes of a voxel while a set of voxels is made, beside that: keys, sorted."""
_WEIGHED = 4 * (1 + 3) * 2 + 8 + 4
"""Bytes of a voxel that is weighed: a row without coefficients, and its weight."""
_GRID_VOXEL = 12
"""Bytes of a voxel of the whole grid, active or not, while a stage grows or a scene is written: a row's
number or a density, and masks."""
_BASE = 60_000_000
"""Buffers that bricks are gathered in, and derivatives that are collected; the interpreter's own."""
_WRITING = 80_000_000
"""Least memory in which a scene is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainBudget:
    """What is allowed, and what is taken whatever the voxels are."""

    allowed_bytes: int
    photographs_bytes: int
    """Pixels that are kept."""
    batch_bytes: int
    """Rays of a step, and a picture that is read, reduced or compared."""
    columns: int
    """Coefficients of a voxel."""
    squares: bool
    """Whether the optimiser keeps mean squares."""
    layers_bytes: int = 0
    """Background layers that are trained."""

    @property
    def voxel_bytes(self) -> int:
        """Bytes of a voxel that is trained."""
        return _VOXEL + rows_bytes(1, self.columns, squares=self.squares)

    @property
    def pictures_bytes(self) -> int:
        """Bytes that go with photographs and rays."""
        return self.photographs_bytes + self.batch_bytes

    def grid_bytes(self, size: tuple[int, int, int]) -> int:
        """Bytes that go with the whole grid."""
        x, y, z = size
        return x * y * z * _GRID_VOXEL

    def planned_bytes(self, n_voxels: int, size: tuple[int, int, int]) -> int:
        """Training so many voxels of a grid, and writing them."""
        fixed = _BASE + _WRITING + self.layers_bytes + self.pictures_bytes + self.grid_bytes(size)
        return fixed + n_voxels * (self.voxel_bytes + _CUTTING)

    def most_voxels(self, n_before: int, size: tuple[int, int, int]) -> int:
        """Voxels that a grid may have while the `n_before` voxels of the stage before are still there."""
        left = self.allowed_bytes - self.planned_bytes(0, size) - n_before * self.voxel_bytes
        return max(left // (self.voxel_bytes + _CUTTING), 0)

    def most_weighed(self, n_before: int, size: tuple[int, int, int]) -> int:
        """Voxels that may be weighed meanwhile."""
        left = self.allowed_bytes - self.planned_bytes(0, size) - n_before * self.voxel_bytes
        return max(left // (_VOXEL + _CUTTING + _WEIGHED), 0)

    def require(self, n_voxels: int, size: tuple[int, int, int]) -> int:
        """Bytes that writing a scene of so many voxels may take, beside them.

        Raises
        ------
        BudgetError : they do not fit.
        """
        planned = self.planned_bytes(n_voxels, size)
        if planned > self.allowed_bytes:
            smallest = round_up_budget(planned)
            rows = n_voxels * (self.voxel_bytes + _CUTTING)
            layers = self.layers_bytes
            texels = f"{format_bytes(layers)} for background layers, " if layers else ""
            raise BudgetError(
                f"the host memory allowed, {format_bytes(self.allowed_bytes)}, is too small: training "
                f"{n_voxels} voxels needs at least {format_least_bytes(smallest)} "
                f"({format_bytes(rows)} for voxels, {format_bytes(self.pictures_bytes)} for "
                f"photographs, {texels}{format_bytes(self.grid_bytes(size))} for the grid). Allow that much, or "
                "train with fewer voxels (--size), views or rays",
                planned_bytes=smallest,
                allowed_bytes=self.allowed_bytes,
                smallest_bytes=smallest,
            )
        return self.allowed_bytes - planned + _WRITING
