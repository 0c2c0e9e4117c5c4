"""How the bytes of a cache of chunks are divided: buffers, and reads that are under way at a time."""

from __future__ import annotations

from dataclasses import dataclass

from plenostream.errors import BudgetError
from plenostream.format.layout import ROW_ARRAYS
from plenostream.format.reader import SceneStore
from plenostream.rules.bytesize import format_bytes
from plenostream.stream.chunk_memory import buffer_bytes

__all__ = ["CacheRoom", "cache_room", "smallest_cache_bytes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRoom:
    """What a cache has room for."""

    buffer_bytes: int
    """Of a decoded chunk."""
    n_buffers: int
    """Decoded chunks."""
    stored_limit: int
    """The most bytes that a chunk takes where it is stored, and while it is read."""
    n_decoding: int
    """Chunks that are decoded at a time."""
    most_waiting: int
    """Reads that may wait for another machine meanwhile."""

    @property
    def n_parallel(self) -> int:
        """Chunks that are being read at a time, at most."""
        return self.n_decoding + self.most_waiting


def smallest_cache_bytes(store: SceneStore, *, n_held: int = 0) -> int:
    """The smallest cache that any brick of the scene can be read through, where up to `n_held` chunks stay
    held while others are waited for."""
    return max(n_held, 1) * _buffer_bytes(store) + _stored_limit(store)


def cache_room(store: SceneStore, *, cache_bytes: int, n_threads: int, n_held: int) -> CacheRoom:
    """What there is room for in `cache_bytes`, where up to `n_held` chunks stay held while others are waited
    for, and `n_threads` decode.

    Raises BudgetError where `cache_bytes` is too few for them.
    """
    smallest = smallest_cache_bytes(store, n_held=n_held)
    if cache_bytes < smallest:
        raise BudgetError(
            f"a chunk cache of {format_bytes(cache_bytes)} cannot hold what a brick of {store.path} "
            f"needs at a time; it takes at least {format_bytes(smallest)}",
            planned_bytes=smallest,
            allowed_bytes=cache_bytes,
            smallest_bytes=smallest,
        )
    n_bytes, stored_limit = _buffer_bytes(store), _stored_limit(store)
    # A small cache has room for fewer reads at a time than there are threads. Those that wait for
    # another machine take half of it at most, or what all chunks leave: the rest holds what has come.
    beside_held = cache_bytes - max(n_held, 1) * n_bytes
    room = min(cache_bytes // (n_bytes + stored_limit), beside_held // stored_limit)
    n_decoding = min(n_threads, room)
    # More than all chunks, since one that is held may have to be read anew.
    most = sum(store.specs[name].n_chunks for name in ROW_ARRAYS) + n_held
    left = (cache_bytes - most * n_bytes) // stored_limit - n_decoding
    half = (room - n_decoding) // 2
    most_waiting = min(store.source.most_at_once, max(left, half))
    reading = (n_decoding + most_waiting) * stored_limit
    return CacheRoom(
        buffer_bytes=n_bytes,
        n_buffers=min((cache_bytes - reading) // n_bytes, most),
        stored_limit=stored_limit,
        n_decoding=n_decoding,
        most_waiting=most_waiting,
    )


def _buffer_bytes(store: SceneStore) -> int:
    return buffer_bytes([store.specs[name].chunk_bytes for name in ROW_ARRAYS])


def _stored_limit(store: SceneStore) -> int:
    return max(store.arrays[name].reading_bytes for name in ROW_ARRAYS)
