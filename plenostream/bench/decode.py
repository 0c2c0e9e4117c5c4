"""Decoding rows: the path that renders use, beside slicing the Zarr arrays chunk by chunk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import zarr
from zarr.storage import LocalStore, ZipStore

from plenostream.bench.timing import Say, Timing, take_turns, timed
from plenostream.format.layout import ArraySpec
from plenostream.format.reader import SceneStore
from plenostream.stream import BrickFetcher, smallest_cache_bytes

__all__ = ["DecodeRates", "measure_decoding"]

_ROWS = ("rows/density", "rows/sh")
_CACHE_SHARE = 4
"""Parts of what is decoded that the cache may hold: so little that a repeat finds nothing there."""
_LARGEST_BYTES = 150_000_000
"""Decoded bytes of a repeat, at most: enough to be beyond every cache of the processor."""
_BATCH_BRICKS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeRates:
    """The rows of the scene's first bricks, decoded in three ways."""

    n_bytes: int
    """Decoded bytes of the chunks that hold them."""
    zarr: Timing
    """Slicing the Zarr arrays, a chunk at a time."""
    chunks: Timing
    """Our own reading of the same chunks, one after another in one thread."""
    threads: Timing
    """The same in as many threads as a render reads with."""
    bricks: Timing
    """Bricks as a render takes them: read ahead by threads, checked and cut out of chunks."""

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        ways = {"zarr": self.zarr, "chunks": self.chunks, "threads": self.threads}
        ways["bricks"] = self.bricks
        return {
            "bytes": self.n_bytes,
            **{name: timing.to_dict() for name, timing in ways.items()},
        }


def measure_decoding(
    store: SceneStore, *, n_threads: int, rounds: int, say: Say
) -> DecodeRates | None:
    """Decode rows in turns; None for a scene without any."""
    row_start = store.tables.row_start
    row_bytes = sum(store.specs[name].row_bytes for name in _ROWS)
    n_bricks = int(np.searchsorted(row_start, _LARGEST_BYTES // row_bytes, "right")) - 1
    n_bricks = min(max(n_bricks, 1), store.meta.n_bricks)
    n_rows = int(row_start[n_bricks])
    if not n_rows:
        return None
    specs = [store.specs[name] for name in _ROWS]
    chunks = [(spec, range(-(-n_rows // spec.chunk_shape[0]))) for spec in specs]
    n_bytes = n_rows * row_bytes
    cache_bytes = max(n_bytes // _CACHE_SHARE, smallest_cache_bytes(store))
    with BrickFetcher(store, cache_bytes=cache_bytes, n_threads=n_threads) as fetcher:
        ways = {
            "zarr": timed(partial(_slice_zarr, store.path, chunks)),
            "chunks": timed(partial(_read_chunks, store, chunks)),
            "threads": timed(partial(_read_in_threads, store, chunks, n_threads)),
            "bricks": timed(partial(_take_bricks, fetcher, n_bricks)),
        }
        times = take_turns(ways, rounds=rounds, say=lambda what: say(f"decoding: {what}"))
    return DecodeRates(n_bytes=n_bytes, **times)


def _slice_zarr(path: str, chunks: Sequence[tuple[ArraySpec, range]]) -> None:
    zipped = os.path.isfile(path)
    source = ZipStore(path, read_only=True) if zipped else LocalStore(path, read_only=True)
    group = zarr.open_group(source, mode="r")
    for spec, numbers in chunks:
        array = group[spec.name]
        assert isinstance(array, zarr.Array)
        rows = spec.chunk_shape[0]
        for number in numbers:
            array[number * rows : (number + 1) * rows]


def _read_chunks(store: SceneStore, chunks: Sequence[tuple[ArraySpec, range]]) -> None:
    for spec, numbers in chunks:
        for number in numbers:
            store.read_chunk(spec.name, number)


def _read_in_threads(
    store: SceneStore, chunks: Sequence[tuple[ArraySpec, range]], n_threads: int
) -> None:
    with ThreadPoolExecutor(n_threads) as pool:
        for spec, numbers in chunks:
            for _ in pool.map(partial(store.read_chunk, spec.name), numbers):
                pass


def _take_bricks(fetcher: BrickFetcher, n_bricks: int) -> None:
    fetcher.request(np.arange(n_bricks))
    for first in range(0, n_bricks, _BATCH_BRICKS):
        fetcher.take(np.arange(first, min(first + _BATCH_BRICKS, n_bricks)))
