"""First pass over a checkpoint's links: which voxels there are, and whether rows are in their order.

Links are streamed once and never held whole. What later passes need of them is one bit a voxel
(32 times less than the links), and, only where rows are in another order than the voxels, the row
of each active voxel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import CheckpointError
from plenostream.field.grid import BrickGrid
from plenostream.importers.packing.planes import PlaneCounts, shared_voxels
from plenostream.importers.svox2.checkpoint import Checkpoint
from plenostream.importers.svox2.members import StoredArray
from plenostream.importers.svox2.transpose import fortran_lines

__all__ = [
    "BITS_FILE",
    "ROWS_FILE",
    "LinkScan",
    "load_scan",
    "save_scan",
    "scan_links",
]

BITS_FILE = "active.bits"
"""Bits of the active voxels, [X, Y, ceil(Z / 8)] bytes, little bit order along z."""
ROWS_FILE = "rows.i64"
"""Row of each active voxel, int64, in C order of the voxels; only where rows are in no order."""

_BATCH_BYTES = 8 << 20
_ARANGE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinkScan(PlaneCounts):
    """What the links of a checkpoint say, summed up."""

    in_order: bool
    """The n-th active voxel, in C order, has row n: svox2's own order."""


def save_scan(file: BinaryIO, scan: LinkScan) -> None:
    """Keep `scan` for a conversion that is resumed."""
    np.savez(
        file,
        plane_voxels=scan.plane_voxels,
        plane_rows=scan.plane_rows,
        in_order=np.array(scan.in_order),
    )


def load_scan(path: Path) -> LinkScan:
    """What `save_scan` wrote."""
    with np.load(path, allow_pickle=False) as values:
        return LinkScan(
            plane_voxels=values["plane_voxels"],
            plane_rows=values["plane_rows"],
            in_order=bool(values["in_order"]),
        )


def _lines(links: StoredArray, work: Path) -> Iterator[NDArray[np.integer]]:
    """The links as batches of whole lines along z, [lines, Z], native byte order."""
    if links.fortran_order:
        return fortran_lines(links, work, batch_bytes=_BATCH_BYTES)
    z = links.shape[2]
    return links.batches(z, max(1, _BATCH_BYTES // (z * links.dtype.itemsize)))


class _RowOrder:
    """Checks that active voxels have the rows 0, 1, 2, ...; writes all rows to a file if not."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._n = 0
        self.in_order = True

    def add(self, rows: NDArray[np.int64]) -> None:
        """Take the rows of the next active voxels."""
        expected = np.arange(self._n, self._n + len(rows))
        if self.in_order and not np.array_equal(rows, expected):
            self.in_order = False
            with open(self._path, "wb") as file:
                for start in range(0, self._n, _ARANGE):
                    file.write(np.arange(start, min(start + _ARANGE, self._n)).data)
        if not self.in_order:
            with open(self._path, "ab") as file:
                file.write(np.ascontiguousarray(rows).data)
        self._n += len(rows)


def scan_links(
    checkpoint: Checkpoint,
    bricks: BrickGrid,
    work: Path,
    *,
    progress: Callable[[int, int], None],
) -> LinkScan:
    """Read all links of `checkpoint` once; leaves BITS_FILE and perhaps ROWS_FILE in `work`.

    `progress(done, total)` is told lines of voxels.

    Raises
    ------
    CheckpointError : a link to a row that is not there, or damaged data.
    """
    size_x, size_y, size_z = bricks.size
    n_lines = size_x * size_y
    # Voxels between two bricks along an axis belong to both.
    shared_y = shared_voxels(size_y, bricks.brick_size)
    shared_z = np.flatnonzero(shared_voxels(size_z, bricks.brick_size))
    plane_voxels = np.zeros(size_x, np.int64)
    plane_rows = np.zeros(size_x, np.int64)
    order = _RowOrder(work / ROWS_FILE)
    done = 0
    with open(work / BITS_FILE, "wb") as file:
        for links in _lines(checkpoint.links, work):
            active = links >= 0
            rows = links[active]
            if len(rows) and int(rows.max()) >= checkpoint.n_rows:
                raise CheckpointError(
                    f"{checkpoint.links.where} name row {int(rows.max())}, and there are "
                    f"{checkpoint.n_rows} rows"
                )
            order.add(rows.astype(np.int64))
            bits = np.packbits(active, axis=1, bitorder="little")
            file.write(np.ascontiguousarray(bits).data)
            line = np.arange(done, done + len(links))
            count = np.bitwise_count(bits).sum(axis=1, dtype=np.int64)
            twice = count + np.count_nonzero(active[:, shared_z], axis=1)
            np.add.at(plane_voxels, line // size_y, count)
            np.add.at(plane_rows, line // size_y, twice * (1 + shared_y[line % size_y]))
            done += len(links)
            progress(done, n_lines)
    return LinkScan(plane_voxels=plane_voxels, plane_rows=plane_rows, in_order=order.in_order)
