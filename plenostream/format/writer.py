"""Writes the chunks and documents of a scene: each chunk once, whole, by one writer.

Arrays are written in rows that follow each other. Chunks know nothing of slabs or bricks, so who
writes some rows of an array in the middle writes the chunks that these rows fill alone, and hands
back the edges, which `write_edges` joins with those of the neighbours.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import google_crc32c
import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from plenostream.errors import BrickCorrupt, InternalError
from plenostream.format.attributes import ATTRIBUTES_KEY, encode_attributes
from plenostream.format.consolidated import consolidated
from plenostream.format.layout import (
    ArraySpec,
    SceneMeta,
    array_specs,
    codec_metadata,
    fill_value,
    groups_of,
    storage_entries,
)
from plenostream.format.levels import level_folder
from plenostream.format.schema import check_attributes
from plenostream.format.stored import as_converted
from plenostream.format.target import ByteTarget, Put, put_at_once

__all__ = [
    "ChunkWriter",
    "Edge",
    "encode_chunk",
    "is_sound_chunk",
    "scene_documents",
    "write_documents",
    "write_edges",
]


_GROUP = {"zarr_format": 3, "node_type": "group"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Rows that fill a part of a chunk only."""

    start: int
    """Row of the array that the first one is."""
    rows: NDArray[Any]


def _compress(rows: NDArray[Any], spec: ArraySpec, codec: str) -> bytes:
    settings = codec_metadata(spec, codec=codec)[1]["configuration"]
    return bytes(
        blosc.compress(
            rows,
            settings["cname"].encode(),
            settings["clevel"],
            blosc.SHUFFLE,
            settings["blocksize"],
            typesize=settings["typesize"],
        )
    )


def encode_chunk(spec: ArraySpec, rows: NDArray[Any], *, codec: str) -> bytes:
    """The stored bytes of a chunk of at most `chunk_shape[0]` rows, filled up to a whole one.

    The same rows give the same bytes.
    """
    whole = np.full(spec.chunk_shape, fill_value(spec), np.dtype(spec.dtype).newbyteorder("<"))
    whole[: len(rows)] = rows
    # On the main thread numcodecs lets Blosc use threads of its own, and these put the blocks of
    # a chunk in the order in which they happen to finish: 20 calls gave 20 different results.
    if threading.current_thread() is threading.main_thread():
        with ThreadPoolExecutor(1) as other:
            packed = other.submit(_compress, whole, spec, codec).result()
    else:
        packed = _compress(whole, spec, codec)
    return packed + _checksum(packed)


def _checksum(packed: bytes) -> bytes:
    return int(google_crc32c.value(packed)).to_bytes(4, "little")


def is_sound_chunk(scene: ByteTarget, spec: ArraySpec, chunk: int) -> bool:
    """Whether an earlier run has put a chunk, and it is there whole: matches its checksum, where its
    place does not see to that."""
    key = spec.chunk_key(chunk)
    if not scene.was_put(key) or scene.puts_whole:
        return scene.was_put(key)
    try:
        stored = scene.read(key, at_most=as_converted(spec).chain.stored_limit)
    except BrickCorrupt:
        return False
    return _checksum(stored[:-4]) == stored[-4:]


class ChunkWriter:
    """Takes consecutive rows of one array from `start` on and writes the chunks they fill.

    Memory: one chunk.
    """

    def __init__(self, put: Put, spec: ArraySpec, *, codec: str, start: int) -> None:
        self._put, self._spec, self._codec = put, spec, codec
        self._next = start
        """Row that comes next."""
        self._begin = start
        """First row that is held."""
        self._held = np.empty(spec.chunk_shape, np.dtype(spec.dtype))
        self._edges: list[Edge] = []

    def append(self, rows: NDArray[Any]) -> None:
        """Take `rows` [n, ...], of the array's own type."""
        spec = self._spec
        per_chunk = spec.chunk_shape[0]
        if rows.dtype != self._held.dtype or self._next + len(rows) > spec.shape[0]:
            raise InternalError(
                f"{len(rows)} rows of {rows.dtype} at row {self._next} do not belong in "
                f"{spec.name}, which has {spec.shape[0]} of {spec.dtype}"
            )
        done = 0
        while done < len(rows):
            at = self._next % per_chunk
            piece = rows[done : done + per_chunk - at]
            self._held[at : at + len(piece)] = piece
            done += len(piece)
            self._next += len(piece)
            if self._next % per_chunk == 0:
                self._flush()

    def close(self) -> list[Edge]:
        """Write the last chunk of the array if its end has come; the edges, in order."""
        if self._begin < self._next:
            self._flush()
        return self._edges

    def _flush(self) -> None:
        spec = self._spec
        chunk = self._begin // spec.chunk_shape[0]
        first = chunk * spec.chunk_shape[0]
        end = min(first + spec.chunk_shape[0], spec.shape[0])
        rows = self._held[self._begin - first : self._next - first]
        if self._begin == first and self._next == end:
            self._put(spec.chunk_key(chunk), encode_chunk(spec, rows, codec=self._codec))
        else:
            self._edges.append(Edge(start=self._begin, rows=rows.copy()))
        self._begin = self._next


def _contiguous(spec: ArraySpec, edges: Iterable[Edge]) -> Iterator[Edge]:
    end: int | None = None
    for edge in edges:
        if edge.start % spec.chunk_shape[0] and edge.start != end:
            raise InternalError(f"{spec.name}: rows {end} to {edge.start} were not written")
        end = edge.start + len(edge.rows)
        yield edge


def write_edges(put: Put, spec: ArraySpec, edges: Iterable[Edge], *, codec: str) -> None:
    """Write the chunks that `edges`, in order, make up together."""
    by_chunk = groupby(_contiguous(spec, edges), key=lambda e: e.start // spec.chunk_shape[0])
    for chunk, parts in by_chunk:
        writer = ChunkWriter(put, spec, codec=codec, start=chunk * spec.chunk_shape[0])
        for part in parts:
            writer.append(part.rows)
        if writer.close():
            raise InternalError(f"{spec.name}: chunk {chunk} was not written whole")


def _documents(meta: SceneMeta, *, codec: str) -> dict[str, dict[str, Any]]:
    """The documents of the groups and arrays of a scene or level, by name, but for its own."""
    arrays = {
        name: {
            "zarr_format": 3,
            "node_type": "array",
            "shape": spec.shape,
            "data_type": spec.dtype,
            **storage_entries(spec, codec=codec),
            "attributes": {},
            "storage_transformers": [],
        }
        for name, spec in array_specs(meta).items()
    }
    return arrays | {name: _GROUP | {"attributes": {}} for name in groups_of(meta)}


def scene_documents(meta: SceneMeta, *, codec: str, where: str) -> dict[str, bytes]:
    """The ``zarr.json`` of every array and group of a scene, by key; that of the scene itself, which
    says `complete` and what all others say, comes last.

    Raises
    ------
    StoreFormat : an attribute that no reader would take; `where` is said.
    """
    below = _documents(meta, codec=codec)
    for level in range(1, len(meta.levels) + 1):
        folder = level_folder(level)
        for name in (folder.partition("/")[0], folder):
            below[name] = _GROUP | {"attributes": {}}
        own = _documents(meta.level(level), codec=codec)
        below |= {f"{folder}/{name}": document for name, document in own.items()}
    attributes = encode_attributes(meta, complete=True)
    check_attributes(attributes[ATTRIBUTES_KEY], where=where)
    root = _GROUP | {"attributes": attributes, "consolidated_metadata": consolidated(below)}
    documents = {f"{name}/zarr.json": document for name, document in below.items()}
    return {
        key: f"{json.dumps(document, indent=2)}\n".encode()
        for key, document in (documents | {"zarr.json": root}).items()
    }


def write_documents(scene: ByteTarget, meta: SceneMeta, *, codec: str, where: str) -> None:
    """Put all `scene_documents`, that of the scene itself when all others are there: to be called when
    every chunk is."""
    documents = scene_documents(meta, codec=codec, where=where)
    root = documents.popitem()
    with put_at_once(scene) as put:
        for key, text in documents.items():
            put(key, text)
    scene.put(*root)
