"""Arrays of a checkpoint's archive: described by their headers, and read when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zipfile import ZIP_STORED, ZipInfo

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import CheckpointError
from plenostream.files.npy import ArrayHeader
from plenostream.importers.svox2.unpacking import MemberStream

__all__ = ["StoredArray", "small_array"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArray:
    """An array of the archive: described, not read."""

    path: str
    """The archive."""
    key: str
    """Name of the array."""
    entry: ZipInfo
    """What the archive's directory says of it."""
    packed_offset: int
    """Where in the archive its bytes begin, packed as they are."""
    header: ArrayHeader

    @property
    def where(self) -> str:
        """Archive and array, for messages."""
        return f"{self.path}: {self.key}"

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the elements, in the byte order of the file."""
        return self.header.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array; what the bytes of the member can hold, exactly."""
        return self.header.shape

    @property
    def fortran_order(self) -> bool:
        """True when the first axis varies fastest and this differs from C order."""
        return self.header.fortran_order and sum(n > 1 for n in self.shape) > 1

    @property
    def columns(self) -> int:
        """Values of a row, for an array of one or two axes."""
        return self.shape[1] if len(self.shape) > 1 else 1

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.columns * self.dtype.itemsize

    @property
    def compressed(self) -> bool:
        """True when the elements do not lie in the archive as they are."""
        return self.entry.compress_type != ZIP_STORED

    @property
    def file_offset(self) -> int:
        """Where in the archive the first element lies, unless the array is compressed."""
        return self.packed_offset + self.header.data_offset

    def batches(self, columns: int, n_rows: int) -> Iterator[NDArray[Any]]:
        """All elements, in the order in which they lie, as rows of `columns`: `n_rows` at a time.

        Each batch is an array [rows, columns] of its own, in native byte order. The checksum is
        known to be right when the last one has been asked for.

        Raises
        ------
        CheckpointError : damaged data.
        """
        left = math.prod(self.shape) // columns
        with self.stream() as stream:
            while left:
                rows = np.empty((min(left, n_rows), columns), self.dtype)
                stream.readinto(rows.reshape(-1).view(np.uint8).data)
                yield rows.astype(self.dtype.newbyteorder("="), copy=False)
                left -= len(rows)
            stream.finish()

    def stream(self) -> MemberStream:
        """A stream that stands at the first element (a context manager)."""
        stream = MemberStream(self.path, self.entry, self.packed_offset)
        try:
            stream.read(self.header.data_offset)
        except BaseException:
            stream.__exit__()
            raise
        return stream


def small_array(array: StoredArray, sizes: tuple[int, ...], kinds: str) -> NDArray[np.generic]:
    """The values of an array that must have one of `sizes` elements of these `kinds`, flat.

    Raises
    ------
    CheckpointError : it has others, or is damaged.
    """
    n = math.prod(array.shape)
    if array.dtype.kind not in kinds or len(array.shape) > 1 or n not in sizes:
        raise CheckpointError(
            f"{array.where} has shape {array.shape} and type {array.dtype}; expected "
            f"{' or '.join(map(str, sizes))} plain number{'s' if max(sizes) > 1 else ''}"
        )
    (values,) = array.batches(1, n)
    return values[:, 0]
