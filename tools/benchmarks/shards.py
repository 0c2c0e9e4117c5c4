"""Whether shards would bring a scene from afar sooner than a file for each chunk.

Bytes alone are fetched, nothing is decoded: what differs is how many requests there are, how many bytes
each has, and how many are under way.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import obstore
import zarr

from benchmarks.far_away import far_away
from benchmarks.table import Row, spread
from benchmarks.timing import Say, Timing
from plenostream.format.layout import ROW_ARRAYS
from plenostream.testing.distance import Distance

__all__ = ["measure_shards", "shard_rows"]

_PER_SHARD = (16, 64)
_AT_ONCE = (16, 64)
_MOST_JOINED = 2 << 20
"""Bytes of neighbours in a shard that are asked for in one request."""
_DENSITY_SHARE = 8
"""Chunks of densities have as many times the rows of those of colours."""

Part = tuple[str, int | None, int | None]
"""Key, first byte and end; None: all of it."""


class Fetched(NamedTuple):
    """All rows of a scene, fetched in one way."""

    timing: Timing
    n_requests: int


def measure_shards(
    place: str, *, latencies_ms: Sequence[float], rate: float, rounds: int, say: Say
) -> dict[str, dict[str, Fetched]]:
    """Fetch all rows of the scene in the folder `place` from a server that is so far away, by latency and
    way: as they lie, and as a copy with shards whose neighbouring chunks are joined into one request."""
    with tempfile.TemporaryDirectory(prefix="plenostream-shards-") as work:
        copies = {0: Path(place)}
        for per_shard in _PER_SHARD:
            say(f"writing shards of {per_shard} chunks")
            copies[per_shard] = _sharded(Path(place), Path(work) / str(per_shard), per_shard)
        return {
            f"{latency:g} ms": _at_distance(copies, Distance(latency / 1e3, rate), rounds, say)
            for latency in latencies_ms
        }


def _at_distance(
    copies: dict[int, Path], distance: Distance, rounds: int, say: Say
) -> dict[str, Fetched]:
    times: dict[str, list[float]] = {}
    counts: dict[str, int] = {}
    for number in range(rounds):
        say(f"{distance.latency_s * 1e3:g} ms: round {number + 1} of {rounds}")
        for per_shard, folder in copies.items():
            for at_once in _AT_ONCE:
                lie = f"shards of {per_shard}" if per_shard else "a file each"
                name = f"{lie}, {at_once} at once"
                # A server of its own: connections that are open already would be an advantage.
                with far_away(str(folder), distance) as (url, requests):
                    times.setdefault(name, []).append(_fetch(url, folder, per_shard, at_once))
                    counts[name] = requests()
    return {
        name: Fetched(Timing(seconds=tuple(seconds)), counts[name])
        for name, seconds in times.items()
    }


def _sharded(scene: Path, copy: Path, per_shard: int) -> Path:
    """A copy of a scene whose rows lie in shards of so many chunks of colours."""
    shutil.copytree(scene, copy)
    for name in ROW_ARRAYS:
        array = zarr.open_array(scene / name, mode="r")
        rows = array.chunks[0] * _chunks_per_shard(name, per_shard)
        shutil.rmtree(copy / name)
        new = zarr.create_array(
            copy / name,
            shape=array.shape,
            dtype=array.dtype,
            chunks=array.chunks,
            shards=(rows, *array.chunks[1:]),
            filters=None,
            compressors=array.compressors,
            fill_value=array.fill_value,
            config={"write_empty_chunks": True},
        )
        for first in range(0, array.shape[0], rows):
            new[first : first + rows] = array[first : first + rows]
    return copy


def _chunks_per_shard(name: str, per_shard: int) -> int:
    return per_shard if name == "rows/sh" else max(1, per_shard // _DENSITY_SHARE)


def _fetch(url: str, folder: Path, per_shard: int, at_once: int) -> float:
    """Seconds that all rows take."""
    keys = sorted(
        path.relative_to(folder).as_posix()
        for name in ROW_ARRAYS
        for path in (folder / name / "c").rglob("*")
        if path.is_file()
    )
    store = obstore.store.from_url(url, client_options={"allow_http": True})

    def get(part: Part) -> bytes:
        key, first, end = part
        asked: Any = {} if end is None else {"range": (first or 0, end)}
        return bytes(obstore.get(store, key, options=asked).bytes())

    began = time.perf_counter()
    with ThreadPoolExecutor(at_once) as threads:
        parts: list[Part] = [(key, None, None) for key in keys]
        if per_shard:
            indices = threads.map(lambda key: _index(store, key, per_shard), keys)
            parts = [
                part
                for key, index in zip(keys, indices, strict=True)
                for part in _joined(key, index)
            ]
        for _ in threads.map(get, parts):
            pass
    return time.perf_counter() - began


def _index(store: Any, key: str, per_shard: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Where the chunks of a shard lie and how long they are, [k, 2], in the order of their bytes."""
    n = _chunks_per_shard(key.partition("/c/")[0], per_shard)
    asked: Any = {"range": {"suffix": 16 * n + 4}}
    stored = bytes(obstore.get(store, key, options=asked).bytes())
    index = np.frombuffer(stored[:-4], np.int64).reshape(n, 2)
    index = index[index[:, 0] >= 0]
    return index[np.argsort(index[:, 0])]


def _joined(key: str, index: np.ndarray[Any, np.dtype[np.int64]]) -> Iterator[Part]:
    """Ranges of chunks that lie side by side."""
    first = end = int(index[0, 0])
    for offset, length in index.tolist():
        if offset != end or offset + length - first > _MOST_JOINED:
            yield key, first, end
            first = offset
        end = offset + length
    yield key, first, end


def shard_rows(found: dict[str, dict[str, Fetched]]) -> Iterator[Row]:
    """The figures, by latency."""
    for latency, ways in found.items():
        for name, fetched in ways.items():
            yield Row(latency, name, f"{spread(fetched.timing)}, {fetched.n_requests} requests")
