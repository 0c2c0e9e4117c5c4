"""Open a scene and read its chunks, from a folder or a zip file.

Opening reads the ``zarr.json`` documents and the tables in ``bricks/``, checks all of them, and no
row. `SceneStore.read_chunk` fetches a chunk's bytes and decodes them with the same libraries as
zarr, but without its Array in between, which costs four times as much as the work itself.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

import google_crc32c
import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from plenostream.errors import BrickCorrupt, StoreError, StoreFormat
from plenostream.store.layout import ArraySpec, SceneMeta, array_specs, decode_attributes
from plenostream.store.nodes import GROUPS, check_array_node, check_group_node, read_attributes
from plenostream.store.source import ByteSource, open_source
from plenostream.store.tables import BrickTables, content_faults, structure_faults
from plenostream.turns import Turns

__all__ = ["SceneStore", "check_meta", "chunk_bytes", "open_store", "stored_bytes_limit"]

_BLOSC_HEADER = 16
"""Bytes of Blosc's header, which is also the most that it adds to data it cannot compress."""
_CRC = 4
_LARGEST_AXIS = 1 << 21
"""Bricks on an axis that a Morton code has room for."""


def open_store(path: str | os.PathLike[str]) -> SceneStore:
    """The scene at `path`: a folder, or a zip file of the folder's content.

    Raises
    ------
    StoreNotFound : nothing there that could be a scene.
    StoreFormat : not complete, not this format, a newer version of it, or altered.
    BrickCorrupt : a chunk of a table is missing or damaged; named.
    """
    where = os.fspath(path)
    source = open_source(path)
    try:
        meta = decode_attributes(read_attributes(source, where=where), where=where)
        check_meta(meta, where=where)
        store = SceneStore(path=where, source=source, meta=meta)
        for group in GROUPS:
            check_group_node(source, group, where=where)
        store.codecs = {
            name: check_array_node(source, spec, where=where, exact=False)
            for name, spec in store.specs.items()
        }
        store.tables = BrickTables.from_arrays(
            {name: store.read_array(name) for name in store.specs if name.startswith("bricks/")}
        )
        faults = structure_faults(meta, store.tables) or content_faults(meta, store.tables)
        if faults:
            raise BrickCorrupt(f"{where}: {faults[0]}", array=faults[0].split()[0])
    except BaseException:
        source.close()
        raise
    return store


def check_meta(meta: SceneMeta, *, where: str) -> None:
    """Refuse (StoreFormat) counts that cannot be, before anything is allocated by them."""
    counts = (meta.n_bricks, meta.n_occupied, meta.n_voxels, meta.n_rows, *meta.grid.size)
    if any(type(count) is not int or count < 0 for count in counts):
        raise StoreFormat(f"{where}: sizes or counts in the attributes are not whole numbers")
    x, y, z = meta.bricks.shape
    if max(x, y, z) > _LARGEST_AXIS:
        raise StoreFormat(f"{where}: a grid of {x} x {y} x {z} bricks is too large")
    if not (
        meta.n_occupied <= meta.n_bricks <= x * y * z
        and meta.n_bricks <= meta.n_rows <= meta.n_bricks * meta.bricks.voxels
        and meta.n_voxels <= meta.n_rows
    ):
        raise StoreFormat(f"{where}: the counts in the attributes contradict each other")


class SceneStore:
    """An open scene. Reading is safe from several threads at once; a context manager.

    Attributes
    ----------
    path : str                          where the scene is
    meta : SceneMeta                    what it says about itself
    specs : dict of ArraySpec by name   its arrays
    tables : BrickTables                what is known about every brick
    codecs : dict of str by name        compressor of each array
    """

    tables: BrickTables
    codecs: dict[str, str]

    def __init__(self, *, path: str, source: ByteSource, meta: SceneMeta) -> None:
        self.path = path
        self.meta = meta
        self.specs = array_specs(meta)
        self._source = source
        self._uses = Turns(
            "this scene",
            closed=lambda: StoreError(f"{path}: this scene is closed; open it again to read it"),
            one_at_a_time=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the files, when nobody is in the middle of `in_use`; tables stay readable.

        Raises
        ------
        InvalidInput : called in the middle of a picture, by the thread that draws it.
        """
        self._uses.close(self._source.close)

    def in_use(self) -> AbstractContextManager[None]:
        """A block in which the scene stays open: `close` waits for the end of it.

        Raises
        ------
        StoreError : the scene is closed.
        """
        return self._uses.turn()

    def chunk_stored_bytes(self, name: str, chunk: int) -> int:
        """Bytes that a chunk takes where it is stored; BrickCorrupt when it is not there.

        StoreError after `close`.
        """
        self._uses.refuse_closed()
        spec = self.specs[name]
        try:
            return self._source.size(spec.chunk_key(chunk))
        except (KeyError, OSError, BrickCorrupt) as error:
            raise self._unreadable(spec, chunk, error) from error

    def fetch_chunk(self, name: str, chunk: int) -> bytes:
        """The stored bytes of a chunk, not looked at yet; BrickCorrupt when they cannot be read.

        StoreError after `close`.
        """
        self._uses.refuse_closed()
        spec = self.specs[name]
        try:
            return self._source.read(spec.chunk_key(chunk), at_most=stored_bytes_limit(spec))
        except (KeyError, OSError, StoreError) as error:
            raise self._unreadable(spec, chunk, error) from error

    def decode_chunk(
        self, name: str, chunk: int, stored: bytes, *, into: NDArray[np.uint8] | None = None
    ) -> NDArray[Any]:
        """The values of a chunk from its stored bytes, trimmed to the array's length.

        With `into` (at least `chunk_bytes` of them) they lie in that memory.

        Raises
        ------
        BrickCorrupt : wrong checksum or size, not decodable, or values that are not finite.
        """
        spec = self.specs[name]
        expected = chunk_bytes(spec)
        packed = np.frombuffer(stored, np.uint8)[:-_CRC]
        if len(packed) < _BLOSC_HEADER:
            raise self._damaged(spec, chunk, f"it ends after {len(stored)} bytes")
        if google_crc32c.value(packed).to_bytes(4, "little") != stored[-_CRC:]:
            raise self._damaged(spec, chunk, "it does not match its checksum (crc32c)")
        # nbytes and cbytes of Blosc's header: it would allocate and read by them.
        sizes = np.frombuffer(stored, "<u4", 3, offset=4)
        if sizes[0] != expected or sizes[2] != len(packed):
            raise self._damaged(spec, chunk, f"it says {sizes[0]} bytes, expected {expected}")
        memory = np.empty(expected, np.uint8) if into is None else into[:expected]
        try:
            blosc.decompress(packed, memory)
        except (RuntimeError, ValueError) as error:
            raise self._damaged(spec, chunk, f"it does not decode: {error}") from error
        values = memory.view(np.dtype(spec.dtype).newbyteorder("<")).reshape(spec.chunk_shape)
        values = values[: spec.shape[0] - chunk * spec.chunk_shape[0]]
        if not _all_finite(values):
            raise self._damaged(spec, chunk, "it holds values that are not finite")
        return values

    def read_chunk(self, name: str, chunk: int) -> NDArray[Any]:
        """The values of a whole chunk, trimmed to the array's length.

        Raises
        ------
        BrickCorrupt : the chunk is missing, short, damaged, or holds what was never written.
        StoreError : the scene is closed.
        """
        return self.decode_chunk(name, chunk, self.fetch_chunk(name, chunk))

    def read_array(self, name: str) -> NDArray[Any]:
        """A whole array; nothing is allocated for it before all of its chunks are known to exist."""
        spec = self.specs[name]
        for chunk in range(spec.n_chunks):
            self.chunk_stored_bytes(name, chunk)
        values = np.empty(spec.shape, spec.dtype)
        for chunk in range(spec.n_chunks):
            first = chunk * spec.chunk_shape[0]
            values[first : first + spec.chunk_shape[0]] = self.read_chunk(name, chunk)
        return values

    def _unreadable(self, spec: ArraySpec, chunk: int, error: Exception) -> BrickCorrupt:
        if isinstance(error, KeyError):
            return self._damaged(spec, chunk, "it is missing")
        return self._damaged(spec, chunk, f"it cannot be read: {error}")

    def _damaged(self, spec: ArraySpec, chunk: int, what: str) -> BrickCorrupt:
        return BrickCorrupt(
            f"{self.path}: chunk {chunk} of {spec.name} ({spec.chunk_key(chunk)}) is damaged: "
            f"{what}. Convert the checkpoint again, or copy the scene again from where it is whole.",
            array=spec.name,
            chunk=chunk,
        )


def chunk_bytes(spec: ArraySpec) -> int:
    """Bytes of a decoded chunk; the last one of an array is stored padded to the same size."""
    return spec.chunk_shape[0] * spec.row_bytes


def stored_bytes_limit(spec: ArraySpec) -> int:
    """The most bytes that a chunk can take where it is stored."""
    return chunk_bytes(spec) + _BLOSC_HEADER + _CRC


def _all_finite(values: NDArray[Any]) -> bool:
    if values.dtype != np.float16:
        return values.dtype.kind != "f" or bool(np.isfinite(values).all())
    # isfinite converts float16 one by one: 320 us a chunk against 20 for the bits, sign shifted out.
    bits = values.view(np.uint16)
    return values.size == 0 or int((bits << np.uint16(1)).max()) < 0xF800
