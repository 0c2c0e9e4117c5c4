"""Writes rows that cannot be read in place to a file beside the target, in C order of the voxels.

Needed where rows are compressed, in Fortran order, or in another order than the voxels. All of it
works with a bounded number of rows in memory and reads and writes files from front to back:
sorting is done by distributing rows over files, once by where they come from and once by where
they go (`_reorder`), so that neither end has to fit memory. Arrays are written as buffers:
`ndarray.tofile` loses what the system says against it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plenostream.importers.packing.rowfile import RowTable
from plenostream.importers.svox2.members import StoredArray
from plenostream.importers.svox2.rows import describe_table

__all__ = ["check_stored", "needs_spill", "spill_bytes", "spill_table", "spilled_table"]

_PIECE_BYTES = 4 << 20
_SPILLED = "rows"
"""File of the rows in order."""


def needs_spill(table: StoredArray, *, in_order: bool) -> bool:
    """False where rows can be read straight out of the checkpoint."""
    return not in_order or table.fortran_order or table.compressed


def spill_bytes(table: StoredArray, n_voxels: int, *, in_order: bool) -> int:
    """Disk that `spill_table` takes at its worst moment; 0 where there is nothing to spill."""
    if not needs_spill(table, in_order=in_order):
        return 0
    row = table.row_bytes
    raw = table.entry.file_size if _needs_unpacking(table) else 0
    # Reordering: the rows on their way and at their end, and the pairs that say where they go.
    return raw + n_voxels * (row if in_order else 2 * row + 8 + 16)


def spilled_table(table: StoredArray, work: Path) -> RowTable:
    """Where the rows lie that `spill_table` wrote into the folder `work`."""
    native = table.dtype.newbyteorder("=")
    path = os.fspath(work / _SPILLED)
    return RowTable(path=path, offset=0, dtype=native.str, columns=table.columns)


def check_stored(table: StoredArray) -> None:
    """Read an array through once to check it against its checksum; CheckpointError if damaged."""
    with table.stream() as stream:
        stream.finish()


def _needs_unpacking(table: StoredArray) -> bool:
    """Compressed and in Fortran order: columns must be read side by side, so from a plain file."""
    return table.fortran_order and table.compressed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    batch: int
    """Rows that are held at a time."""
    work: Path


def _row_batches(table: StoredArray, plan: _Plan) -> Iterator[NDArray[np.generic]]:
    """All rows of an array in batches of `plan.batch`, [n, columns], native byte order."""
    if table.fortran_order:
        return _column_batches(table, plan)
    return table.batches(table.columns, plan.batch)


def _column_batches(table: StoredArray, plan: _Plan) -> Iterator[NDArray[np.generic]]:
    """The same for arrays in Fortran order, where each column lies by itself."""
    n_rows, columns = table.shape
    column = replace(describe_table(table), columns=1)
    unpacked = plan.work / f"{table.key}.unpacked"
    if _needs_unpacking(table):
        column = replace(column, path=os.fspath(unpacked), offset=0)
        _unpack(table, unpacked)
    else:
        check_stored(table)
    for start in range(0, n_rows, plan.batch):
        stop = min(start + plan.batch, n_rows)
        starts = np.arange(columns) * n_rows + start
        values = column.read(starts, starts + (stop - start))
        yield np.ascontiguousarray(values.reshape(columns, stop - start).T)
    unpacked.unlink(missing_ok=True)


def _unpack(table: StoredArray, path: Path) -> None:
    left = table.entry.file_size - table.header.data_offset
    with table.stream() as stream, open(path, "wb") as file:
        while left:
            piece = stream.read(min(left, _PIECE_BYTES))
            file.write(piece)
            left -= len(piece)
        stream.finish()


def spill_table(
    table: StoredArray,
    work: Path,
    *,
    n_voxels: int,
    rows_file: Path | None,
    memory_bytes: int,
    progress: Callable[[int, int], None],
) -> None:
    """Write the rows of the active voxels, in C order of the voxels, to a file in `work`.

    Parameters
    ----------
    rows_file : the row of each voxel (int64), or None when the n-th voxel has row n
    memory_bytes : about what may be held at a time
    progress : told rows, and how many there are

    Raises
    ------
    CheckpointError : damaged data.
    """
    # Rows, the same gathered, sorted pairs and their order: about three rows and 64 bytes each.
    plan = _Plan(batch=max(1024, memory_bytes // (3 * table.row_bytes + 64)), work=work)
    batches = _progressing(_row_batches(table, plan), table.shape[0], progress)
    with open(work / _SPILLED, "wb") as file:
        if rows_file is None:
            left = n_voxels
            for rows in batches:
                file.write(np.ascontiguousarray(rows[:left]).data)
                left -= min(left, len(rows))
        else:
            for rows in _reorder(batches, rows_file, n_voxels, table, plan):
                file.write(np.ascontiguousarray(rows).data)


def _progressing(
    batches: Iterator[NDArray[np.generic]], n_rows: int, progress: Callable[[int, int], None]
) -> Iterator[NDArray[np.generic]]:
    done = 0
    for rows in batches:
        yield rows
        done += len(rows)
        progress(done, n_rows)


def _append(path: Path, values: NDArray[np.generic]) -> None:
    with open(path, "ab") as file:
        file.write(np.ascontiguousarray(values).data)


def _take(path: Path, dtype: np.dtype[np.generic], columns: int) -> NDArray[np.generic]:
    """All that was appended to `path`, which is removed; nothing if it was never written."""
    if not path.exists():
        return np.empty((0, columns), dtype)
    values = np.fromfile(path, dtype).reshape(-1, columns)
    path.unlink()
    return values


def _reorder(
    batches: Iterator[NDArray[np.generic]],
    rows_file: Path,
    n_voxels: int,
    table: StoredArray,
    plan: _Plan,
) -> Iterator[NDArray[np.generic]]:
    """The row of each voxel, in the order of the voxels, in batches of `plan.batch`."""
    index, native = np.dtype(np.int64), table.dtype.newbyteorder("=")

    def aside(kind: str, batch: int) -> Path:
        return plan.work / f"{table.key}.{kind}.{batch}"

    # 1. Which voxels want rows of which batch of the source.
    for voxel, rows in _voxels_by_batch(rows_file, n_voxels, plan.batch):
        source = rows // plan.batch
        order = np.argsort(source, kind="stable")
        for at in _runs(source[order]):
            chosen = order[at]
            pairs = np.stack([rows[chosen], voxel[chosen]], axis=1)
            _append(aside("pairs", int(source[chosen[0]])), pairs)
    # 2. Read the source along; hand each row to the batch of voxels that wants it.
    for batch, values in enumerate(batches):
        wanted = _take(aside("pairs", batch), index, 2).astype(np.int64, copy=False)
        target = wanted[:, 1] // plan.batch
        for at in _runs(target):
            to = int(target[at.start])
            _append(aside("held", to), values[wanted[at, 0] - batch * plan.batch])
            _append(aside("places", to), wanted[at, 1])
    # 3. Each batch of voxels has all its rows now: put them in order.
    for batch in range(-(-n_voxels // plan.batch)):
        rows_held = _take(aside("held", batch), native, table.columns)
        places = _take(aside("places", batch), index, 1)[:, 0].astype(np.int64, copy=False)
        ordered = np.empty_like(rows_held)
        ordered[places - batch * plan.batch] = rows_held
        yield ordered


def _runs(values: NDArray[np.int64]) -> list[slice]:
    """Where sorted `values` stay the same."""
    if len(values) == 0:
        return []
    cuts = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return [slice(a, b) for a, b in pairwise(cuts)]


def _voxels_by_batch(
    rows_file: Path, n_voxels: int, batch: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Numbers of voxels and their rows, `batch` at a time."""
    with open(rows_file, "rb") as file:
        for start in range(0, n_voxels, batch):
            rows = np.fromfile(file, np.int64, min(batch, n_voxels - start))
            yield np.arange(start, start + len(rows)), rows
