"""Decoding rows: the path that renders use, beside slicing the Zarr arrays chunk by chunk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import zarr
from zarr.storage import LocalStore, ZipStore

from benchmarks.table import Row, ratio
from benchmarks.timing import Say, Timing, take_turns, timed
from plenostream.format.layout import ArraySpec
from plenostream.format.reader import SceneStore
from plenostream.rules.bytesize import format_bytes
from plenostream.stream import BrickFetcher, smallest_cache_bytes

__all__ = ["DecodeRates", "decoding_rows", "measure_decoding"]

_ROWS = ("rows/density", "rows/sh")
_CACHE_SHARE = 4
"""Parts of what is decoded that the cache may hold: so little that a repeat finds nothing there."""
_LARGEST_BYTES = 150_000_000
"""Decoded bytes of a repeat, at most: enough to be beyond every cache of the processor."""
_BATCH_BRICKS = 32
_ZARR = "Zarr arrays, chunk by chunk"

_Chunks = Sequence[tuple[ArraySpec, range]]
"""Numbers of the chunks of an array."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeRates:
    """The rows of the scene's first bricks, decoded in several ways."""

    n_bytes: int
    """Decoded bytes of the chunks that hold them."""
    ways: dict[str, Timing]
    """By name: Zarr's arrays; our own reading of the same chunks, in one thread and in as many as
    a render reads with; and bricks, read ahead by threads, checked and cut out of chunks."""


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
            _ZARR: timed(partial(_slice_zarr, store.path, chunks)),
            "the same chunks, one thread": timed(partial(_read_chunks, store, chunks, 1)),
            "the same chunks, reader threads": timed(
                partial(_read_chunks, store, chunks, n_threads)
            ),
            "bricks, as renders take them": timed(partial(_take_bricks, fetcher, n_bricks)),
        }
        times = take_turns(ways, rounds=rounds, say=lambda what: say(f"decoding: {what}"))
    return DecodeRates(n_bytes=n_bytes, ways=times)


def _slice_zarr(path: str, chunks: _Chunks) -> None:
    zipped = os.path.isfile(path)
    source = ZipStore(path, read_only=True) if zipped else LocalStore(path, read_only=True)
    group = zarr.open_group(source, mode="r")
    for spec, numbers in chunks:
        array = group[spec.name]
        assert isinstance(array, zarr.Array)
        rows = spec.chunk_shape[0]
        for number in numbers:
            array[number * rows : (number + 1) * rows]


def _read_chunks(store: SceneStore, chunks: _Chunks, n_threads: int) -> None:
    with ThreadPoolExecutor(n_threads) as pool:
        for spec, numbers in chunks:
            for _ in pool.map(partial(store.read_chunk, spec.name), numbers):
                pass


def _take_bricks(fetcher: BrickFetcher, n_bricks: int) -> None:
    fetcher.request(np.arange(n_bricks))
    for first in range(0, n_bricks, _BATCH_BRICKS):
        fetcher.take(np.arange(first, min(first + _BATCH_BRICKS, n_bricks)))


def decoding_rows(rates: DecodeRates | None) -> Iterator[Row]:
    """Bytes a second, and how much faster than Zarr's arrays."""
    if rates is None:
        return
    for name, timing in rates.ways.items():
        rate = format_bytes(round(rates.n_bytes / timing.median))
        yield Row("decoding rows", name, f"{rate}/s")
        if name != _ZARR:
            faster = ratio(rates.ways[_ZARR].median, timing.median)
            yield Row("decoding rows", f"  {name} / Zarr", faster)
