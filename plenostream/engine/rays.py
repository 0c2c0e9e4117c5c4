"""Arbitrary rays: sorted into packets of one octant each, drawn in lots that fit the budgets."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from plenostream.engine.frame import Frame
from plenostream.engine.packets import Packets, walk_pairs
from plenostream.engine.resources import Resources
from plenostream.engine.sight import packet_view
from plenostream.integrator.xla.kernels.geometry import TILE_RAYS
from plenostream.results import FrameStats

__all__ = ["draw_rays"]


def draw_rays(
    resources: Resources,
    origins: NDArray[np.float64],
    directions: NDArray[np.float64],
    stats: FrameStats,
) -> NDArray[np.float32]:
    """Colour, alpha and depth [n, 5] of world rays [n, 3].

    Raises
    ------
    BudgetError, BrickCorrupt, DeviceError : see `Renderer.render`.
    """
    n = len(origins)
    values = np.empty((n, 5), np.float32)
    if n == 0:
        return values
    planner, host_planner = resources.planner, resources.host_planner
    least = planner.least_ray_tiles
    at_once = host_planner.rays_at_once(n, least_tiles=least)
    sizes, items, _ = planner.rays(n, at_once.tiles)
    room = sizes.tiles * resources.device.n_parts
    at_once = replace(at_once, tiles=room)
    host = host_planner.rays(n, at_once)
    # Each of eight octants may leave one packet that is not full.
    lot = (room - 8) * TILE_RAYS
    with resources.frame(sizes, items, host, stats) as frame:
        frame.host.note("caller", origins.nbytes + directions.nbytes + values.nbytes)
        for first in range(0, n, lot):
            part = slice(first, first + lot)
            some = origins[part], directions[part]
            values[part] = _draw_lot(resources, frame, *some, at_once.pairs, stats)
    return values


def _draw_lot(
    resources: Resources,
    frame: Frame,
    origins: NDArray[np.float64],
    directions: NDArray[np.float64],
    pairs_at_once: int,
    stats: FrameStats,
) -> NDArray[np.float32]:
    tiles, workers = frame.sizes.tiles, resources.workers
    packets = Packets(resources.device, resources.programs, resources.grid_arrays(), tiles)
    values = np.empty((len(origins), 5), np.float32)
    values[:] = (*resources.options.background_rgb, 0.0, 0.0)
    for octant, members in packets.octants(workers, origins, directions):
        with workers:
            packets.set_up(workers, origins[members], directions[members])
            for worker in workers.all:
                worker.state = resources.programs.fresh(tiles)()
            n_packets = -(-len(members) // TILE_RAYS)
            _draw_packets(resources, frame, octant, n_packets, pairs_at_once, stats)
            drawn = np.empty((tiles * len(workers.all), TILE_RAYS, 5), np.float32)
            frame.compose(partial(_place, drawn, len(workers.all)), stats)
        values[members] = drawn.reshape(-1, 5)[: len(members)]
        stats.bands += 1
    return values


def _place(
    drawn: NDArray[np.float32],
    n_parts: int,
    part: int,
    values: NDArray[np.float32],
    alpha: NDArray[np.float32],
) -> None:
    """Put the packets of a part, see `frame.Place`, into `drawn` [packets, 64, 5]."""
    mine = drawn[part::n_parts]
    mine[..., :3], mine[..., 3], mine[..., 4] = values[..., :3], alpha, values[..., 3]


def _draw_packets(
    resources: Resources,
    frame: Frame,
    octant: int,
    n_packets: int,
    pairs_at_once: int,
    stats: FrameStats,
) -> None:
    """Bring the workers' packets of rays, all of one octant, through what they meet."""
    device, planner, tiles = resources.device, resources.planner, frame.sizes.tiles
    blocks, occupied = resources.blocks()
    portions = walk_pairs(
        resources.workers,
        device,
        resources.programs.walk(tiles, planner.walk_words, planner.walk_steps),
        (
            occupied,
            device.put(np.array(blocks.shape, np.int32)),
            device.put(np.float64(resources.options.step_size)),
        ),
        n_packets=n_packets,
        n_blocks=blocks.n_blocks,
        at_once=pairs_at_once,
    )
    index = resources.store.tables.index
    for packet, block in portions:
        box = blocks.boxes_of(block)
        frame.draw(packet_view(resources.table, index, octant, packet, box), stats)
