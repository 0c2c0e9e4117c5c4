"""Host memory of a render: what it will take, and what it took.

Both count the same kinds: tables, what is in view, staging, work items (those being made and those
queued), the picture, and the cache of decoded chunks. Temporaries inside NumPy calls are covered
by the plan and not seen by the ledger; a test holds the plan against all that NumPy allocates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plenostream.format.reader import SceneStore
from plenostream.integrator.xla.kernels.geometry import TILE_RAYS
from plenostream.integrator.xla.kernels.state import PAGE_ROWS, KernelShape
from plenostream.integrator.xla.pool import upload_bytes
from plenostream.integrator.xla.programs import (
    BATCH_BRICKS,
    BATCH_PAGES,
    CALL_BLOCKS,
    CALL_ITEMS,
    TILE_STEP,
    WALK_TILES,
)
from plenostream.plan import BOXES_AT_ONCE, ITEMS_AT_ONCE, BoxTable, walk_size
from plenostream.plan.budget import HostNeeds, require_host
from plenostream.stream import smallest_cache_bytes

__all__ = ["QUEUED_CALLS", "STAGED_ROWS", "HostLedger", "HostPlan", "HostPlanner", "RaysAtOnce"]

QUEUED_CALLS = 4
"""Calls of the integrator that wait for their turn, per part."""
STAGED_ROWS = 2 * BATCH_PAGES * PAGE_ROWS - BATCH_BRICKS * PAGE_ROWS
"""Rows that are packed for upload together, at most, unless a single brick has more: with the pages
that are not full, two batches of pages."""

_MOST_AHEAD = 8
"""Batches that are packed while the wave before is drawn, at most."""
_RAYS_AT_ONCE = 1 << 20
"""Arbitrary rays that are drawn together, at most."""
_LEAST_PAIRS = 131_072
"""Pairs that are drawn together at least: each lot of them goes through the whole scene."""
_SHARE = 4
"""Part of what is left that goes to the rays drawn together, and to their pairs with boxes."""

# Bytes for each of ..., at the worst moment, temporaries included.
_PIXEL = 40
"""... pixel: the picture, and the arrays that are cut from it."""
_TILED_RAY = 40
"""... ray of a band on its way into the picture."""
_WORLD_RAY = 280
"""... place for an arbitrary ray: float64 origin and direction twice, sort keys, values."""
_CALLERS_RAY = 96
"""... arbitrary ray of a whole call: as float64, and its results."""
_BRICK = 96
"""... brick: where it is in the pool, and its turn."""
_BOX = 200
"""... box: its rectangle, sorted, and what is looked up by it."""
_PROJECTED_BOX = 900
"""... box being projected: eight corners in float64 and what becomes of them."""
_PAIR = 160
"""... pair of a packet and a box."""
_ITEM = 176
"""... work item while it is made and packed."""
_STAGED_ROW = 48
"""... row being packed: its places, beside the values."""
_WALKED = 20
"""... block that a ray may have passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPlan:
    """Host memory for one kind of picture."""

    needs: HostNeeds
    cache_bytes: int
    """Bytes of the cache of decoded chunks."""
    n_ahead: int
    """Batches that may be packed before the pool is ready for them, beside the one at hand."""
    ahead_bytes: int
    """Bytes of those."""

    @property
    def planned_bytes(self) -> int:
        """All of it."""
        return self.needs.fixed_bytes + self.ahead_bytes + self.cache_bytes

    @property
    def items(self) -> dict[str, int]:
        """Bytes by what they are for."""
        return {
            "tables": self.needs.tables,
            "view": self.needs.view,
            "staging": self.needs.staging + self.ahead_bytes,
            "work items": self.needs.items,
            "picture": self.needs.image,
            "chunk cache": self.cache_bytes,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RaysAtOnce:
    """What is drawn together of many arbitrary rays."""

    tiles: int
    """Packets of 64 rays."""
    pairs: int
    """Pairs of a packet and a box, unless a single packet has more."""


class HostPlanner:
    """Knows the scene's counts and the allowance."""

    def __init__(
        self,
        store: SceneStore,
        table: BoxTable,
        shape: KernelShape,
        *,
        itemsize: int,
        n_parts: int,
        n_threads: int,
        allowed_bytes: int,
    ) -> None:
        self.allowed_bytes = allowed_bytes
        self._n_parts = n_parts
        self._n_boxes = len(table.brick)
        self._n_bricks = store.meta.n_bricks
        self._tables = store.tables.nbytes + table.nbytes + self._n_bricks * _BRICK
        self._walk_steps = walk_size(store.meta.bricks)[1]
        self._least_cache = smallest_cache_bytes(store)
        # More than this is never used: all chunks, and each thread reading one.
        chunks = sum(store.specs[name].n_chunks for name in ("rows/density", "rows/sh"))
        self._most_cache = max(chunks, n_threads) * self._least_cache
        self._packed, self._staging = _staging_bytes(store, shape, itemsize)
        call = (CALL_ITEMS + shape.items) * 16 + CALL_BLOCKS * 8
        # Beside those that wait: the ones that are ready for the next wave.
        per_part = -(-2 * ITEMS_AT_ONCE // (n_parts * CALL_ITEMS)) + 1
        self._queued = n_parts * ((QUEUED_CALLS + per_part) * call + CALL_BLOCKS * 8)

    def picture(self, n_pixels: int, tiles: int) -> HostPlan:
        """A picture, drawn in bands of `tiles` tiles.

        Raises BudgetError where that is more than is allowed.
        """
        needs = self._needs(
            view=self._n_boxes * _BOX + min(self._n_boxes, BOXES_AT_ONCE) * _PROJECTED_BOX,
            image=n_pixels * _PIXEL + tiles * TILE_RAYS * _TILED_RAY,
            most_items=ITEMS_AT_ONCE + tiles,
            part_image=self._part_image(tiles, _TILED_RAY),
        )
        return self._plan(needs)

    def rays_at_once(self, n: int, *, least_tiles: int) -> RaysAtOnce:
        """How many of `n` arbitrary rays may be drawn together: `least_tiles` at least, and more
        where memory allows."""
        least = RaysAtOnce(tiles=least_tiles, pairs=max(_LEAST_PAIRS, self._most_pairs))
        needs = self._rays_needs(n, least)
        spare = max(0, self.allowed_bytes - needs.fixed_bytes - self._least_cache) // _SHARE
        tiles = least.tiles + spare // (TILE_RAYS * _WORLD_RAY)
        return RaysAtOnce(
            tiles=max(least.tiles, min(tiles, _RAYS_AT_ONCE // TILE_RAYS)),
            pairs=least.pairs + spare // _PAIR,
        )

    def rays(self, n: int, at_once: RaysAtOnce) -> HostPlan:
        """`n` arbitrary rays. Raises BudgetError where that is more than is allowed."""
        return self._plan(self._rays_needs(n, at_once))

    def _rays_needs(self, n: int, at_once: RaysAtOnce) -> HostNeeds:
        pairs = min(at_once.pairs, at_once.tiles * self._most_pairs)
        entries = WALK_TILES * TILE_RAYS * min(self._walk_steps, max(self._n_boxes, 1))
        return self._needs(
            view=self._n_boxes * 16 + pairs * _PAIR + self._n_parts * entries * _WALKED,
            image=n * _CALLERS_RAY + at_once.tiles * TILE_RAYS * _WORLD_RAY,
            most_items=ITEMS_AT_ONCE,
            part_image=self._part_image(at_once.tiles, _WORLD_RAY),
        )

    @property
    def _most_pairs(self) -> int:
        """Boxes that a packet can meet at most."""
        return min(TILE_RAYS * self._walk_steps, self._n_boxes)

    def _part_image(self, tiles: int, ray_bytes: int) -> int:
        """Bytes of rays that each part adds: a step of tiles, where there is no more than that."""
        least = tiles <= TILE_STEP * self._n_parts
        return TILE_STEP * TILE_RAYS * ray_bytes if least else 0

    def _needs(self, *, view: int, image: int, most_items: int, part_image: int) -> HostNeeds:
        return HostNeeds(
            tables=self._tables,
            view=view,
            staging=self._staging,
            items=most_items * _ITEM + self._queued,
            image=image,
            least_cache=self._least_cache,
            n_parts=self._n_parts,
            part_bytes=self._queued // self._n_parts + part_image,
        )

    def _plan(self, needs: HostNeeds) -> HostPlan:
        left = require_host(needs, self.allowed_bytes)
        spare = (left - self._least_cache) // _SHARE
        n_ahead = min(_MOST_AHEAD, spare // self._packed)
        ahead_bytes = n_ahead * self._packed
        return HostPlan(
            needs=needs,
            cache_bytes=min(left - ahead_bytes, self._most_cache),
            n_ahead=n_ahead,
            ahead_bytes=ahead_bytes,
        )


def _staging_bytes(store: SceneStore, shape: KernelShape, itemsize: int) -> tuple[int, int]:
    """Bytes of a packed batch; and of the rows that it is packed from, the batch itself, and the one
    before, which may still be on its way up."""
    columns = 3 * shape.basis_dim
    counts = np.diff(store.tables.row_start)[store.tables.occupied]
    most_rows = min(max(STAGED_ROWS, int(counts.max(initial=0))), int(counts.sum()))
    # Each brick of a batch may leave a page that is not full.
    most_pages = -(-most_rows // PAGE_ROWS) + BATCH_BRICKS
    bricks, pages = upload_bytes(shape.voxels, columns, itemsize)
    packed = bricks + -(-most_pages // BATCH_PAGES) * pages
    taken = most_rows * (4 + columns * np.dtype(store.meta.sh_dtype).itemsize + _STAGED_ROW)
    return packed, 2 * packed + taken + BATCH_BRICKS * shape.voxels * 2


class HostLedger:
    """The largest bytes of each kind while something is drawn."""

    def __init__(self) -> None:
        self._peaks: dict[str, int] = {}

    def note(self, kind: str, n_bytes: int) -> None:
        """So much is in use now."""
        self._peaks[kind] = max(self._peaks.get(kind, 0), n_bytes)

    @property
    def peak_bytes(self) -> int:
        """The peaks of all kinds together: at least what was in use at any one time."""
        return sum(self._peaks.values())
