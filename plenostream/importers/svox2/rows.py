"""Reads rows of densities and coefficients from files in which they lie in voxel order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import CheckpointError
from plenostream.importers.packing.rowfile import RowTable
from plenostream.importers.svox2.checkpoint import Checkpoint
from plenostream.importers.svox2.members import StoredArray

__all__ = ["RowSource", "describe_table"]


def describe_table(table: StoredArray) -> RowTable:
    """Where the rows of an array that is stored as it is (not compressed, C order) lie."""
    return RowTable(
        path=table.path,
        offset=table.file_offset,
        dtype=table.dtype.str,
        columns=table.columns,
    )


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
