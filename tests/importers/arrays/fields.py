"""A field of voxels as arrays, and the checkpoint whose scene it has to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import GridSpec
from plenostream.testing.checkpoints import CheckpointArrays

C0 = 0.28209479177387814


@dataclass(frozen=True, kw_only=True, eq=False)
class Field:
    """Densities [X, Y, Z] and colours [X, Y, Z, c]; None: plain colours."""

    density: NDArray[np.float32]
    colours: NDArray[np.floating]
    basis_dim: int | None = None

    @property
    def grid(self) -> GridSpec:
        x, y, z = self.density.shape
        return GridSpec(size=(x, y, z), radius=(1.0, 0.8, 1.3), center=(0.1, 0.0, -0.2))

    def box(
        self, lower: tuple[int, ...], upper: tuple[int, ...]
    ) -> tuple[NDArray[np.float32], NDArray[np.floating]]:
        part = tuple(map(slice, lower, upper))
        return self.density[part], self.colours[part]

    def active(self) -> NDArray[np.bool_]:
        """Voxels with a positive density, or a neighbour that has one."""
        around = np.pad(self.density > 0, 1)
        x, y, z = self.density.shape
        return np.any(
            [
                around[i : i + x, j : j + y, k : k + z]
                for i in range(3)
                for j in range(3)
                for k in range(3)
            ],
            axis=0,
        )

    def checkpoint(self, *, every_voxel: bool = False) -> CheckpointArrays:
        """The voxels that are stored, or all that there are."""
        active = np.ones(self.density.shape, np.bool_) if every_voxel else self.active()
        links = np.full(self.density.shape, -1, np.int32)
        links[active] = np.arange(np.count_nonzero(active), dtype=np.int32)
        sh = self.colours[active]
        if self.basis_dim is None:
            sh = ((sh.astype(np.float64) - 0.5) / C0).astype(np.float32)
        return CheckpointArrays(
            links=links,
            density=self.density[active],
            sh=sh,
            radius=self.grid.radius,
            center=self.grid.center,
        )


def blobs(
    seed: int, size: tuple[int, int, int], *, basis_dim: int | None = None, share: float = 0.01
) -> Field:
    """A few voxels of positive density, some below 0, and colours everywhere."""
    rng = np.random.default_rng(seed)
    density = np.zeros(size, np.float32)
    some = rng.random(size) < share
    density[some] = rng.gamma(1.0, 6.0, some.sum())
    density[rng.random(size) < share / 2] = -1.0
    if basis_dim is None:
        colours: NDArray[np.floating] = rng.random((*size, 3), np.float32)
    else:
        colours = rng.normal(0.0, 0.5, (*size, 3 * basis_dim)).astype(np.float32)
    return Field(density=density, colours=colours, basis_dim=basis_dim)


def files(scene: Path) -> dict[str, bytes]:
    """Every file of a scene but the documents, by its path."""
    return {
        str(path.relative_to(scene)): path.read_bytes()
        for path in scene.rglob("*")
        if path.is_file() and path.name != "zarr.json"
    }
