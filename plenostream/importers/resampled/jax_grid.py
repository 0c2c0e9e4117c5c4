"""Plenoxels in JAX: the folder of ``.npy`` arrays that `save_grid` of ``plenoxel.py`` writes.

``indices.npy`` [R, R, R] has the row of each voxel (negative: none), ``sigma_grid.npy`` [n] the
densities and ``sh_grid0.npy``, ``sh_grid1.npy``, ... [n, 3] one coefficient of each channel. Voxels and
their centres are svox2's; the radius is not in the files. Densities are interpolated as in svox2,
so a scene has them exactly. Colours go through a sigmoid after the interpolation, and the basis takes
directions of the length that the camera makes them: no scene has these.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import CheckpointError, InvalidInput, shown
from plenostream.field.basis import BASIS_DIMS
from plenostream.field.grid import GridSpec
from plenostream.files.npy import HEADER_BYTES, ArrayHeader, parse_header
from plenostream.importers.arrays.boxes import Triple, VoxelBox
from plenostream.importers.resampled.colours import fitted_coefficients, harmonics, sigmoid
from plenostream.importers.resampled.model import ForeignFile

__all__ = ["RADIUS", "JaxGridFile", "is_jax_grid", "open_jax_grid"]

RADIUS = 1.3
"""What plenoptimize.py takes unless it is told otherwise."""
_UNIFORM = 0.5
"""Its distance between samples, in voxels."""
_MOST_AXIS = 4096
_OPAQUE = 1e-7
"""Light that is not followed further."""
_CORNERS = np.array(list(itertools.product((0, 1), repeat=3)))


def is_jax_grid(path: str | os.PathLike[str]) -> bool:
    """Whether a folder has the arrays that say that it is one."""
    return all(os.path.isfile(Path(path, name)) for name in ("indices.npy", "sigma_grid.npy"))


@dataclass(frozen=True, slots=True)
class _Stored:
    """An array of the folder, mapped anew whenever it is asked for."""

    path: str
    header: ArrayHeader

    def mapped(self) -> NDArray[Any]:
        return np.memmap(
            self.path,
            self.header.dtype,
            mode="r",
            offset=self.header.data_offset,
            shape=self.header.shape,
            order="F" if self.header.fortran_order else "C",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JaxGridFile(ForeignFile):
    """A folder whose headers are sound."""

    indices: _Stored
    sigma: _Stored
    sh: tuple[_Stored, ...]

    def load(self) -> _JaxGrid:
        """Nothing is held: arrays are mapped box by box."""
        return _JaxGrid(self)


def open_jax_grid(path: str, *, radius: float | None) -> JaxGridFile:
    """The grid in the folder `path`; `radius` in world units, None: `RADIUS`.

    Raises
    ------
    CheckpointError : arrays that are not there, damaged, or of shapes that contradict each other.
    """
    indices, sigma = _stored(path, "indices"), _stored(path, "sigma_grid")
    n = len(indices.header.shape) and indices.header.shape[0]
    if (
        indices.header.shape != (n,) * 3
        or indices.header.dtype.kind not in "iu"
        or not 2 <= n <= _MOST_AXIS
    ):
        raise CheckpointError(
            f"{indices.path} has the shape {shown(indices.header.shape)}, {indices.header.dtype}; "
            f"expected integers [n, n, n] with 2 to {_MOST_AXIS} voxels an axis"
        )
    found = [
        number
        for number in range(max(BASIS_DIMS) + 1)
        if os.path.lexists(Path(path, f"sh_grid{number}.npy"))
    ]
    if len(found) not in BASIS_DIMS or found != list(range(len(found))):
        raise CheckpointError(
            f"{path} has the coefficients {found}; expected sh_grid0.npy and so on, "
            f"{', '.join(map(str, BASIS_DIMS))} of them"
        )
    sh = tuple(_stored(path, f"sh_grid{number}") for number in found)
    rows = sigma.header.shape
    for stored, shape in ((sigma, rows[:1]), *((each, (*rows, 3)) for each in sh)):
        if stored.header.shape != shape or stored.header.dtype.kind != "f" or len(rows) != 1:
            raise CheckpointError(
                f"{stored.path} has the shape {shown(stored.header.shape)}, {stored.header.dtype}; "
                f"expected floating point {shown(shape)}"
            )
    try:
        grid = GridSpec(size=(n, n, n), radius=(radius or RADIUS,) * 3)
    except InvalidInput as error:
        raise CheckpointError(f"{path}: {error}") from error
    every = [os.stat(stored.path) for stored in (indices, sigma, *sh)]
    return JaxGridFile(
        path=path,
        kind="a grid of Plenoxels in JAX: its colours go through a sigmoid",
        grid=grid,
        basis_dim=len(sh),
        held_bytes=0,
        stamp=[sum(s.st_size for s in every), max(s.st_mtime_ns for s in every)],
        indices=indices,
        sigma=sigma,
        sh=sh,
    )


def _stored(folder: str, name: str) -> _Stored:
    path = os.path.join(folder, f"{name}.npy")
    try:
        with open(path, "rb") as file:
            header = parse_header(file.read(HEADER_BYTES), where=path, error=CheckpointError)
            n_bytes = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    if n_bytes < header.n_bytes:
        raise CheckpointError(f"{path} claims {header.n_bytes} bytes and has {n_bytes}")
    return _Stored(path, header)


class _JaxGrid:
    """A `ForeignModel`: what the arrays say."""

    def __init__(self, file: JaxGridFile) -> None:
        self._file = file
        self._size = file.grid.size[0]

    def _rows(self, part: tuple[Any, ...]) -> NDArray[np.int64]:
        """Rows of some voxels, negative where there is none."""
        rows = np.array(self._file.indices.mapped()[part]).astype(np.int64)
        n = self._file.sigma.header.shape[0]
        if rows.size and int(rows.max()) >= n:
            raise CheckpointError(
                f"{self._file.indices.path} names row {int(rows.max())}, and there are {n} rows"
            )
        return rows

    def _densities(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Densities of rows [...]; 0 where there is none."""
        sigma = np.zeros(rows.shape)
        held = rows >= 0
        sigma[held] = self._file.sigma.mapped()[rows[held]]
        return sigma

    def _coefficients(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Coefficients [r, 3, dim] of rows [r]; 0 where there is none."""
        sh = np.zeros((len(rows), 3, len(self._file.sh)), np.float32)
        held = rows >= 0
        for number, stored in enumerate(self._file.sh):
            sh[held, :, number] = stored.mapped()[rows[held]]
        return sh

    def box(self, lower: Triple, upper: Triple) -> Any:
        """Densities and coefficients of the voxels of a box; see `write_scene`."""
        box = VoxelBox(lower, upper)
        rows = self._rows(box.slices)
        density = self._densities(rows)
        if not np.isfinite(density).all():
            raise CheckpointError(f"{self._file.sigma.path} has densities that are not finite")
        if not (density > 0).any():
            return None
        if max(box.shape) > 34:
            return ...
        flat = rows.reshape(-1)
        colours = np.zeros((len(flat), 3 * self._file.basis_dim), np.float32)
        held = flat >= 0
        coefficients = self._coefficients(flat[held])
        if not np.isfinite(coefficients).all():
            raise CheckpointError(f"{self._file.path} has coefficients that are not finite")
        colours[held] = fitted_coefficients(
            coefficients.reshape(len(coefficients), -1), self._file.basis_dim
        )
        return density, colours.reshape(*box.shape, -1)

    def see(self, origins: NDArray[np.float64], dirs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Colours [n, 3] of rays on white by the rules of `render_rays` in plenoxel.py: trilinear,
        samples half a voxel apart from half a voxel behind the entry on."""
        size, radius = self._size, self._file.grid.radius[0]
        step = _UNIFORM * 2 * radius / size
        basis = harmonics(dirs, self._file.basis_dim)
        length = np.linalg.norm(dirs, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.sort((np.array([[-radius], [radius]])[:, None] - origins) / dirs, axis=0)
        start, stop = np.nanmax(ends[0], axis=1), np.nanmin(ends[1], axis=1)
        rgb, light = np.zeros((len(dirs), 3)), np.ones(len(dirs))
        going = np.flatnonzero(start < stop)
        k = 1
        while len(going):
            t, after = (np.minimum(start[going] + n * step, stop[going]) for n in (k, k + 1))
            points = (origins[going] + t[:, None] * dirs[going]) * 0.5 / radius * size + 0.5 * (
                size - 1
            )
            cell, weights = _corners(points, size)
            rows = self._rows(tuple(np.moveaxis(cell, -1, 0)))
            sigma = (self._densities(rows) * weights).sum(axis=1)
            dense = np.flatnonzero(sigma > 0)
            ray = going[dense]
            left = np.exp(-sigma[dense] * (after - t)[dense] * length[ray])
            sh = self._coefficients(rows[dense].reshape(-1)).reshape(
                len(dense), 8, 3, len(self._file.sh)
            )
            seen = np.einsum("nk,nkcd,nd->nc", weights[dense], sh, basis[ray])
            rgb[ray] += (light[ray] * (1 - left))[:, None] * sigmoid(seen)
            light[ray] *= left
            going = going[(after < stop[going]) & (light[going] > _OPAQUE)]
            k += 1
        return rgb + light[:, None]


def _corners(
    points: NDArray[np.float64], size: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The voxels [n, 8, 3] around grid points [n, 3], and their weights [n, 8]."""
    clamped = np.clip(points, 0.0, size - 1.0)
    cell = np.minimum(np.floor(clamped).astype(np.int64), size - 2)
    place = (clamped - cell)[:, None, :]
    weights = np.where(_CORNERS == 1, place, 1.0 - place).prod(axis=2)
    return cell[:, None, :] + _CORNERS, weights
