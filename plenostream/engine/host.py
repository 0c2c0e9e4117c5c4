"""Host memory that a render will take.

The plan and `ledger.HostLedger` count the same kinds: tables, what is in view, staging, work items
(those being made and those queued), the picture, and the cache of decoded chunks. Temporaries
inside NumPy calls are covered by the plan and not seen by the ledger; a test holds the plan against
all that NumPy allocates.
"""

from __future__ import annotations

from dataclasses import dataclass

from plenostream.engine.backdrop import backdrop_bytes
from plenostream.field.tiles import TILE_RAYS
from plenostream.format.layout import ROW_ARRAYS
from plenostream.format.reader import SceneStore
from plenostream.integrator.interface import HostCosts
from plenostream.plan import BOXES_AT_ONCE, PAIRS_AT_ONCE, BoxTable
from plenostream.plan.budget import HostNeeds, require_host
from plenostream.stream import smallest_cache_bytes
from plenostream.stream.texels import least_texel_bytes, most_texel_bytes

__all__ = ["HostPlan", "HostPlanner", "RaysAtOnce"]


_RAYS_AT_ONCE = 1 << 20
"""Arbitrary rays that are drawn together, at most."""
_LEAST_PAIRS = 131_072
"""Pairs that are drawn together at least: each lot of them goes through the whole scene."""
_SHARE = 4
"""Part of what is left that goes to the rays drawn together, and to their pairs with boxes."""

# Bytes for each of ..., at the worst moment, temporaries included.
_PIXEL, _PIXEL_COLUMN = 40, 8
"""... pixel: the picture, and the arrays that are cut from it; and each column of AOVs."""
_TILED_RAY, _TILED_COLUMN = 40, 16
"""... ray of a band on its way into the picture; and each column of AOVs."""
_WORLD_RAY, _WORLD_COLUMN = 280, 8
"""... place for an arbitrary ray: float64 origin and direction twice, sort keys, values; and each
column of AOVs."""
_CALLERS_RAY, _CALLERS_COLUMN = 96, 24
"""... arbitrary ray of a whole call: as float64, and its results; and each column of AOVs."""
_BRICK = 96
"""... brick: where it is in the pool, and its turn."""
_CHUNK = 48
"""... chunk of rows: what the cache knows of it, and where it is held."""
_BOX = 200
"""... box, or brick where rays find boxes by themselves: its rectangle, sorted, and what is looked up
by it."""
_PROJECTED_BOX = 900
"""... box being projected: eight corners in float64 and what becomes of them."""
_PAIR = 160
"""... pair of a packet and a box."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPlan:
    """Host memory for one kind of picture."""

    needs: HostNeeds
    cache_bytes: int
    """Bytes of the cache of decoded chunks."""
    background_bytes: int = 0
    """Bytes of the texels of background layers; `needs` has the fewest that work."""
    more_background: int = 0
    """How many of these go beyond the fewest."""

    @property
    def planned_bytes(self) -> int:
        """All of it."""
        return self.needs.fixed_bytes + self.more_background + self.cache_bytes

    @property
    def items(self) -> dict[str, int]:
        """Bytes by what they are for."""
        items = {
            "tables": self.needs.tables,
            "view": self.needs.view,
            "staging": self.needs.staging,
            "work items": self.needs.items,
            "picture": self.needs.image,
            "background layers": self.needs.background + self.more_background,
            "chunk cache": self.cache_bytes,
        }
        return {name: size for name, size in items.items() if size or name != "background layers"}


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
        costs: HostCosts,
        *,
        buffer_bytes: int,
        n_held: int,
        n_threads: int,
        allowed_bytes: int,
        n_aovs: int = 0,
        back_ray_bytes: int = 0,
    ) -> None:
        """Take the `buffer_bytes` of the rooms that bricks lie in on their way, the chunks that are held at
        a time, the columns of AOVs, and what a ray that goes back takes besides."""
        self.allowed_bytes = allowed_bytes
        self._pixel = _PIXEL + n_aovs * _PIXEL_COLUMN
        self._tiled_ray = _TILED_RAY + n_aovs * _TILED_COLUMN + back_ray_bytes
        self._world_ray = _WORLD_RAY + n_aovs * _WORLD_COLUMN + back_ray_bytes
        self._callers_ray = _CALLERS_RAY + n_aovs * _CALLERS_COLUMN
        self._buffer_bytes = buffer_bytes
        self._costs = costs
        self._n_boxes = len(table.brick)
        # Rays that find their own way need none of the boxes.
        self._n_seen = self._n_boxes if costs.pair_bytes else len(store.tables.index)
        self._tables = store.table_bytes + table.nbytes + len(store.tables.index) * _BRICK
        learned, background = store.root.meta.learned, store.root.meta.background
        self._tables += learned.nbytes if learned else 0
        self._texels = (0, 0)
        self._background = 0
        if background:
            self._texels = least_texel_bytes(store.root), most_texel_bytes(store.root)
            self._background = self._texels[0] + backdrop_bytes(n_threads)
        self._least_cache = smallest_cache_bytes(store, n_held=n_held)
        chunks = sum(store.specs[name].n_chunks for name in ROW_ARRAYS)
        self._tables += chunks * _CHUNK
        # More than this is never used: all chunks, those that are held while they are read anew, and each
        # thread reading one.
        self._most_cache = max(chunks + n_held, n_threads) * smallest_cache_bytes(store)

    def picture(self, n_pixels: int, tiles: int) -> HostPlan:
        """A picture, drawn in bands of `tiles` tiles.

        Raises BudgetError where that is more than is allowed.
        """
        needs = self._needs(
            view=self._n_seen * _BOX + min(self._n_seen, BOXES_AT_ONCE) * _PROJECTED_BOX,
            image=n_pixels * self._pixel + tiles * TILE_RAYS * self._tiled_ray,
            most_pairs=PAIRS_AT_ONCE + tiles,
            part_image=self._part_image(tiles, self._tiled_ray),
        )
        return self._plan(needs)

    def rays_at_once(self, n: int, *, least_tiles: int) -> RaysAtOnce:
        """How many of `n` arbitrary rays may be drawn together: `least_tiles` at least, and more
        where memory allows."""
        least = RaysAtOnce(tiles=least_tiles, pairs=max(_LEAST_PAIRS, self._costs.most_boxes))
        needs = self._rays_needs(n, least)
        spare = max(0, self.allowed_bytes - needs.fixed_bytes - self._least_cache) // _SHARE
        tiles = least.tiles + spare // (TILE_RAYS * self._world_ray)
        return RaysAtOnce(
            tiles=max(least.tiles, min(tiles, _RAYS_AT_ONCE // TILE_RAYS)),
            pairs=least.pairs + spare // _PAIR,
        )

    def rays(self, n: int, at_once: RaysAtOnce) -> HostPlan:
        """`n` arbitrary rays. Raises BudgetError where that is more than is allowed."""
        return self._plan(self._rays_needs(n, at_once))

    def _rays_needs(self, n: int, at_once: RaysAtOnce) -> HostNeeds:
        pairs = min(at_once.pairs, at_once.tiles * self._costs.most_boxes)
        return self._needs(
            view=self._n_boxes * 16 + pairs * _PAIR + self._costs.packet_bytes,
            image=n * self._callers_ray + at_once.tiles * TILE_RAYS * self._world_ray,
            most_pairs=PAIRS_AT_ONCE,
            part_image=self._part_image(at_once.tiles, self._world_ray),
        )

    def _part_image(self, tiles: int, ray_bytes: int) -> int:
        """Bytes of rays that each part adds: a step of tiles, where there is no more than that."""
        least, n_parts = self._costs.least_tiles, self._costs.n_parts
        return least // n_parts * TILE_RAYS * ray_bytes if tiles <= least else 0

    def _needs(self, *, view: int, image: int, most_pairs: int, part_image: int) -> HostNeeds:
        costs = self._costs
        return HostNeeds(
            tables=self._tables + costs.kept_bytes,
            view=view,
            staging=self._buffer_bytes + costs.staging_bytes,
            items=most_pairs * costs.pair_bytes + costs.queue_bytes,
            image=image,
            background=self._background,
            least_cache=self._least_cache,
            n_parts=costs.n_parts,
            part_bytes=costs.queue_bytes // costs.n_parts + part_image,
        )

    def _plan(self, needs: HostNeeds) -> HostPlan:
        left = require_host(needs, self.allowed_bytes)
        least, most = self._texels
        # Half of what is left for both goes to texels, and what the cache has no use for.
        spare = left - self._least_cache
        share = max(spare // 2, spare - (self._most_cache - self._least_cache))
        more = min(most - least, share)
        return HostPlan(
            needs=needs,
            cache_bytes=min(left - more, self._most_cache),
            background_bytes=least + more,
            more_background=more,
        )
