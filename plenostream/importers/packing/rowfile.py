"""Rows that lie one after another in a file, read in runs."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import CheckpointError

__all__ = ["RowTable", "merge_runs", "read_exactly"]


def read_exactly(fd: int, buffer: memoryview, offset: int) -> bool:
    """Fill `buffer` with the bytes of a file from `offset` on; False when the file ends before."""
    done = 0
    while done < len(buffer):
        got = os.preadv(fd, [buffer[done:]], offset + done)
        if got == 0:
            return False
        done += got
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTable:
    """Rows that follow each other, unpacked, in a file: inside the checkpoint, or a spill file.

    Small and picklable, so that any process can read.
    """

    path: str
    offset: int
    """Where row 0 begins (bytes)."""
    dtype: str
    """Type of the elements, with the byte order of the file."""
    columns: int

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.columns * np.dtype(self.dtype).itemsize

    def read(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.floating]:
        """Rows [starts[i], stops[i]) for every i, one run after another, [n, columns], native.

        Raises
        ------
        CheckpointError : the file cannot be read any more.
        """
        dtype = np.dtype(self.dtype)
        rows = np.empty((int((stops - starts).sum()), self.columns), dtype)
        bytes_ = rows.reshape(-1).view(np.uint8).data
        done = 0
        try:
            fd = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise CheckpointError(f"{self.path} cannot be read: {error.strerror}") from error
        try:
            for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
                n = (stop - start) * self.row_bytes
                offset = self.offset + start * self.row_bytes
                if not read_exactly(fd, bytes_[done : done + n], offset):
                    raise CheckpointError(f"{self.path} was cut off while it was being read")
                done += n
        except OSError as error:
            raise CheckpointError(f"{self.path} cannot be read: {error.strerror}") from error
        finally:
            os.close(fd)
        return rows.astype(dtype.newbyteorder("="), copy=False)


def merge_runs(
    starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The same rows in fewer runs: empty ones left out, and those that touch joined."""
    filled = stops > starts
    starts, stops = starts[filled], stops[filled]
    if len(starts) == 0:
        return starts, stops
    apart = starts[1:] != stops[:-1]
    return starts[np.concatenate([[True], apart])], stops[np.concatenate([apart, [True]])]
