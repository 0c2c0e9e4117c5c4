"""What packets of arbitrary rays meet: the blocks that each ray passes, packet by packet."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import jax
import numpy as np
from numpy.typing import NDArray

from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.programs import Program
from plenostream.integrator.xla.structs import WALK_TILES
from plenostream.integrator.xla.workers import Worker, Workers

__all__ = ["walk_pairs"]


def walk_pairs(
    workers: Workers,
    device: Device,
    program: Program,
    values: tuple[jax.Array, ...],
    *,
    n_packets: int,
    n_blocks: int,
    at_once: int,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs (packet, block) [i] of all packets and the occupied blocks that their rays pass.

    Each pair once, in portions of `at_once` pairs at most (more where a single packet has more);
    all pairs of a packet come together. `values` are the last arguments of `Programs.walk`.
    """
    n_parts = len(workers.all)

    def walk(worker: Worker, part: int, first: int) -> list[NDArray[np.int64]]:
        passed = device.get(program(worker.rays, device.put(np.int32(first)), *values))
        keys = []
        # A packet at a time: what NumPy needs to find the different ones stays small.
        for nth in range(WALK_TILES):
            blocks = passed[:, nth * TILE_RAYS : (nth + 1) * TILE_RAYS]
            packet = (first // TILE_RAYS + nth) * n_parts + part
            keys.append(packet * n_blocks + np.unique(blocks[blocks >= 0]).astype(np.int64))
        return keys

    held: list[NDArray[np.int64]] = []
    n_held = 0
    for first_packet in range(0, n_packets, WALK_TILES * n_parts):
        first = first_packet // n_parts * TILE_RAYS
        walks = [w.submit(walk, w, part, first) for part, w in enumerate(workers.all)]
        for keys in itertools.chain.from_iterable(walked.result() for walked in walks):
            if n_held and n_held + len(keys) > at_once:
                yield _split(held, n_blocks)
                held, n_held = [], 0
            held.append(keys)
            n_held += len(keys)
    if n_held:
        yield _split(held, n_blocks)


def _split(
    keys: list[NDArray[np.int64]], n_blocks: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    joined = np.concatenate(keys)
    return joined // n_blocks, joined % n_blocks
