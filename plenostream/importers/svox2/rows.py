"""Reads rows of densities and coefficients from files in which they lie in voxel order."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import CheckpointError
from plenostream.importers.svox2.checkpoint import Checkpoint
from plenostream.importers.svox2.members import StoredArray
from plenostream.importers.svox2.unpacking import read_exactly

__all__ = ["RowSource", "RowTable", "describe_table", "merge_runs"]


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


def describe_table(table: StoredArray) -> RowTable:
    """Where the rows of an array that is stored as it is (not compressed, C order) lie."""
    return RowTable(
        path=table.path,
        offset=table.file_offset,
        dtype=table.dtype.str,
        columns=table.columns,
    )


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSource:
    """Densities and coefficients of the active voxels, in C order of the voxels."""

    tables: tuple[RowTable, ...]
    """One of densities and one of coefficients, or one with the density in its first column."""
    where: str
    """The checkpoint, for messages."""
    sh_dtype: str
    """Type that coefficients are stored in: float16 or float32."""

    @classmethod
    def of(cls, checkpoint: Checkpoint, tables: tuple[RowTable, ...], *, dtype: str) -> RowSource:
        """Rows of `checkpoint` from `tables`; `dtype` as in ConvertOptions."""
        return cls(
            tables=tables,
            where=checkpoint.path,
            sh_dtype="float16" if dtype == "float16" else checkpoint.sh_dtype,
        )

    def read(
        self, starts: NDArray[np.int64], stops: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.floating]]:
        """Densities [n] float32 and coefficients [n, 3 dim] in `sh_dtype` of runs of voxels.

        Raises
        ------
        CheckpointError : a value that is not finite, or is beyond the type it is stored in.
        """
        density = self.tables[0].read(starts, stops)
        sh = self.tables[-1].read(starts, stops) if len(self.tables) == 2 else density[:, 1:]
        return self._density(density[:, 0]), self._coefficients(sh)

    def _density(self, density: NDArray[np.floating]) -> NDArray[np.float32]:
        limit = min(float(np.finfo(t).max) for t in (np.float32, density.dtype))
        # A comparison with NaN is false, so this finds NaN as well.
        bad = ~(np.abs(density) <= limit)
        if bad.any():
            raise CheckpointError(
                f"{self.where}: a density is {density[bad][0]}; expected finite float32 values"
            )
        return np.ascontiguousarray(density, np.float32)

    def _coefficients(self, sh: NDArray[np.floating]) -> NDArray[np.floating]:
        limit = min(float(np.finfo(t).max) for t in (self.sh_dtype, sh.dtype))
        if sh.dtype == np.float16:
            # All exponent bits set: infinite or NaN. Looking at bits is several times as fast as
            # comparing half floats, which numpy converts one by one.
            bad = (np.ascontiguousarray(sh).view(np.uint16) & 0x7C00) == 0x7C00
        else:
            bad = ~(np.abs(sh) <= limit)
        if bad.any():
            raise CheckpointError(
                f"{self.where}: a coefficient is {sh[bad][0]}; expected finite values of at most "
                f"{limit:.4g} ({self.sh_dtype}); dtype auto (--dtype auto) keeps what float32 holds"
            )
        return np.ascontiguousarray(sh, self.sh_dtype)
