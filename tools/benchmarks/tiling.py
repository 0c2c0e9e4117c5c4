"""A checkpoint made of copies of another, side by side.

For measuring that cost follows what is seen and not what is stored.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["copy_offset", "tile_checkpoint"]


def copy_offset(
    radius: tuple[float, float, float], copies: int, place: tuple[int, int, int]
) -> NDArray[np.float64]:
    """Where the copy at `place` is, from where the one model of this `radius` was: world units [3]."""
    steps = 2.0 * np.asarray(place, np.float64) - (copies - 1)
    return steps * np.asarray(radius, np.float64)


def tile_checkpoint(source: Path, target: Path, *, copies: int) -> None:
    """Write `copies` x `copies` x `copies` copies of the checkpoint `source` to `target`.

    The middle of the whole is where that of `source` was, and voxels keep their size. Rows are in
    the order of the voxels, as svox2 leaves them. One plane of the whole is held at a time, and
    the rows of one copy.
    """
    with np.load(source) as one:
        arrays = {name: one[name] for name in one.files}
    links = arrays.pop("links")
    arrays["radius"] = np.broadcast_to(arrays["radius"], 3) * np.float32(copies)
    x, y, z = links.shape
    # Of each plane [copies * y, copies * z] of the whole, the rows of `source` in its order.
    rows = [whole[whole >= 0] for whole in (_tiled(plane, copies) for plane in links)]
    n_rows = sum(map(len, rows)) * copies
    with zipfile.ZipFile(target, "w") as archive:
        # All but its active voxels are the same number: it packs to a thousandth.
        shape = (copies * x, copies * y, copies * z)
        _write(archive, "links", np.dtype(np.int32), shape, _numbered(links, copies), packed=True)
        for name, array in arrays.items():
            per_row = name in ("density_data", "sh_data")
            shape = (n_rows, *array.shape[1:]) if per_row else array.shape
            parts = (array[some] for _ in range(copies) for some in rows) if per_row else [array]
            _write(archive, name, array.dtype, shape, parts, packed=False)


def _tiled(plane: NDArray[Any], copies: int) -> NDArray[Any]:
    return np.tile(plane, (copies, copies))


def _numbered(links: NDArray[np.int32], copies: int) -> Iterator[NDArray[np.int32]]:
    """The planes of the whole, active voxels numbered in their order, -1 elsewhere."""
    start = 0
    for _ in range(copies):
        for plane in links:
            active = _tiled(plane, copies) >= 0
            whole = np.full(active.shape, -1, np.int32)
            n = int(np.count_nonzero(active))
            whole[active] = np.arange(start, start + n, dtype=np.int32)
            start += n
            yield whole


def _write(
    archive: zipfile.ZipFile,
    name: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    parts: Iterable[NDArray[Any]],
    *,
    packed: bool,
) -> None:
    """Write an array that comes in parts, as `numpy.savez` would."""
    entry = zipfile.ZipInfo(f"{name}.npy")
    entry.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with archive.open(entry, "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            file.write(np.ascontiguousarray(part, dtype).tobytes())
