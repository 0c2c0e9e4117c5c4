"""What an integrator takes, as it says before it allocates anything, and the shapes it is for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DeviceCosts", "HostCosts", "Sizes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The shapes that rays are drawn with."""

    n_tiles: int
    """Tiles of rays, a multiple of `DeviceCosts.tile_step`."""
    n_slots: int
    """Bricks that the pool holds."""
    n_pages: int
    """Pages of colour rows that the pool holds, page 0 included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCosts:
    """Bytes on the device: upper bounds, known before anything is allocated."""

    slot_bytes: int
    """A brick, without its colour rows."""
    page_bytes: int
    """A page of colour rows."""
    tile_bytes: int
    """All that is kept for a tile of 64 rays."""
    tile_step: int
    """Tiles come in multiples of this."""
    fixed: dict[str, int]
    """Everything else but temporaries, by what it is for."""
    n_parts: int
    """Parts that the tiles are dealt to, each drawn by a thread of its own."""
    part_bytes: int
    """Of `fixed`, what each part takes for itself."""
    least_lot: int
    """Tiles that are drawn together where there is room, at least: a lot of fewer takes more time than
    its memory is worth."""
    any_pool: bool
    """Whether pools of all sizes are as good; else few sizes are better than many, since programs are
    compiled for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCosts:
    """Bytes on the host that an integrator takes besides the arrays that it is given."""

    kept_bytes: int
    """What is kept for the scene."""
    staging_bytes: int
    """What bringing bricks in takes beside their rows, and the rooms that these lie in."""
    queue_bytes: int
    """Work that waits for the device."""
    pair_bytes: int
    """A pair of a tile and a box while it is being prepared."""
    packet_bytes: int
    """Finding out what the packets of arbitrary rays meet."""
    most_boxes: int
    """Boxes that a packet can meet at most."""
    least_tiles: int
    """Tiles that rays take at least, few as they may be."""
    n_parts: int
    """Threads that draw."""
