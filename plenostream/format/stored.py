"""Where the values of an array lie: which stored chunks hold a chunk of rows, and their values.

Readers ask for chunks of rows as `layout` cuts them. The converter stores just these. A copy
of a scene may be cut in any other way; then one chunk of rows is put together from several.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.format.codecs import Chain, DecodeError, parse_chain
from plenostream.format.layout import ArraySpec, storage_entries

__all__ = ["StoredArray", "as_converted", "stored_array"]

_LARGEST_CHUNK = 64 << 20
"""Bytes of the largest stored chunk (or shard) that is decoded; ours have 20 MB at most."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredArray:
    """How the values of an array are stored."""

    spec: ArraySpec
    chain: Chain
    """How a stored chunk is encoded; it has the stored chunks' shape."""
    prefix: tuple[str, ...]
    """What the keys of chunks begin with."""
    separator: str
    """What stands between the numbers of a chunk in its key."""

    def is_as(self, other: StoredArray) -> bool:
        """Whether values are found and decoded in the same way."""
        ways = [(array.prefix, array.separator, array.chain.meaning) for array in (self, other)]
        return ways[0] == ways[1]

    @property
    def aligned(self) -> bool:
        """Whether stored chunks are the chunks of rows."""
        return self.chain.shape == self.spec.chunk_shape

    @property
    def reading_bytes(self) -> int:
        """The most bytes that reading a chunk of rows takes, beside those of its values."""
        rows = -(-self.spec.chunk_shape[0] // self.chain.shape[0]) + 1
        others = math.prod(
            -(-n // c) for n, c in zip(self.spec.shape[1:], self.chain.shape[1:], strict=True)
        )
        n_chunks = 1 if self.aligned else rows * others
        standard = self.aligned and self.chain.plain
        return n_chunks * self.chain.stored_limit + (0 if standard else 2 * self.chain.n_bytes)

    @property
    def n_stored(self) -> int:
        """Stored chunks of the array."""
        return math.prod(self._grid())

    def _grid(self) -> tuple[int, ...]:
        return tuple(-(-n // c) for n, c in zip(self.spec.shape, self.chain.shape, strict=True))

    def _rows(self, chunk: int) -> tuple[int, int]:
        first = chunk * self.spec.chunk_shape[0]
        return first, min(first + self.spec.chunk_shape[0], self.spec.shape[0])

    def key(self, place: tuple[int, ...]) -> str:
        """Key of a stored chunk's bytes inside the store, such as ``rows/sh/c/3/0``."""
        numbers = self.separator.join([*self.prefix, *map(str, place)])
        return f"{self.spec.name}/{numbers}"

    def places(self, chunk: int) -> Iterator[tuple[int, ...]]:
        """The stored chunks that hold a chunk of rows, in C order."""
        low, high = self._rows(chunk)
        rows = self.chain.shape[0]
        yield from product(range(low // rows, -(-high // rows)), *map(range, self._grid()[1:]))

    def decode(
        self, chunk: int, stored: Sequence[bytes | None], memory: NDArray[np.uint8]
    ) -> NDArray[Any]:
        """The values of a chunk of rows, trimmed to the array's length, in `memory`.

        `stored` are the bytes of its `places`; None where nothing is stored, which is then the
        fill value. `memory` has the bytes of a whole chunk.

        Raises
        ------
        DecodeError : bytes that do not decode.
        """
        low, high = self._rows(chunk)
        if self.aligned and stored[0] is not None:
            return self.chain.decode(stored[0], memory)[: high - low]
        values = memory.view(self.chain.dtype).reshape(self.spec.chunk_shape)
        for place, blob in zip(self.places(chunk), stored, strict=True):
            out, part = [], []
            ends = zip(place, self.chain.shape, (high, *self.spec.shape[1:]), strict=True)
            for axis, (number, n, end) in enumerate(ends):
                first, start = number * n, low if axis == 0 else 0
                a, b = max(first, start), min(first + n, end)
                out.append(slice(a - start, b - start))
                part.append(slice(a - first, b - first))
            values[tuple(out)] = (
                self.chain.fill if blob is None else self.chain.decode(blob)[tuple(part)]
            )
        return values[: high - low]


def as_converted(spec: ArraySpec) -> StoredArray:
    """How the converter stores an array; as far as reading goes, compressors are the same."""
    return stored_array(spec, **storage_entries(spec, codec="zstd"))


def stored_array(
    spec: ArraySpec,
    *,
    chunk_grid: object,
    chunk_key_encoding: object,
    fill_value: object,
    codecs: object,
) -> StoredArray:
    """How an array is stored, from the entries of its ``zarr.json``.

    Raises
    ------
    DecodeError : something that makes no sense, is not known, or would take too much memory.
    """
    shape = _chunk_shape(spec, chunk_grid)
    dtype = np.dtype(spec.dtype)
    chain = parse_chain(codecs, shape=shape, dtype=dtype, fill=_fill(dtype, fill_value))
    prefix, separator = _key_encoding(chunk_key_encoding)
    return StoredArray(spec=spec, chain=chain, prefix=prefix, separator=separator)


def _chunk_shape(spec: ArraySpec, chunk_grid: object) -> tuple[int, ...]:
    match chunk_grid:
        case {"name": "regular", "configuration": {"chunk_shape": list(sizes)}} if len(
            sizes
        ) == len(spec.shape) and all(type(n) is int and n > 0 for n in sizes):
            n_bytes = math.prod(sizes) * np.dtype(spec.dtype).itemsize
            if n_bytes > _LARGEST_CHUNK:
                raise DecodeError(
                    f"its chunks of {sizes} have {n_bytes} bytes each; expected "
                    f"{_LARGEST_CHUNK} at most"
                )
            return tuple(sizes)
    raise DecodeError(f"its chunk_grid is {str(chunk_grid)[:100]}; expected a regular one")


def _key_encoding(encoding: object) -> tuple[tuple[str, ...], str]:
    """What keys of chunks begin with, and what separates their numbers."""
    match {"name": encoding} if isinstance(encoding, str) else encoding:
        case {"name": "default" | "v2" as name, **rest}:
            settings = rest.get("configuration", {})
            default = "/" if name == "default" else "."
            if isinstance(settings, dict) and settings.get("separator", default) in ("/", "."):
                return ("c",) if name == "default" else (), settings.get("separator", default)
    raise DecodeError(f"its chunk_key_encoding is {str(encoding)[:100]}")


def _fill(dtype: np.dtype[Any], value: object) -> Any:
    """The value of what is not stored."""
    if dtype.kind == "f":
        if value in ("NaN", "Infinity", "-Infinity"):
            return dtype.type(float(str(value)))
        if isinstance(value, int | float) and not isinstance(value, bool):
            if abs(value) <= float(np.finfo(dtype).max):
                return dtype.type(value)
    elif type(value) is int and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
        return dtype.type(value)
    raise DecodeError(f"its fill_value is {str(value)[:60]}, which is no {dtype}")
