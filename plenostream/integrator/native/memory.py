"""Bytes that the integrator takes, from the types of its arrays."""

from __future__ import annotations

import numpy as np

from plenostream.field.aovs import Aovs
from plenostream.integrator.interface import DeviceCosts, HostCosts, RaySource, SceneShape
from plenostream.integrator.native.back import PADDING_BYTES as BACK_PADDING
from plenostream.integrator.native.back import back_page_bytes, back_slot_bytes
from plenostream.integrator.native.blocks import map_bytes, slot_table_bytes
from plenostream.integrator.native.packets import packet_bytes
from plenostream.integrator.native.pool import PADDING_BYTES as POOL_PADDING
from plenostream.integrator.native.pool import page_bytes, slot_bytes
from plenostream.integrator.native.rays import PADDING_BYTES as RAYS_PADDING
from plenostream.integrator.native.rays import part_bytes, tile_bytes

__all__ = [
    "BATCH_BRICKS",
    "BATCH_ROWS",
    "QUEUED_WAVES",
    "TILE_STEP",
    "arriving_bytes",
    "device_costs",
    "host_costs",
]

BATCH_BRICKS = 512
"""Bricks that come in together."""
BATCH_ROWS = 32_768
"""Their rows, at most, unless a single brick has more."""
QUEUED_WAVES = 2
"""Waves that wait to be drawn or are being drawn: the host goes on when one is begun."""
TILE_STEP = 64
"""Tiles of a thread come in multiples of this: what is made together, see `rays`."""
_LEAST_LOT = 2560
"""Tiles that are worth a lot of their own: some 20 MB, and some tens of milliseconds."""
_BATCHES = 3
"""Batches that there are at a time: one in each of two rooms, and the one that was taken in last."""
_BRICK = 1024
"""Bytes of a brick that comes in, beside its rows and its mask: where it goes, and where in which chunks its rows
lie, in a run of its own, while that is found out; 780 to 910 were measured."""


def arriving_bytes(n_bricks: int, mask_bytes: int) -> int:
    """Bytes of batches of the bricks of a scene, beside their rows."""
    return min(_BATCHES * BATCH_BRICKS, n_bricks) * (_BRICK + mask_bytes)


def device_costs(
    scene: SceneShape,
    aovs: Aovs,
    dtype: np.dtype[np.floating],
    n_threads: int,
    rays: RaySource,
    *,
    weigh: bool,
    differentiate: bool,
) -> DeviceCosts:
    """See `Integrator.device_costs`."""
    part = part_bytes(scene.basis)
    fixed = {
        "rays in the making": n_threads * part,
        "padding": POOL_PADDING + RAYS_PADDING + differentiate * BACK_PADDING,
    }
    return DeviceCosts(
        slot_bytes=slot_bytes(scene, dtype, weigh=weigh) + differentiate * back_slot_bytes(),
        page_bytes=page_bytes(scene, dtype) + differentiate * back_page_bytes(scene, n_threads),
        tile_bytes=tile_bytes(scene.basis_dim, aovs.n_columns),
        tile_step=TILE_STEP * n_threads,
        fixed=fixed,
        n_parts=n_threads,
        part_bytes=part,
        least_lot=_LEAST_LOT,
        any_pool=True,
    )


def host_costs(scene: SceneShape, n_threads: int) -> HostCosts:
    """See `Integrator.host_costs`."""
    n_bricks = int(scene.boxes.brick.max(initial=-1)) + 1
    return HostCosts(
        kept_bytes=scene.boxes.nbytes
        + map_bytes(scene.boxes, scene.bricks)
        + slot_table_bytes(scene.boxes, scene.bricks),
        staging_bytes=arriving_bytes(n_bricks, scene.bricks.mask_bytes),
        queue_bytes=QUEUED_WAVES * 4 * n_bricks,
        pair_bytes=0,
        packet_bytes=packet_bytes(n_bricks, n_threads),
        most_boxes=max(n_bricks, 1),
        least_tiles=TILE_STEP * n_threads,
        n_parts=n_threads,
    )
