"""Tiny svox2 checkpoints whose content is known: random, slabs, ramps, one voxel, a gyroid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from plenostream.field.grid import GridSpec

__all__ = [
    "CheckpointArrays",
    "constant_checkpoint",
    "empty_checkpoint",
    "flat_colour_sh",
    "from_dense",
    "gyroid_checkpoint",
    "ramp_checkpoint",
    "random_checkpoint",
    "single_voxel_checkpoint",
]

Size = tuple[int, int, int]
Vector = tuple[float, float, float]

_C0 = 0.28209479177387814
"""Value of the constant spherical harmonic: colour = 0.5 + _C0 * coefficient."""


# eq=False: arrays have no single truth value, so a checkpoint equals only itself.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CheckpointArrays:
    """The arrays of a svox2 checkpoint, in memory."""

    links: NDArray[np.int32]
    """Row of each voxel [X, Y, Z]; negative where there is none."""
    density: NDArray[np.float32]
    """Density per row [n] (per world unit)."""
    sh: NDArray[np.float16] | NDArray[np.float32]
    """Coefficients per row [n, 3 * basis_dim], channel-major."""
    radius: Vector = (1.0, 1.0, 1.0)
    """Half the extent per axis (world units)."""
    center: Vector = (0.0, 0.0, 0.0)
    """Middle of the volume (world units)."""

    @property
    def size(self) -> Size:
        """Voxels per axis."""
        x, y, z = self.links.shape
        return x, y, z

    @property
    def grid(self) -> GridSpec:
        """Shape and place of the grid."""
        return GridSpec(size=self.size, radius=self.radius, center=self.center)

    @property
    def basis_dim(self) -> int:
        """Spherical harmonics per channel."""
        return int(self.sh.shape[1]) // 3

    def save(self, path: Path, *, compressed: bool = True) -> Path:
        """Write the arrays to `path` the way svox2's `SparseGrid.save` does; returns `path`."""
        write = np.savez_compressed if compressed else np.savez
        write(
            path,
            radius=np.asarray(self.radius, np.float32),
            center=np.asarray(self.center, np.float32),
            links=self.links,
            density_data=self.density[:, None],
            sh_data=self.sh,
            basis_type=np.asarray(1),
        )
        return path


def from_dense(
    active: NDArray[np.bool_],
    density: ArrayLike,
    sh: ArrayLike,
    *,
    radius: Vector = (1.0, 1.0, 1.0),
    center: Vector = (0.0, 0.0, 0.0),
    sh_dtype: DTypeLike = np.float16,
) -> CheckpointArrays:
    """The checkpoint that has the `active` voxels [X, Y, Z] of dense arrays, rows in C order.

    `density` [X, Y, Z] and `sh` [X, Y, Z, 3 dim] are broadcast, so that constants will do.
    """
    links = np.full(active.shape, -1, np.int32)
    links[active] = np.arange(np.count_nonzero(active), dtype=np.int32)
    coefficients = np.asarray(sh, np.float64)
    columns = coefficients.shape[-1]
    return CheckpointArrays(
        links=links,
        density=np.broadcast_to(np.asarray(density), active.shape)[active].astype(np.float32),
        sh=np.broadcast_to(coefficients, (*active.shape, columns))[active].astype(sh_dtype),
        radius=radius,
        center=center,
    )


def flat_colour_sh(colour: Vector, *, basis_dim: int) -> NDArray[np.float64]:
    """Coefficients [3 dim] that give `colour` from every direction."""
    sh = np.zeros((3, basis_dim))
    sh[:, 0] = (np.asarray(colour) - 0.5) / _C0
    return sh.reshape(-1)


def random_checkpoint(
    seed: int,
    *,
    size: Size = (16, 16, 16),
    active_share: float = 0.3,
    basis_dim: int = 9,
    density_scale: float = 4.0,
    negative_share: float = 0.2,
    radius: Vector = (1.0, 1.0, 1.0),
    center: Vector = (0.0, 0.0, 0.0),
    sh_dtype: DTypeLike = np.float16,
) -> CheckpointArrays:
    """Independent random voxels; densities are exact in float16, some of them negative."""
    rng = np.random.default_rng(seed)
    active = rng.random(size) < active_share
    density = rng.gamma(1.0, density_scale, size)
    density = np.where(rng.random(size) < negative_share, -density, density).astype(np.float16)
    sh = rng.normal(0.0, 0.5, (*size, 3 * basis_dim))
    return from_dense(active, density, sh, radius=radius, center=center, sh_dtype=sh_dtype)


def constant_checkpoint(
    *,
    size: Size = (8, 8, 8),
    density: float = 1.0,
    colour: Vector = (0.75, 0.5, 0.25),
    basis_dim: int = 1,
    radius: Vector = (1.0, 1.0, 1.0),
    center: Vector = (0.0, 0.0, 0.0),
) -> CheckpointArrays:
    """Every voxel the same: along a ray T = exp(-density * length of its samples)."""
    active = np.ones(size, np.bool_)
    sh = flat_colour_sh(colour, basis_dim=basis_dim)
    return from_dense(active, density, sh, radius=radius, center=center, sh_dtype=np.float32)


def ramp_checkpoint(
    *,
    size: Size = (12, 8, 8),
    slope: float = 0.5,
    intercept: float = 0.25,
    colour: Vector = (0.75, 0.5, 0.25),
) -> CheckpointArrays:
    """Density `intercept + slope * x` at voxel x: linear, so interpolation reproduces it."""
    density = (intercept + slope * np.arange(size[0]))[:, None, None]
    active = np.ones(size, np.bool_)
    sh = flat_colour_sh(colour, basis_dim=1)
    return from_dense(active, density, sh, sh_dtype=np.float32)


def single_voxel_checkpoint(
    *,
    size: Size = (8, 8, 8),
    voxel: tuple[int, int, int] = (3, 4, 5),
    density: float = 8.0,
    colour: Vector = (0.75, 0.5, 0.25),
) -> CheckpointArrays:
    """One active voxel: its density falls linearly to 0 at its neighbours."""
    active = np.zeros(size, np.bool_)
    active[voxel] = True
    sh = flat_colour_sh(colour, basis_dim=1)
    return from_dense(active, density, sh, sh_dtype=np.float32)


def empty_checkpoint(*, size: Size = (6, 6, 6), basis_dim: int = 9) -> CheckpointArrays:
    """No active voxel and no rows."""
    return from_dense(np.zeros(size, np.bool_), 0.0, np.zeros(3 * basis_dim))


def _gyroid(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Level function [...] of a gyroid at points [..., 3]; its sheet is where it is 0."""
    x, y, z = np.moveaxis(points, -1, 0)
    level: NDArray[np.float64] = (
        np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x)
    )
    return level


def gyroid_checkpoint(
    *,
    size: Size = (48, 48, 48),
    periods: float = 2.0,
    thickness: float = 0.35,
    density: float = 40.0,
    basis_dim: int = 9,
    seed: int = 7,
) -> CheckpointArrays:
    """A thin curved sheet through the whole box: smooth, sparse, with view-dependent colour.

    It is what trained scenes look like to a scheduler: most bricks are empty or hidden.
    """
    axes = [np.linspace(-1.0, 1.0, n) for n in size]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    distance = np.abs(_gyroid(points * np.pi * periods)) / thickness
    sigma = (density * np.clip(1.0 - distance, 0.0, 1.0)).astype(np.float16)
    rng = np.random.default_rng(seed)
    waves = rng.normal(0.0, 1.0, (3, 3 * basis_dim))
    sh = 0.6 * np.sin(points @ waves * 2.0) / np.sqrt(basis_dim)
    # A voxel around the sheet is kept although its density is 0, as in trained checkpoints.
    return from_dense(distance < 1.2, sigma, sh)
