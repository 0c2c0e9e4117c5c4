"""PlenOctrees: the ``.npz`` that svox 1 writes (`N3Tree.save` in ``svox/svox.py``).

Node n has eight cells [n, 2, 2, 2]: `child` 0 is a leaf, whose values are in `data` (coefficients,
then the density, float16); anything else is added to n to give the node below. The cube is
[0, 1]^3 after `offset + invradius3 * world`, so with leaves as voxels it is svox2's grid:
radius = 0.5 / invradius, center = radius (1 - 2 offset).
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import CheckpointError, InvalidInput, shown
from plenostream.field.basis import BASIS_DIMS
from plenostream.field.grid import GridSpec
from plenostream.importers.resampled.model import ForeignFile
from plenostream.importers.resampled.octree_model import Octree, OctreeLevels, levels_of
from plenostream.importers.svox2.checkpoint import archive_entries, describe_arrays
from plenostream.importers.svox2.members import StoredArray

__all__ = ["OCTREE_MEMBERS", "OctreeFile", "open_octree"]

OCTREE_MEMBERS = frozenset({"child.npy", "data.npy"})
"""Members that say that an archive is one."""
_KEYS = ("child", "data", "invradius3", "invradius", "offset", "data_format")
_MOST_LEVELS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class OctreeFile(ForeignFile):
    """A PlenOctree whose structure is sound; its values are still unread."""

    data: StoredArray
    child: NDArray[np.int32]
    levels: OctreeLevels

    def load(self) -> Octree:
        """Read the values. CheckpointError: damaged, or not finite."""
        cells, dim = math.prod(self.data.shape[:4]), self.data.shape[4]
        values = np.empty((cells, dim), np.float16)
        done = 0
        for rows in self.data.batches(dim, 1 << 16):
            values[done : done + len(rows)] = rows
            done += len(rows)
        if not np.isfinite(values).all():
            raise CheckpointError(f"{self.data.where} has values that are not finite in float16")
        return Octree(
            grid=self.grid,
            basis_dim=self.basis_dim,
            child=self.child,
            values=values,
            levels=self.levels,
        )


def open_octree(path: str) -> OctreeFile:
    """The PlenOctree at `path`, whose archive has `OCTREE_MEMBERS`.

    Raises
    ------
    CheckpointError : damaged, hostile, or of a kind that is not read (other bases than spherical
        harmonics, other branchings than 2).
    """
    arrays = describe_arrays(path, archive_entries(path), _KEYS)
    for key in ("child", "data"):
        if key not in arrays:
            raise CheckpointError(f"{path} is no PlenOctree that is read here: it has no {key}")
    child, data = arrays["child"], arrays["data"]
    n = child.shape[0] if child.shape else 0
    if child.shape != (n, 2, 2, 2) or child.dtype.kind not in "iu" or child.fortran_order or n < 1:
        raise CheckpointError(
            f"{child.where} has the shape {shown(child.shape)}, {child.dtype}; expected integers "
            "[n, 2, 2, 2]"
        )
    dims = {3 * dim + 1: dim for dim in BASIS_DIMS}
    if (
        data.shape[:4] != child.shape
        or len(data.shape) != 5
        or data.dtype.kind != "f"
        or data.fortran_order
        or data.shape[4] not in dims
    ):
        raise CheckpointError(
            f"{data.where} has the shape {shown(data.shape)}, {data.dtype}; expected floating point "
            f"[{n}, 2, 2, 2, c] with c one of {', '.join(map(str, dims))}"
        )
    dim = dims[data.shape[4]]
    _check_format(arrays, dim)
    links = _whole(child).astype(np.int32).reshape(n, 2, 2, 2)
    try:
        levels = levels_of(links, most=_MOST_LEVELS)
    except ValueError as error:
        raise CheckpointError(f"{child.where}: {error}") from error
    scaling = _vector(arrays, "invradius3" if "invradius3" in arrays else "invradius", path)
    offset = _vector(arrays, "offset", path)
    status = os.stat(path)
    return OctreeFile(
        path=path,
        kind="a PlenOctree (svox 1): its leaves are constant and its colours go through a sigmoid",
        grid=_grid(scaling, offset, levels.size, path),
        basis_dim=dim,
        held_bytes=links.nbytes + 2 * math.prod(data.shape) + levels.n_bytes,
        stamp=[status.st_size, status.st_mtime_ns],
        data=data,
        child=links,
        levels=levels,
    )


def _check_format(arrays: dict[str, StoredArray], dim: int) -> None:
    if "data_format" not in arrays:
        return  # older trees, which had spherical harmonics or plain colours
    array = arrays["data_format"]
    if array.dtype.kind != "U" or math.prod(array.shape) != 1 or array.dtype.itemsize > 64:
        raise CheckpointError(f"{array.where} is of type {array.dtype}; expected a word")
    word = str(_whole(array)[0])
    if word != f"SH{dim}" and not (word == "RGBA" and dim == 1):
        known = re.match("S?A?SG", word) is not None
        raise CheckpointError(
            f"{array.where} is {shown(word)}"
            + (" (spherical Gaussians)" if known else "")
            + f"; expected SH{dim}, by the shape of the data"
        )
    if word == "RGBA":
        raise CheckpointError(
            f"{array.where} is RGBA, colours without a basis; only spherical harmonics are read"
        )


def _whole(array: StoredArray) -> NDArray[np.generic]:
    """All elements, flat."""
    return np.concatenate([rows[:, 0] for rows in array.batches(1, 1 << 20)])


def _vector(arrays: dict[str, StoredArray], key: str, path: str) -> NDArray[np.float64]:
    if key not in arrays:
        raise CheckpointError(f"{path} is no PlenOctree that is read here: it has no {key}")
    array = arrays[key]
    if array.dtype.kind not in "iuf" or math.prod(array.shape) not in (1, 3):
        raise CheckpointError(f"{array.where} has the shape {array.shape}; expected one or three")
    return np.broadcast_to(_whole(array).astype(np.float64), 3)


def _grid(
    scaling: NDArray[np.float64], offset: NDArray[np.float64], size: int, path: str
) -> GridSpec:
    with np.errstate(divide="ignore", invalid="ignore"):
        radius = 0.5 / scaling
        center = radius * (1 - 2 * offset)
    try:
        return GridSpec(
            size=(size, size, size),
            radius=(float(radius[0]), float(radius[1]), float(radius[2])),
            center=(float(center[0]), float(center[1]), float(center[2])),
        )
    except InvalidInput as error:
        raise CheckpointError(f"{path}: {error}") from error
