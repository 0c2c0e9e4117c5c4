"""Decodes the chunks of a Zarr array by what its ``zarr.json`` says of them.

The converter writes one chain of codecs (`bytes`, `blosc`, `crc32c`). Zarr copies a scene with any
other, and the values are the same, so a chunk goes through whatever chain is written there: all
codecs of plain numbers that Zarr's specification has. This is not left to zarr itself, whose
pipeline costs four times as much a call as the work, and allocates whatever a chunk says it
inflates to: here nothing is allocated for bytes that no array of this shape can have.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import google_crc32c
import numpy as np
from numcodecs import blosc, zstd
from numpy.typing import NDArray

__all__ = ["Chain", "DecodeError", "parse_chain"]

_BLOSC_HEADER = 16
"""Bytes of Blosc's header, which is also the most that it adds to data it cannot compress."""
_CRC = 4
_MOST_INNER_CHUNKS = 1 << 16
"""Chunks of a shard; more would be an index of megabytes."""
_ABSENT = np.uint64(2**64 - 1)
"""In the index of a shard: this chunk is not stored, all of it is the fill value."""

Buffer = NDArray[np.uint8]


class DecodeError(ValueError):
    """Stored bytes that are not what their codecs make; or codecs that are not known here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ByteStep:
    """A codec from bytes to bytes."""

    name: str
    decode: Callable[[Buffer, int, Buffer | None], Buffer]
    """From (stored bytes, the most bytes that can come out, memory of just the size that must
    come out or None) to the bytes; those memory is not None lie in it where that saves a copy."""
    grows: Callable[[int], int]
    """The most stored bytes that so many bytes can take."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chain:
    """How the values of one chunk become its stored bytes, ready to be turned around."""

    shape: tuple[int, ...]
    """Shape of a whole chunk."""
    dtype: np.dtype[Any]
    """Type of the values, little endian."""
    fill: Any
    """What is not stored inside a shard."""
    order: tuple[int, ...] | None
    """Axes are stored in this order; None: as they are."""
    big_endian: bool
    inner: Chain | None
    """How a shard stores its chunks; None: this is no shard."""
    index: Chain | None
    """How a shard stores where its chunks lie."""
    index_first: bool
    steps: tuple[_ByteStep, ...]
    """From bytes to bytes, in the order of writing."""

    @property
    def n_bytes(self) -> int:
        """Bytes of a whole chunk's values."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def plain(self) -> bool:
        """Whether the bytes that the last step gives are the values as they lie in memory."""
        return self.inner is None and self.order is None and not self.big_endian

    @property
    def meaning(self) -> tuple[Any, ...]:
        """What decides which values come out: equal for chains that decode alike."""
        own = self.shape, self.dtype, repr(self.fill), self.order, self.big_endian
        inner = [part and part.meaning for part in (self.inner, self.index)]
        return *own, *inner, self.index_first, *(step.name for step in self.steps)

    @property
    def label(self) -> str:
        """Names of the compressors, for people."""
        names = [s.name for s in self.steps if s.name != "crc32c"]
        if self.inner is not None:
            names.insert(0, f"shards of {self.inner.label}")
        return ", ".join(names) or "none"

    @property
    def stored_limit(self) -> int:
        """The most bytes that a chunk can take where it is stored."""
        n = self.n_bytes
        if self.inner is not None and self.index is not None:
            count = math.prod(self.index.shape[:-1])
            n = count * self.inner.stored_limit + self.index.stored_limit
        for step in self.steps:
            n = step.grows(n)
        return n

    def decode(self, stored: bytes, memory: Buffer | None = None) -> NDArray[Any]:
        """The values of a chunk [shape]; in `memory` (`n_bytes` of them) where that is given.

        Raises
        ------
        DecodeError : wrong checksum or size, or not decodable.
        """
        return self._decode(np.frombuffer(stored, np.uint8), memory)

    def _decode(self, stored: Buffer, memory: Buffer | None) -> NDArray[Any]:
        plain = self.plain
        most = self.n_bytes if self.inner is None else self.stored_limit
        data = stored
        for number in reversed(range(len(self.steps))):
            last = number == 0 and self.inner is None
            out = memory if last and plain else None
            limit = most
            for step in self.steps[:number]:
                limit = step.grows(limit)
            if last and out is None:
                out = np.empty(self.n_bytes, np.uint8)
            data = self.steps[number].decode(data, limit, out)
        if self.inner is None and len(data) != self.n_bytes:
            raise DecodeError(f"it says {len(data)} bytes, expected {self.n_bytes}")
        if plain and (memory is None or np.may_share_memory(data, memory)):
            return data.view(self.dtype).reshape(self.shape)
        values = np.empty(self.n_bytes, np.uint8) if memory is None else memory
        out_values = values.view(self.dtype).reshape(self.shape)
        out_values[...] = self._unshard(data) if self.inner is not None else self._arranged(data)
        return out_values

    def _arranged(self, data: Buffer) -> NDArray[Any]:
        """The values in their own order of bytes and axes; a view."""
        dtype = self.dtype.newbyteorder(">") if self.big_endian else self.dtype
        if self.order is None:
            return data.view(dtype).reshape(self.shape)
        stored = data.view(dtype).reshape([self.shape[axis] for axis in self.order])
        return stored.transpose(np.argsort(self.order))

    def _unshard(self, data: Buffer) -> NDArray[Any]:
        """The values of all chunks of a shard, put together."""
        assert self.inner is not None
        assert self.index is not None
        n_index = self.index.stored_limit
        if len(data) < n_index:
            raise DecodeError(f"it ends after {len(data)} bytes")
        at_index = data[:n_index] if self.index_first else data[len(data) - n_index :]
        index = self.index._decode(at_index, None)
        values = np.empty(self.shape, self.dtype)
        for place in product(*map(range, index.shape[:-1])):
            offset, length = index[place]
            part = values[
                tuple(
                    slice(i * n, (i + 1) * n) for i, n in zip(place, self.inner.shape, strict=True)
                )
            ]
            if offset == _ABSENT and length == _ABSENT:
                part[...] = self.fill
            elif int(offset) + int(length) > len(data):
                raise DecodeError("its shard's index points beyond its end")
            else:
                first = int(offset)
                part[...] = self.inner._decode(data[first : first + int(length)], None)
        return values


def _crc32c_step(_: Mapping[str, Any]) -> _ByteStep:
    def decode(data: Buffer, limit: int, out: Buffer | None) -> Buffer:
        if len(data) < _CRC:
            raise DecodeError(f"it ends after {len(data)} bytes")
        packed = data[:-_CRC]
        if google_crc32c.value(packed).to_bytes(4, "little") != data[-_CRC:].tobytes():
            raise DecodeError("it does not match its checksum (crc32c)")
        return packed

    return _ByteStep(name="crc32c", decode=decode, grows=lambda n: n + _CRC)


def _blosc_step(settings: Mapping[str, Any]) -> _ByteStep:
    def decode(data: Buffer, limit: int, out: Buffer | None) -> Buffer:
        if len(data) < _BLOSC_HEADER:
            raise DecodeError(f"it ends after {len(data)} bytes")
        # nbytes and cbytes of Blosc's header: it would allocate and read by them.
        n_bytes, _, packed = struct.unpack_from("<3I", data[:_BLOSC_HEADER].tobytes(), 4)
        if n_bytes > limit or packed != len(data) or (out is not None and n_bytes != len(out)):
            raise DecodeError(f"it says {n_bytes} bytes, expected {limit}")
        memory = np.empty(n_bytes, np.uint8) if out is None else out
        try:
            blosc.decompress(data, memory)
        except (RuntimeError, ValueError) as error:
            raise DecodeError(f"it does not decode: {error}") from error
        return memory

    name = settings.get("cname", "blosc")
    return _ByteStep(
        name=name if isinstance(name, str) else "blosc",
        decode=decode,
        grows=lambda n: n + _BLOSC_HEADER,
    )


def _zstd_content(data: Buffer) -> int:
    """Bytes that a Zstandard frame says it holds (RFC 8878, 3.1.1); DecodeError if it does not."""
    raw = data[:18].tobytes()
    if len(raw) < 6 or raw[:4] != b"\x28\xb5\x2f\xfd":
        raise DecodeError("it does not decode: no Zstandard frame")
    flag, single = raw[4] >> 6, raw[4] >> 5 & 1
    at = 5 + (not single) + (0, 1, 2, 4)[raw[4] & 3]
    length = (1 if single else 0, 2, 4, 8)[flag]
    field = raw[at : at + length]
    if length == 0 or len(field) < length:
        raise DecodeError("it does not decode: its Zstandard frame does not say how long it is")
    return int.from_bytes(field, "little") + (256 if length == 2 else 0)


def _zstd_step(_: Mapping[str, Any]) -> _ByteStep:
    def decode(data: Buffer, limit: int, out: Buffer | None) -> Buffer:
        n_bytes = _zstd_content(data)
        if n_bytes > limit or (out is not None and n_bytes != len(out)):
            raise DecodeError(f"it says {n_bytes} bytes, expected {limit}")
        memory = np.empty(n_bytes, np.uint8) if out is None else out
        try:
            zstd.decompress(np.ascontiguousarray(data), memory)
        except (RuntimeError, ValueError) as error:
            raise DecodeError(f"it does not decode: {error}") from error
        return memory

    return _ByteStep(name="zstd", decode=decode, grows=lambda n: n + n // 128 + 512)


def _gzip_step(_: Mapping[str, Any]) -> _ByteStep:
    def decode(data: Buffer, limit: int, out: Buffer | None) -> Buffer:
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            plain = inflater.decompress(data.tobytes(), limit + 1)
        except zlib.error as error:
            raise DecodeError(f"it does not decode: {error}") from error
        if len(plain) > limit or not inflater.eof or inflater.unused_data:
            raise DecodeError(f"it does not decode to {limit} bytes")
        memory = np.frombuffer(plain, np.uint8)
        if out is None or len(out) != len(memory):
            return memory
        out[:] = memory
        return out

    return _ByteStep(name="gzip", decode=decode, grows=lambda n: n + n // 1024 + 1024)


_STEPS: dict[str, Callable[[Mapping[str, Any]], _ByteStep]] = {
    "crc32c": _crc32c_step,
    "blosc": _blosc_step,
    "zstd": _zstd_step,
    "gzip": _gzip_step,
}


def parse_chain(
    codecs: object, *, shape: tuple[int, ...], dtype: np.dtype[Any], fill: Any, depth: int = 0
) -> Chain:
    """The chain that the `codecs` entry of a ``zarr.json`` describes, for chunks of `shape`.

    Raises
    ------
    DecodeError : a codec that is not known here, or a list that makes no sense; says which.
    """
    parts = list(_named(codecs))
    order: tuple[int, ...] | None = None
    while parts and parts[0][0] == "transpose":
        given = parts.pop(0)[1].get("order")
        if not isinstance(given, list) or sorted(map(repr, given)) != [
            repr(axis) for axis in range(len(shape))
        ]:
            raise DecodeError(f"the order of a transpose is {str(given)[:60]}")
        order = tuple(given) if order is None else tuple(order[axis] for axis in given)
    if not parts:
        raise DecodeError("there is no codec that makes bytes")
    (name, settings), *rest = parts
    inner = index = None
    if name == "sharding_indexed" and depth == 0:
        if order is not None:
            raise DecodeError("shards of transposed arrays are not known here")
        inner, index = _shard(settings, shape=shape, dtype=dtype, fill=fill)
    elif name != "bytes":
        raise DecodeError(f"the codec {name[:60]!r} is not known here")
    elif dtype.itemsize > 1 and settings.get("endian") not in ("little", "big"):
        raise DecodeError("the codec bytes has no order of bytes")
    for other, _ in rest:
        if other not in _STEPS:
            raise DecodeError(f"the codec {other[:60]!r} is not known here")
    return Chain(
        shape=shape,
        dtype=dtype.newbyteorder("<"),
        fill=fill,
        order=order,
        big_endian=inner is None and settings.get("endian") == "big",
        inner=inner,
        index=index,
        index_first=settings.get("index_location") == "start",
        steps=tuple(_STEPS[other](settings) for other, settings in rest),
    )


def _named(codecs: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and configuration of each codec; a name alone stands for one without any."""
    if not isinstance(codecs, list):
        raise DecodeError("the codecs are not a list")
    for codec in codecs:
        entry = {"name": codec} if isinstance(codec, str) else codec
        match entry:
            case {"name": str(name), "configuration": dict(settings)}:
                yield name, settings
            case {"name": str(name)} if "configuration" not in entry:
                yield name, {}
            case _:
                raise DecodeError("a codec has no name, or a configuration that is none")


def _shard(
    settings: Mapping[str, Any], *, shape: tuple[int, ...], dtype: np.dtype[Any], fill: Any
) -> tuple[Chain, Chain]:
    """How the chunks of a shard of `shape`, and its index, are stored."""
    inner = settings.get("chunk_shape")
    if (
        not isinstance(inner, list)
        or len(inner) != len(shape)
        or not all(type(n) is int and n > 0 and whole % n == 0 for n, whole in zip(inner, shape))  # noqa: B905
    ):
        raise DecodeError(f"shards of {shape} have chunks of {str(inner)[:60]}")
    counts = tuple(whole // n for whole, n in zip(shape, inner, strict=True))
    if math.prod(counts) > _MOST_INNER_CHUNKS:
        raise DecodeError(f"a shard has {math.prod(counts)} chunks")
    if settings.get("index_location", "end") not in ("start", "end"):
        raise DecodeError("the index of its shards lies at an unknown place")
    chain = parse_chain(settings.get("codecs"), shape=tuple(inner), dtype=dtype, fill=fill, depth=1)
    index = parse_chain(
        settings.get("index_codecs"),
        shape=(*counts, 2),
        dtype=np.dtype(np.uint64),
        fill=0,
        depth=1,
    )
    if any(step.name != "crc32c" for step in index.steps):
        raise DecodeError("the index of its shards has no fixed size")
    return chain, index
