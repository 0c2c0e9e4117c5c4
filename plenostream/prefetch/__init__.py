"""Reading ahead: worker threads, a bounded cache of decoded chunks, and bricks cut out of it."""

from __future__ import annotations

from plenostream.prefetch.bricks import BrickFetcher, BrickRows
from plenostream.prefetch.chunks import smallest_cache_bytes

__all__ = ["BrickFetcher", "BrickRows", "smallest_cache_bytes"]
