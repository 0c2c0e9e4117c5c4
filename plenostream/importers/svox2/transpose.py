"""Reads links that were stored in Fortran order as lines along z, by way of a file.

In Fortran order x varies fastest, so the planes that a slab needs are scattered over the whole
array. Batches of planes of constant z are turned around in memory and written side by side; then
each slab of x is one contiguous piece of every batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InternalError
from plenostream.importers.packing.rowfile import read_exactly
from plenostream.importers.svox2.members import StoredArray

__all__ = ["fortran_lines"]


def fortran_lines(
    links: StoredArray, work: Path, *, batch_bytes: int
) -> Iterator[NDArray[np.integer]]:
    """The links as batches of whole lines along z, [lines, Z], native byte order, in C order.

    Holds about `2 * batch_bytes`, or a plane where that is more. Takes as much disk in `work`
    as the links have bytes, until the last batch is drawn.
    """
    size_x, size_y, size_z = links.shape
    native = links.dtype.newbyteorder("=")
    z_step = max(1, batch_bytes // (size_x * size_y * native.itemsize))
    x_step = max(1, batch_bytes // (size_y * size_z * native.itemsize))
    path = work / "links.turned"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with open(fd, "wb", closefd=False) as file:
            for planes in links.batches(size_x * size_y, z_step):
                turned = planes.reshape(-1, size_y, size_x).transpose(2, 1, 0)
                file.write(np.ascontiguousarray(turned).data)
        line_bytes = size_y * native.itemsize
        for x in range(0, size_x, x_step):
            n_x = min(x_step, size_x - x)
            lines = np.empty((n_x, size_y, size_z), native)
            for z in range(0, size_z, z_step):
                piece = np.empty((n_x, size_y, min(z_step, size_z - z)), native)
                offset = size_x * line_bytes * z + x * line_bytes * piece.shape[2]
                if not read_exactly(fd, piece.reshape(-1).view(np.uint8).data, offset):
                    raise InternalError(f"{path} is shorter than what was written to it")
                lines[:, :, z : z + piece.shape[2]] = piece
            yield lines.reshape(n_x * size_y, size_z)
    finally:
        os.close(fd)
        path.unlink()
