"""Files of scalar volumes: NumPy's .npy and Zarr arrays. Headers are checked, nothing is unpickled."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from plenostream.errors import CheckpointError, shown
from plenostream.files.npy import HEADER_BYTES, ArrayHeader, parse_header
from plenostream.files.paths import input_file, local_path
from plenostream.importers.arrays.recognise import is_scene

__all__ = ["Scalars", "VolumeArray", "open_volume"]

Scalars = NDArray[np.floating | np.integer]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeArray:
    """Scalars of three axes, read box by box."""

    path: str
    size: tuple[int, int, int]
    """Elements an axis, in the order of the file."""
    chunks: tuple[int, int, int] | None
    dtype: np.dtype[np.generic]
    stamp: list[int] = field(default_factory=list)
    """What changes when the file does."""
    array: Any
    """What gives a box to three slices."""

    def read(self, part: tuple[slice, slice, slice]) -> Scalars:
        """The elements of a box.

        Raises
        ------
        CheckpointError : the file cannot be read, or is damaged.
        """
        try:
            return np.asarray(self.array[part])
        # What codecs and stores raise on damaged bytes is anything of these.
        except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
            raise CheckpointError(f"{self.path} cannot be read: {error}") from error


def open_volume(path: str | os.PathLike[str]) -> VolumeArray:
    """The volume at `path`: an .npy file, a Zarr array, or a Zarr group with one array of three axes.

    Leading axes of length 1 are left out.

    Raises
    ------
    InvalidInput : no path, a URL.
    CheckpointError : not there, damaged, or not an array of real numbers with three axes.
    """
    place = local_path(path, what="volume")
    opened = _open_npy(place) if place.suffix.lower() == ".npy" else _open_zarr(place)
    if opened.dtype.kind not in "fiu":
        raise CheckpointError(f"{place} holds {opened.dtype}; expected real numbers")
    return opened


@dataclass(frozen=True, slots=True)
class _Mapped:
    """An .npy file. It is mapped anew for each box: pages of a mapping that lasts add up."""

    path: str
    header: ArrayHeader

    def __getitem__(self, part: Any) -> Scalars:
        shape = self.header.shape
        mapped = np.memmap(
            self.path,
            self.header.dtype,
            mode="r",
            offset=self.header.data_offset,
            shape=shape[len(shape) - 3 :],
            order="F" if self.header.fortran_order else "C",
        )
        return np.array(mapped[part])


def _open_npy(place: Path) -> VolumeArray:
    path = os.fspath(input_file(place, what="volume", error=CheckpointError))
    with open(path, "rb") as file:
        header = parse_header(file.read(HEADER_BYTES), where=path, error=CheckpointError)
        status = os.fstat(file.fileno())
    if status.st_size < header.n_bytes:
        raise CheckpointError(
            f"{path} claims {header.n_bytes} bytes (shape {shown(header.shape)}, {header.dtype}) "
            f"and has {status.st_size}"
        )
    return VolumeArray(
        path=path,
        size=_three_axes(header.shape, path),
        chunks=None,
        dtype=header.dtype,
        stamp=[status.st_size, status.st_mtime_ns],
        array=_Mapped(path, header),
    )


def _three_axes(shape: tuple[int, ...], path: str) -> tuple[int, int, int]:
    if len(shape) < 3 or any(n != 1 for n in shape[:-3]) or min(shape) < 1:
        raise CheckpointError(f"{path} has the shape {shown(shape)}; expected three axes")
    x, y, z = shape[-3:]
    if min(x, y, z) < 2:
        raise CheckpointError(f"{path} has {(x, y, z)} voxels; expected 2 an axis at least")
    return x, y, z


@dataclass(frozen=True, slots=True)
class _Last:
    """A Zarr array without its leading axes of length 1."""

    array: Any
    leading: int

    def __getitem__(self, part: tuple[slice, ...]) -> Any:
        return self.array[(0,) * self.leading + part]


def _open_zarr(place: Path) -> VolumeArray:
    path = os.fspath(place)
    if is_scene(place):
        raise CheckpointError(f"{path} is a scene; it needs no conversion: render it")
    try:
        node = zarr.open(path, mode="r")
        if isinstance(node, zarr.Group):
            node = _only_array(node, path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path} is no Zarr array that can be read: {error}") from error
    size = _three_axes(node.shape, path)
    x, y, z = (node.shards or node.chunks)[-3:]
    return VolumeArray(
        path=path,
        size=size,
        chunks=(x, y, z),
        dtype=np.dtype(node.dtype),
        array=_Last(node, node.ndim - 3),
    )


def _only_array(group: zarr.Group, path: str) -> zarr.Array[Any]:
    arrays = {name: array for name, array in group.arrays() if array.ndim >= 3}
    if len(arrays) != 1:
        named = ", ".join(sorted(arrays)) or "none"
        raise CheckpointError(
            f"{path} is a Zarr group with the volumes {named}; name one of them: {path}/NAME"
        )
    (array,) = arrays.values()
    return array
