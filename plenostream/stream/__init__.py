"""Reading ahead: worker threads, a bounded cache of decoded chunks, and bricks cut out of it."""

from __future__ import annotations

from plenostream.stream.cache_room import smallest_cache_bytes
from plenostream.stream.fetcher import BrickFetcher, BrickRows

__all__ = ["BrickFetcher", "BrickRows", "smallest_cache_bytes"]
