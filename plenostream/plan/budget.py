"""The budget: what a render will take on the device and on the host, before anything is allocated.

Pure arithmetic on counts. `divide_device` turns an allowance into sizes of pool and ray state;
`RenderPlan` is the promise that comes out of it: measured <= planned <= allowed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from plenostream.errors import BudgetError
from plenostream.rules.bytesize import format_bytes, format_least_bytes

__all__ = [
    "DeviceDivision",
    "DeviceNeeds",
    "HostNeeds",
    "RenderPlan",
    "divide_device",
    "require_host",
    "round_up_budget",
]

_ROUND = 100_000
_LEAST_SLOTS = 32
_LEAST_PAGES = 2048
_LOTS = 3
"""Parts of a picture that there is room for the rays of."""
_FINENESS = 32
"""Pools of whole scenes have slots and pages in numbers of the form m 2^e, m < 64, and at least
these, where memory allows: programs are compiled for pools, and scenes of similar size share them."""


def round_up_budget(n_bytes: int) -> int:
    """A budget of at least `n_bytes`, in steps of 0.1 MB, so that it can be said and typed."""
    return -(-n_bytes // _ROUND) * _ROUND


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceNeeds:
    """What takes device memory, as counts and bytes apiece."""

    slot_bytes: int
    """A brick's densities, row numbers and origin."""
    page_bytes: int
    """A page of colour rows."""
    tile_bytes: int
    """State, constants and output of a tile of 64 rays."""
    fixed_bytes: int
    """Kernel temporaries, uploads and items in flight, scalars and tables."""
    n_bricks: int
    """Occupied bricks of the scene."""
    n_pages: int
    """Pages that all of them take."""
    largest_pages: int
    """Pages of the brick with the most rows."""
    tile_rows: int
    """Rows of tiles of the picture: what it can be cut into."""
    tile_columns: int
    """Tiles in a row."""
    n_parts: int
    """Parts that the tiles are dealt to."""
    tile_step: int
    """Tiles of a part come in multiples of this."""
    part_bytes: int = 0
    """Of the fixed bytes, those that each part takes for itself."""
    least_lot: int = 1 << 30
    """Tiles that are drawn together where there is room, at least."""
    any_pool: bool = False
    """Whether pools of all sizes are as good."""
    resident: bool = False
    """Whether the pool has to hold the whole scene."""
    most_slots: int = 1 << 31
    """Bricks that a pool can have: places in it are counted with 32 bits."""
    most_pages: int = 1 << 31
    """Pages that it can have, likewise."""

    def pool_bytes(self, n_slots: int, n_pages: int) -> int:
        """A pool of these sizes; page 0, the row of zeros, is one of the pages."""
        return n_slots * self.slot_bytes + n_pages * self.page_bytes

    @property
    def whole_pool_bytes(self) -> int:
        """A pool that holds the whole scene."""
        return self.pool_bytes(max(self.n_bricks, 1), self.n_pages + 1)

    @property
    def least_pool_bytes(self) -> int:
        """A pool that holds the largest brick, or all of them where they are to be resident."""
        if self.resident:
            return self.whole_pool_bytes
        return self.pool_bytes(1, self.largest_pages + 1)

    def tiles_per_part(self, rows: int) -> int:
        """Tiles of each part when `rows` rows of tiles are drawn together."""
        tiles = -(-rows * self.tile_columns // self.n_parts)
        return -(-tiles // self.tile_step) * self.tile_step

    @property
    def enough_rows(self) -> int:
        """Rows of tiles that there need not be more room for: a part of the picture, since most pictures
        show something in a part of their tiles only, and others are drawn in as many bands."""
        tiles = max(self.tile_rows * self.tile_columns // _LOTS, self.least_lot)
        return min(self.tile_rows, -(-tiles // max(self.tile_columns, 1)))

    def rays_bytes(self, rows: int) -> int:
        """Everything that is kept per ray."""
        return self.tiles_per_part(rows) * self.n_parts * self.tile_bytes

    @property
    def least_bytes(self) -> int:
        """The smallest allowance that works: one row of tiles, and the smallest pool."""
        return self.fixed_bytes + self.rays_bytes(1) + self.least_pool_bytes

    @property
    def smallest_bytes(self) -> int:
        """The same as a budget that is said and typed; one byte less is refused."""
        return round_up_budget(self.least_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDivision:
    """How the allowance is divided."""

    n_slots: int
    """Bricks that the pool holds."""
    n_pages: int
    """Pages of colour rows that the pool holds, page 0 included."""
    band_rows: int
    """Rows of tiles of the picture whose rays there is room for."""


def divide_device(
    needs: DeviceNeeds, allowed_bytes: int, *, pool: tuple[int, int] | None = None
) -> DeviceDivision:
    """Sizes of the pool and of the bands of the picture that fit `allowed_bytes`.

    There is room for the rays of as many rows of tiles as are enough (`DeviceNeeds.enough_rows`) while
    that leaves the pool the whole scene, or half of the allowance; else for the largest part of them
    that does. Where a `pool` of (slots, pages) exists already, it stays as it is if there is a way.

    Raises
    ------
    BudgetError : not even one row of tiles and the smallest pool fit.
    """
    if needs.smallest_bytes > allowed_bytes:
        raise _too_small(needs, allowed_bytes)
    rest = allowed_bytes - needs.fixed_bytes
    if pool is not None:
        held = needs.pool_bytes(*pool)
        if rest - needs.rays_bytes(1) >= held:
            band_rows = _band_rows(needs, rest - held)
            return DeviceDivision(n_slots=pool[0], n_pages=pool[1], band_rows=band_rows)
    pool_bytes = min(needs.whole_pool_bytes, max(allowed_bytes // 2, needs.least_pool_bytes))
    band_rows = _band_rows(needs, rest - pool_bytes)
    n_slots, n_pages = _pool_sizes(needs, rest - needs.rays_bytes(band_rows))
    return DeviceDivision(n_slots=n_slots, n_pages=n_pages, band_rows=band_rows)


def _band_rows(needs: DeviceNeeds, rays_bytes: int) -> int:
    """Enough rows of tiles, or the largest part of them whose rays take `rays_bytes`, or no more than
    one row does.

    Tiles come in steps, so some rows more may take nothing more.
    """
    most = max(rays_bytes, needs.rays_bytes(1))
    bands = 1
    while needs.rays_bytes(math.ceil(needs.enough_rows / bands)) > most:
        bands += 1
    return math.ceil(needs.enough_rows / bands)


def _pool_sizes(needs: DeviceNeeds, pool_bytes: int) -> tuple[int, int]:
    """Slots and pages for `pool_bytes`, in the proportion of the scene's average brick."""
    most = needs.most_slots, needs.most_pages
    exact = max(needs.n_bricks, 1), needs.n_pages + 1
    if pool_bytes >= needs.whole_pool_bytes and exact[0] <= most[0] and exact[1] <= most[1]:
        if needs.any_pool:
            return exact
        shared = _round_up(exact[0], _LEAST_SLOTS), _round_up(exact[1], _LEAST_PAGES)
        shared = min(shared[0], most[0]), min(shared[1], most[1])
        return shared if needs.pool_bytes(*shared) <= pool_bytes else exact
    least_pages = needs.largest_pages + 1
    average = needs.slot_bytes + needs.n_pages / max(needs.n_bricks, 1) * needs.page_bytes
    most_slots = (pool_bytes - least_pages * needs.page_bytes) // needs.slot_bytes
    n_slots = max(1, min(needs.n_bricks, most_slots, int(pool_bytes / average), most[0]))
    n_pages = (pool_bytes - n_slots * needs.slot_bytes) // needs.page_bytes
    return n_slots, min(n_pages, needs.n_pages + 1, most[1])


def _round_up(n: int, least: int) -> int:
    """`n` or a little more, see `_FINENESS`."""
    unit = 1 << max(0, (n // _FINENESS).bit_length() - 1)
    return max(-(-n // unit) * unit, least)


def _fewer_threads(n_threads: int, thread_bytes: int, excess_bytes: int) -> list[str]:
    """The remedy of fewer threads, where it frees enough."""
    # Rounded budgets: what is freed has to make up for a step of theirs too.
    fewer = -(-(excess_bytes + _ROUND) // thread_bytes) if thread_bytes else n_threads
    left = n_threads - fewer
    said = "1 thread" if left == 1 else f"{left} threads or fewer"
    return [f"use {said} (n_threads, --threads)"] if left > 0 else []


def _remedies(remedies: list[str]) -> str:
    """What to try beside allowing more: what frees enough by itself, and nothing that does not."""
    return "".join(f", or {remedy}" for remedy in remedies)


def _too_small(needs: DeviceNeeds, allowed_bytes: int) -> BudgetError:
    smallest = needs.smallest_bytes
    # At least, each part has a step of tiles, however narrow the picture is.
    least_tiles = needs.n_parts * needs.tile_step
    excess = smallest - allowed_bytes
    remedies = _fewer_threads(
        needs.n_parts, needs.part_bytes + needs.tile_step * needs.tile_bytes, excess
    )
    if needs.rays_bytes(1) - least_tiles * needs.tile_bytes >= excess + _ROUND:
        remedies.append("make the picture narrower")
    if needs.least_pool_bytes > excess and not needs.resident:
        remedies.append("convert the model with a smaller --brick-size")
    held = "all bricks, which are to stay there" if needs.resident else "the largest brick"
    return BudgetError(
        f"the device memory allowed, {format_bytes(allowed_bytes)}, is too small: this render "
        f"needs at least {format_least_bytes(smallest)} ({format_bytes(needs.fixed_bytes)} for kernels and "
        f"transfers, {format_bytes(needs.rays_bytes(1))} for one row of tiles, "
        f"{format_bytes(needs.least_pool_bytes)} for {held}). Allow that much"
        f"{_remedies(remedies)}.",
        planned_bytes=smallest,
        allowed_bytes=allowed_bytes,
        smallest_bytes=smallest,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNeeds:
    """What takes host memory that the budget bounds, in bytes."""

    tables: int
    """The scene's tables and boxes."""
    view: int
    """What rays see: boxes and where on the screen, or pairs of packets and boxes."""
    staging: int
    """Bricks being packed and copied up, and the rows they are packed from."""
    items: int
    """Work items being made."""
    image: int
    """The finished picture and the rays it is assembled from."""
    least_cache: int
    """Decoded chunks without which no brick can be read."""
    background: int = 0
    """Background layers, and what drawing them takes."""
    n_parts: int = 1
    """Threads that draw."""
    part_bytes: int = 0
    """Of all this, what each of them takes for itself."""

    @property
    def fixed_bytes(self) -> int:
        """All but the cache."""
        others = self.staging + self.items + self.image + self.background
        return self.tables + self.view + others

    @property
    def smallest_bytes(self) -> int:
        """The smallest allowance that works, as it is said and typed; a byte less is refused."""
        return round_up_budget(self.fixed_bytes + self.least_cache)


def _if_any(n_bytes: int, what: str) -> str:
    """An item of a list that ends in a comma, nothing where it takes nothing."""
    return f"{format_bytes(n_bytes)} {what}, " if n_bytes else ""


def require_host(needs: HostNeeds, allowed_bytes: int) -> int:
    """Bytes left for the cache of decoded chunks, `needs.least_cache` or more.

    Raises
    ------
    BudgetError : less than what reading a brick takes is left.
    """
    smallest = needs.smallest_bytes
    if smallest > allowed_bytes:
        excess = smallest - allowed_bytes
        remedies = _fewer_threads(needs.n_parts, needs.part_bytes, excess)
        if needs.image > excess + _ROUND:
            remedies.append("make the picture smaller")
        raise BudgetError(
            f"the host memory allowed, {format_bytes(allowed_bytes)}, is too small: this render "
            f"needs at least {format_least_bytes(smallest)} ({format_bytes(needs.tables)} for the scene's "
            f"tables, {format_bytes(needs.view)} for what is in view, "
            f"{format_bytes(needs.staging)} for staging, {format_bytes(needs.items)} for work "
            f"items, {format_bytes(needs.image)} for the picture, "
            f"{_if_any(needs.background, 'for background layers')}"
            f"{format_bytes(needs.least_cache)} to read bricks). Allow that much"
            f"{_remedies(remedies)}.",
            planned_bytes=smallest,
            allowed_bytes=allowed_bytes,
            smallest_bytes=smallest,
        )
    return allowed_bytes - needs.fixed_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderPlan:
    """What a picture will take: upper bounds on what is then measured."""

    device_items: dict[str, int]
    """Device bytes by what they are for."""
    host_items: dict[str, int]
    """Host bytes by what they are for."""
    allowed_device_bytes: int
    allowed_host_bytes: int
    smallest_budget_bytes: int
    """The smallest device memory with which this picture can be rendered."""
    smallest_host_bytes: int
    """The smallest host memory with which it can be rendered so."""
    working_set_bytes: int
    """Pool bytes of all the bricks in view; with less pool than this, bricks are streamed."""
    n_slots: int
    """Bricks that the pool holds."""
    n_bands: int
    """Parts that the picture is drawn in, one after another."""
    bricks_visible: int
    """Occupied bricks in view."""
    waves: int
    """Waves of all bands, before anything is found to be hidden."""

    @property
    def planned_device_bytes(self) -> int:
        """All device items together."""
        return sum(self.device_items.values())

    @property
    def planned_host_bytes(self) -> int:
        """All host items together."""
        return sum(self.host_items.values())

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return {
            "planned_device_bytes": self.planned_device_bytes,
            "allowed_device_bytes": self.allowed_device_bytes,
            "smallest_budget_bytes": self.smallest_budget_bytes,
            "working_set_bytes": self.working_set_bytes,
            "planned_host_bytes": self.planned_host_bytes,
            "allowed_host_bytes": self.allowed_host_bytes,
            "smallest_host_bytes": self.smallest_host_bytes,
            "bricks_visible": self.bricks_visible,
            "pool_slots": self.n_slots,
            "bands": self.n_bands,
            "waves": self.waves,
            "items": {"device": dict(self.device_items), "host": dict(self.host_items)},
        }

    def lines(self) -> list[str]:
        """The plan as text, a line each."""
        rows = [
            f"device: {format_bytes(self.planned_device_bytes)} of "
            f"{format_bytes(self.allowed_device_bytes)} allowed"
        ]
        rows += [
            f"  {name:<28}{format_bytes(size):>10}"
            for name, size in self.device_items.items()
            if size
        ]
        rows.append(
            f"host: {format_bytes(self.planned_host_bytes)} of "
            f"{format_bytes(self.allowed_host_bytes)} allowed"
        )
        rows += [f"  {name:<28}{format_bytes(size):>10}" for name, size in self.host_items.items()]
        pool = "all of them fit" if self.n_slots >= self.bricks_visible else "they are streamed"
        rows += [
            f"bricks in view: {self.bricks_visible}, {format_bytes(self.working_set_bytes)}; the "
            f"pool holds {self.n_slots}: {pool}",
            f"drawn in {self.n_bands} band(s), {self.waves} wave(s)",
            f"smallest device memory that works: {format_least_bytes(self.smallest_budget_bytes)}",
            f"smallest host memory that works: {format_least_bytes(self.smallest_host_bytes)}",
        ]
        return rows
