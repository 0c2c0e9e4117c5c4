"""Arbitrary rays in packets of 64 of one octant, and the blocks that each packet meets."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from plenostream.engine.workers import Worker, Workers
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.kernels.geometry import TILE_RAYS
from plenostream.integrator.xla.programs import WALK_TILES, Program, Programs

__all__ = ["Packets", "walk_pairs"]

_MISSES = 8


class Packets:
    """Deals rays to the workers, in packets."""

    def __init__(
        self, device: Device, programs: Programs, grid: tuple[Any, ...], tiles: int
    ) -> None:
        self._device = device
        self._programs = programs
        self._grid = grid
        self._tiles = tiles

    def octants(
        self, workers: Workers, origins: NDArray[np.float64], directions: NDArray[np.float64]
    ) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """The rays [n, 3] by octant: (octant, their places in an order that makes narrow packets).

        Rays that miss the volume are in none.
        """
        with workers:
            self.set_up(workers, origins, directions)
            keys_of = self._programs.keys(self._tiles)
            # The rays are not there before the worker's own turn.
            found = [w.submit(lambda w=w: keys_of(w.rays)) for w in workers.all]
            parts = [self._device.get(f.result()).reshape(-1, TILE_RAYS) for f in found]
        keys = np.stack(parts, axis=1).reshape(-1)[: len(origins)]
        order = np.argsort(keys, kind="stable")
        octant = keys[order] >> 32
        for number in range(_MISSES):
            members = order[octant == number]
            if len(members):
                yield number, members

    def set_up(
        self, workers: Workers, origins: NDArray[np.float64], directions: NDArray[np.float64]
    ) -> None:
        """Give packet p, the rays [64 p, 64 (p + 1)), to worker p % parts, as its p // parts."""
        n_parts = len(workers.all)
        n_packets = -(-len(origins) // TILE_RAYS)
        whole = np.zeros((2, n_packets * TILE_RAYS, 3))
        whole[0, : len(origins)], whole[1, : len(origins)] = origins, directions
        whole[1, len(origins) :] = 1.0
        valid = np.arange(n_packets * TILE_RAYS) < len(origins)
        packed = whole.reshape(2, n_packets, TILE_RAYS, 3)
        program = self._programs.world_rays(self._tiles)
        for part, worker in enumerate(workers.all):
            mine = packed[:, part::n_parts]
            start, course = np.zeros((2, self._tiles, TILE_RAYS, 3))
            course[:] = 1.0
            flags = np.zeros((self._tiles, TILE_RAYS), bool)
            start[: mine.shape[1]], course[: mine.shape[1]] = mine
            flags[: mine.shape[1]] = valid.reshape(-1, TILE_RAYS)[part::n_parts]
            worker.submit(self._start, worker, program, start, course, flags)

    def _start(self, worker: Worker, program: Program, start: Any, course: Any, flags: Any) -> None:
        """Runs in the worker's thread."""
        put = self._device.put
        values = (put(start.reshape(-1, 3)), put(course.reshape(-1, 3)), put(flags.reshape(-1)))
        worker.rays = program(*values, *self._grid)


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
        found = [w.submit(walk, w, part, first) for part, w in enumerate(workers.all)]
        for keys in itertools.chain.from_iterable(f.result() for f in found):
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
