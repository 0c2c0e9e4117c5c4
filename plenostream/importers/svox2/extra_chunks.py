"""Writes the background layers and the basis of a checkpoint into a scene, some rows at a time."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import CheckpointError, InternalError
from plenostream.files.durable import write_atomically
from plenostream.format.digests import ArraysDigest
from plenostream.format.extras import BackgroundMeta, LearnedBasis
from plenostream.format.layout import SceneMeta, array_specs
from plenostream.format.target import ByteTarget, put_at_once
from plenostream.format.writer import ChunkWriter
from plenostream.importers.packing.rowfile import RowTable
from plenostream.importers.svox2.checkpoint import Checkpoint
from plenostream.importers.svox2.members import StoredArray
from plenostream.importers.svox2.spill import spill_table, spilled_table

__all__ = ["extra_bytes", "write_extras"]

_BATCH_BYTES = 2 << 20
"""Bytes of the rows that are held at a time."""


def extra_bytes(checkpoint: Checkpoint) -> int:
    """Disk that they take at most, in the scene and on their way there."""
    return sum(
        math.prod(a.shape) * (4 + 2 * a.dtype.itemsize * a.fortran_order) for a in checkpoint.extras
    )


def write_extras(
    checkpoint: Checkpoint, meta: SceneMeta, *, work: Path, scene: ByteTarget, codec: str
) -> SceneMeta:
    """Write all chunks of what a checkpoint has beside its grid; `meta` with what was written.

    `work` is a folder of the conversion, in which ``extras.json`` says that it is done.

    Raises
    ------
    CheckpointError : damaged data, values that are not finite, a texel's row that is not there.
    """
    if not checkpoint.extras:
        return meta
    done = work / "extras.json"
    writer = _Writer(checkpoint, meta, work, scene, codec)
    if not done.exists():
        facts = writer.write()
        for group in ("background", "basis"):
            scene.flush(group)
        write_atomically(done, json.dumps(facts).encode())
    return writer.described(json.loads(done.read_bytes()))


class _Writer:
    """Writes the arrays one after another."""

    def __init__(
        self, checkpoint: Checkpoint, meta: SceneMeta, work: Path, scene: ByteTarget, codec: str
    ) -> None:
        self._checkpoint, self._meta = checkpoint, meta
        self._work, self._scene, self._codec = work, scene, codec

    def described(self, facts: dict[str, Any]) -> SceneMeta:
        """The scene, of which `facts` are known."""
        learned, layers = self._checkpoint.learned, self._checkpoint.background
        basis = background = None
        if layers is not None:
            n_rows, n_layers, _ = layers.data.shape
            background = BackgroundMeta(
                height=layers.height,
                layers=n_layers,
                n_rows=n_rows,
                digest=facts["background"],
            )
        if learned is not None:
            first, three, others = facts["bound"]
            basis = LearnedBasis(
                functions=learned.functions, bound=(first, three, others), digest=facts["basis"]
            )
        return replace(self._meta, background=background, learned=basis)

    def write(self) -> dict[str, Any]:
        """Write all arrays; digests, and the bound of the basis."""
        unknown = {"background": "", "basis": "", "bound": (0.0, 0.0, 0.0)}
        self._specs = array_specs(self.described(unknown))
        facts: dict[str, Any] = {}
        if (layers := self._checkpoint.background) is not None:
            digest = ArraysDigest()
            n_rows, name = layers.data.shape[0], "background/links"
            links = self._rows(layers.links, name)
            self._write(name, (_checked(rows, layers.links, n_rows) for rows in links), digest)
            self._write("background/data", self._floats(layers.data, "background/data"), digest)
            facts["background"] = digest.hex
        if (learned := self._checkpoint.learned) is not None:
            digest, name = ArraysDigest(), "basis/values"
            largest = np.zeros((1, learned.functions.dim), np.float32)

            def values() -> Iterator[NDArray[np.float32]]:
                nonlocal largest
                for array in learned.arrays:
                    for rows in self._floats(array, name):
                        if rows.ndim == 2:
                            largest = np.maximum(largest, rows.max(axis=0, keepdims=True))
                        yield rows

            self._write(name, values(), digest)
            facts |= {"basis": digest.hex, "bound": learned.functions.bound(largest)}
        return facts

    def _write(self, name: str, batches: Iterator[NDArray[Any]], digest: ArraysDigest) -> None:
        with put_at_once(self._scene) as put:
            writer = ChunkWriter(put, self._specs[name], codec=self._codec, start=0)
            for rows in batches:
                digest.update(rows)
                writer.append(rows)
            edges = writer.close()
        if edges:
            raise InternalError(f"{name} was not written whole")

    def _floats(self, array: StoredArray, name: str) -> Iterator[NDArray[np.float32]]:
        rows: NDArray[np.floating]
        for rows in self._rows(array, name):
            most = min(float(np.finfo(t).max) for t in (np.float32, rows.dtype))
            # A comparison with NaN is false, so this finds NaN as well.
            bad = ~(np.abs(rows) <= most)
            if bad.any():
                raise CheckpointError(
                    f"{array.where} has {rows[bad][0]}; expected finite float32 values"
                )
            yield np.ascontiguousarray(rows, np.float32)

    def _rows(self, array: StoredArray, name: str) -> Iterator[NDArray[Any]]:
        """All elements as rows of the scene's array `name`, some at a time, in C order and native
        byte order."""
        row = self._specs[name].shape[1:]
        columns = math.prod(row)
        batch = max(1, _BATCH_BYTES // (columns * array.dtype.itemsize))
        if not array.fortran_order:
            for rows in array.batches(columns, batch):
                yield rows.reshape(-1, *row)
            return
        # A table whose columns lie one after another, those of the last axis slowest.
        rest = array.shape[1:]
        shape = (array.shape[0], math.prod(rest))
        table = replace(array, header=replace(array.header, shape=shape))
        axes = (0, *range(len(rest), 0, -1))
        for rows in self._table_rows(table, max(1, batch * columns // shape[1])):
            yield rows.reshape(-1, *reversed(rest)).transpose(axes).reshape(-1, *row)

    def _table_rows(self, table: StoredArray, batch: int) -> Iterator[NDArray[Any]]:
        if not table.fortran_order:
            yield from table.batches(table.columns, batch)
            return
        folder = self._work / "spill" / table.key
        shutil.rmtree(folder, ignore_errors=True)  # what a killed run may have left
        folder.mkdir(parents=True)
        n_rows = table.shape[0]
        spill_table(
            table,
            folder,
            n_voxels=n_rows,
            rows_file=None,
            memory_bytes=_BATCH_BYTES,
            progress=lambda done, n: None,
        )
        spilled: RowTable = spilled_table(table, folder)
        for first in range(0, n_rows, batch):
            stop = min(first + batch, n_rows)
            yield spilled.read(np.array([first]), np.array([stop]))
        shutil.rmtree(folder)


def _checked(rows: NDArray[np.integer], links: StoredArray, n_rows: int) -> NDArray[np.int32]:
    """Links of texels as a scene has them."""
    if (beyond := rows >= n_rows).any():
        raise CheckpointError(
            f"{links.where} has row {rows[beyond][0]}; background_data has {n_rows} rows"
        )
    return np.ascontiguousarray(np.maximum(rows, -1) if rows.dtype.kind == "i" else rows, np.int32)
