"""Writes .npz archives member by member: none is ever held whole."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from plenostream.errors import InternalError
from plenostream.files.atomic import AsideFile
from plenostream.process.closing import Closing

__all__ = ["NpzWriter"]

_WHEN = (1980, 1, 1, 0, 0, 0)
"""Time of the archive's members: the same arrays give the same bytes."""


class NpzWriter(Closing):
    """An archive of arrays in C order and little endian, not compressed; a context manager."""

    def __init__(self, file: AsideFile) -> None:
        """Take the `file` that it is written to, from where that stands."""
        self._archive = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True)

    def close(self) -> None:
        """Write the archive's directory."""
        self._archive.close()

    def write(
        self, key: str, dtype: Any, shape: tuple[int, ...], parts: Iterable[NDArray[Any]]
    ) -> None:
        """Write an array of this type and shape; `parts` are its values in C order."""
        stored = np.dtype(dtype).newbyteorder("<")
        entry = zipfile.ZipInfo(f"{key}.npy", date_time=_WHEN)
        n_written = 0
        with self._archive.open(entry, "w", force_zip64=True) as member:
            member.write(_header(stored, shape))
            for part in parts:
                member.write(np.ascontiguousarray(part, stored).data)
                n_written += part.size
        if n_written != math.prod(shape):
            raise InternalError(f"{key} of the shape {shape} was given {n_written} values")

    def write_small(self, key: str, values: NDArray[Any]) -> None:
        """Write an array that is there."""
        self.write(key, values.dtype, values.shape, [values])


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    described = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(header, described)
    return header.getvalue()
