"""Read all of a scene, compare it with itself, and collect what is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import BrickCorrupt, InvalidInput, StoreFormat
from plenostream.field.precision import density_rounding, density_unit
from plenostream.format.consolidated import ConsolidatedSource
from plenostream.format.extra_arrays import ExtraCheck
from plenostream.format.facts import brick_faults, mask_faults
from plenostream.format.layout import ROW_ARRAYS, extra_names, groups_of
from plenostream.format.levels import level_folder
from plenostream.format.nodes import check_group_node, read_array_node, read_root
from plenostream.format.reader import SceneStore
from plenostream.format.remote import open_source
from plenostream.format.source import ByteSource, SourceWithin
from plenostream.format.stored import StoredArray
from plenostream.format.tables import BrickTables, content_faults, structure_faults
from plenostream.format.verify_report import Fault, VerifyReport
from plenostream.results import Progress

__all__ = ["verify"]

_MOST_FAULTS = 10_000
"""A scene with more is not looked at further: a hostile one can name any number of chunks."""


def verify(path: str | os.PathLike[str], *, progress: Progress | None = None) -> VerifyReport:
    """Read everything in the scene at `path`, compare it with itself, and name all that is wrong.

    Every chunk is decoded; each brick's rows are held against its digest, and its largest density,
    its norms and its boxes are computed again. Voxels are counted, those that bricks share are held
    against each other, and so is the rounding that the attributes name.

    Raises
    ------
    StoreNotFound : there is nothing at `path` that could be a scene.
    StoreFormat : it is not a plenostream scene, or of a newer version, or a broken zip file.
    """
    where = os.fspath(path)
    tell = progress or (lambda word, done, n: None)
    with closing(open_source(path)) as source:
        root = read_root(source, where=where)
        meta, by_root = root.meta, ConsolidatedSource(source, root.documents)
        checks = [_checked(SceneStore(path=where, source=source, meta=meta), by_root, tell)]
        faults = [*checks[0].faults]
        for level in range(1, len(meta.levels) + 1):
            folder = level_folder(level)
            store = SceneStore(
                path=f"{where}/{folder}",
                source=SourceWithin(source, f"{folder}/"),
                meta=meta.level(level),
            )
            by_root_too = SourceWithin(by_root, f"{folder}/")
            checks.append(_checked(store, by_root_too, partial(_tell_of_level, tell, level)))
            # What bricks a fault names are the scene's own.
            faults += (
                replace(fault, array=f"{folder}/{fault.array or ''}".rstrip("/"), bricks=())
                for fault in checks[-1].faults
            )
    return VerifyReport(
        path=where,
        n_bricks=meta.n_bricks + sum(level.n_bricks for level in meta.levels),
        n_chunks=sum(check.n_chunks for check in checks),
        n_bytes=sum(check.n_bytes for check in checks),
        faults=tuple(faults),
    )


def _tell_of_level(tell: Progress, level: int, word: str, done: int, total: int) -> None:
    tell(f"{word} level {level}", done, total)


def _checked(store: SceneStore, by_root: ByteSource, tell: Progress) -> _Check:
    """Check a scene without its levels, or a level; `by_root` has the documents that the root has."""
    check = _Check(store, tell)
    for group in groups_of(store.meta):
        with check.collecting():
            check_group_node(store.source, group, where=store.path)
            check_group_node(by_root, group, where=store.path)
    for spec in store.specs.values():
        with check.collecting():
            store.arrays[spec.name] = read_array_node(store.source, spec, where=store.path)
            check.copied(read_array_node(by_root, spec, where=store.path))
    tables = check.tables()
    if tables is None:
        check.rows_alone()
    else:
        check.masks(tables)
        check.rows_of_bricks(tables)
    check.extras()
    return check


class _Check:
    """Goes through a scene, array by array and chunk by chunk, and collects what is wrong."""

    def __init__(self, store: SceneStore, progress: Progress) -> None:
        self.faults: list[Fault] = []
        self.n_chunks = 0
        self.n_bytes = 0
        self._store = store
        self._progress = progress
        self._n_all = sum(spec.n_chunks for spec in store.specs.values())
        self._row_start: NDArray[np.int64] | None = None
        self._last: dict[str, tuple[int, NDArray[Any] | None]] = {}

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Turn errors inside the `with` into faults."""
        try:
            yield
        except StoreFormat as error:
            self._add(Fault(message=str(error)))

    def copied(self, array: StoredArray) -> None:
        """Hold what the root says of an array against what its own document does."""
        name = array.spec.name
        if not array.is_as(self._store.arrays[name]):
            raise StoreFormat(
                f"{self._store.path}: the root's zarr.json says something else of {name} than its own: "
                "have Zarr consolidate it again"
            )

    def tables(self) -> BrickTables | None:
        """The tables; None if a chunk of them is damaged or the bricks' rows cannot be told."""
        meta, arrays = self._store.meta, {}
        for name, spec in self._store.specs.items():
            if name.startswith("bricks/"):
                empty = np.zeros((0, *spec.shape[1:]), spec.dtype)
                chunks = [self._chunk(name, chunk) for chunk in range(spec.n_chunks)]
                whole = [values for values in chunks if values is not None]
                arrays[name] = np.concatenate([empty, *whole])
        if any(len(array) != self._store.specs[name].shape[0] for name, array in arrays.items()):
            return None
        tables = BrickTables.from_arrays(arrays)
        faults = structure_faults(meta, tables)
        usable = not faults
        faults = faults or content_faults(meta, tables)
        if faults:
            try:
                self._store.refuse_absent()
            except BrickCorrupt as error:
                self._add(Fault(message=str(error), array=error.array, chunk=error.chunk))
        for fault in faults:
            self._add(Fault(message=f"{self._store.path}: {fault}", array=fault.split()[0]))
        return tables if usable else None

    def rows_alone(self) -> None:
        """Decode every chunk of rows, not knowing the bricks that they belong to."""
        for name in ROW_ARRAYS:
            for chunk in range(self._store.specs[name].n_chunks):
                self._chunk(name, chunk)

    def masks(self, tables: BrickTables) -> None:
        """Count the voxels of the masks, and hold those that bricks share against each other."""
        for fault in mask_faults(self._store.meta, tables):
            self._add(Fault(message=f"{self._store.path}: {fault}", array="bricks/mask"))

    def rows_of_bricks(self, tables: BrickTables) -> None:
        """Hold the rows of every brick against the tables; each chunk is read once."""
        self._row_start = tables.row_start
        rounding, whole, unit = 0.0, True, self._unit()
        for brick_id in range(self._store.meta.n_bricks):
            rows = slice(int(tables.row_start[brick_id]), int(tables.row_start[brick_id + 1]))
            density, sh = self._rows("rows/density", rows), self._rows("rows/sh", rows)
            if density is None or sh is None:
                whole = False
                continue  # it is among the bricks of the chunk's fault
            if unit is not None:
                rounding = max(rounding, density_rounding(density, unit))
            place = ", ".join(map(str, tables.index[brick_id].tolist()))
            for fault in brick_faults(self._store.meta, tables, brick_id, density, sh):
                self._add(
                    Fault(
                        message=f"{self._store.path}: brick {brick_id} at ({place}): {fault}",
                        array=fault.split(":")[0],
                        bricks=(brick_id,),
                    )
                )

        said = self._store.meta.density_rounding
        if whole and unit is not None and not np.isclose(rounding, said, rtol=1e-6, atol=0.0):
            self._add(
                Fault(
                    message=f"{self._store.path}: the attributes have density_rounding {said}; "
                    f"the densities give {rounding}"
                )
            )

    def extras(self) -> None:
        """Decode background layers and basis, and hold them against their digests."""
        meta = self._store.meta
        for group, names in extra_names(meta).items():
            about, whole = ExtraCheck(meta, group), True
            for name in names:
                for chunk in range(self._store.specs[name].n_chunks):
                    values = self._chunk(name, chunk)
                    whole = whole and values is not None
                    if values is not None:
                        about.update(name, values)
            for fault in about.faults() if whole else []:
                message = f"{self._store.path}: {fault}"
                self._add(Fault(message=message, array=fault.split()[0]))

    def _unit(self) -> float | None:
        """What densities are per on the device; None if no device can hold the scene."""
        try:
            return density_unit(self._store.meta.grid)
        except InvalidInput as error:
            self._add(Fault(message=f"{self._store.path}: {error}"))
            return None

    def _rows(self, name: str, rows: slice) -> NDArray[Any] | None:
        """Some rows of an array, asked for in rising order; None if a chunk of them is damaged."""
        per_chunk = self._store.specs[name].chunk_shape[0]
        parts = []
        for chunk in range(rows.start // per_chunk, (rows.stop - 1) // per_chunk + 1):
            if self._last.get(name, (-1, None))[0] != chunk:
                self._last[name] = (chunk, self._chunk(name, chunk))
            values = self._last[name][1]
            first = chunk * per_chunk
            parts.append(
                None if values is None else values[max(0, rows.start - first) : rows.stop - first]
            )
        whole = [part for part in parts if part is not None]
        return np.concatenate(whole) if len(whole) == len(parts) else None

    def _chunk(self, name: str, chunk: int) -> NDArray[Any] | None:
        self.n_chunks += 1
        self._progress("verify", self.n_chunks, self._n_all)
        try:
            stored = self._store.fetch_chunk(name, chunk)
            self.n_bytes += sum(len(blob or b"") for blob in stored)
            return self._store.decode_chunk(name, chunk, stored)
        except BrickCorrupt as error:
            bricks = self._bricks_of(name, chunk)
            self._add(Fault(message=str(error), array=name, chunk=chunk, bricks=bricks))
            return None

    def _bricks_of(self, name: str, chunk: int) -> tuple[int, ...]:
        """Bricks that a chunk says something about, none where that cannot be told."""
        per_chunk = self._store.specs[name].chunk_shape[0]
        first, last = chunk * per_chunk, (chunk + 1) * per_chunk
        if name.startswith("bricks/"):
            return tuple(range(first, min(last, self._store.meta.n_bricks)))
        if self._row_start is None:
            return ()
        touched = (self._row_start[:-1] < last) & (self._row_start[1:] > first)
        return tuple(np.flatnonzero(touched).tolist())

    def _add(self, fault: Fault) -> None:
        self.faults.append(fault)
        if len(self.faults) >= _MOST_FAULTS:
            raise StoreFormat(
                f"{fault.message} This is fault number {_MOST_FAULTS}: nothing of it can be used."
            )
