"""Device bytes of a picture, added up from compiled kernels: the planner's own items, without its help.

The integrator counts from the shapes of its arrays; here the same items come from what the kernels
take and give, as they were compiled. What is counted must never be more than what was planned.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from gpucheck.kernel import Kernel
from gpucheck.target import WatchedDevice
from plenostream.cameras.rays import pinhole_rays
from plenostream.engine.planner import Layout
from plenostream.engine.rays import packets_of
from plenostream.engine.session import Session, sample_rule, scene_shape
from plenostream.format.extra_arrays import basis_of
from plenostream.format.reader import SceneStore
from plenostream.integrator.interface import RaySource
from plenostream.integrator.xla.integrator import XlaIntegrator
from plenostream.integrator.xla.structs import n_bytes
from plenostream.options import RenderOptions, StreamOptions
from plenostream.plan import build_boxes

__all__ = ["Case", "device_bytes", "plan_picture", "plan_rays"]

_REPORTS = 6
"""Reports of live tiles that are kept at once: two are used late, four wait in a worker's queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A picture or a lot of rays: what was planned, and what the kernels say."""

    name: str
    layout: Layout
    """What was planned, pool and bands among it."""
    planned: dict[str, int]
    """Device bytes by what they are for, from the planner."""
    counted: dict[str, int]
    """The same from the kernels."""
    kernels: Mapping[str, Kernel]

    @property
    def planned_bytes(self) -> int:
        """All of it."""
        return sum(self.planned.values())

    @property
    def counted_bytes(self) -> int:
        """All of it."""
        return sum(self.counted.values())


def _session(store: SceneStore, device: WatchedDevice, precision: str) -> Session:
    tables, options = store.tables, RenderOptions()
    table = build_boxes(tables.index, tables.boxes, tables.occupied, store.meta.bricks)
    scene = scene_shape(store, table, basis_of(store))
    integrator = XlaIntegrator(
        device, scene, sample_rule(options, store.meta.grid), precision=precision
    )
    return Session(store, options, table, scene, integrator, host_bytes=StreamOptions().host_bytes)


def plan_picture(
    store: SceneStore,
    device: WatchedDevice,
    *,
    width: int,
    height: int,
    precision: str,
) -> Case:
    """Plan a picture, which compiles its kernels; `device` must not have been used before."""
    corner = np.zeros((1, 2), np.int32)
    rays = RaySource(
        make=pinhole_rays,
        per_tile=(corner,),
        nothing=(corner,),
        shared=(np.eye(3, 4), np.ones(4), np.ones(2, np.int32)),
    )
    with closing(_session(store, device, precision)) as session:
        layout = session.planner.picture(rays, width, height, samples=1)
    return _case(f"{width}x{height}", device, rays, layout)


def plan_rays(
    store: SceneStore, device: WatchedDevice, *, n: int, beside: Case, precision: str
) -> Case:
    """The same for `n` arbitrary rays, with the pool of a picture in place."""
    rays, sizes = packets_of(np.zeros((1, 3)), np.ones((1, 3))), beside.layout.sizes
    with closing(_session(store, device, precision)) as session:
        session.planner.fix_pool(sizes.n_slots, sizes.n_pages)
        layout, _ = session.planner.packets(rays, n)
    return _case(f"{n} rays beside {beside.name}", device, rays, layout)


def _case(name: str, device: WatchedDevice, rays: RaySource, layout: Layout) -> Case:
    kernels = dict(device.kernels)
    counted = device_bytes(kernels, device, n_per_tile=len(rays.per_tile))
    return Case(
        name=name,
        layout=layout,
        planned=layout.device_items,
        counted=counted,
        kernels=kernels,
    )


def device_bytes(
    kernels: Mapping[str, Kernel], device: WatchedDevice, *, n_per_tile: int
) -> dict[str, int]:
    """Bytes by what they are for, named as the planner names them.

    Parameters
    ----------
    kernels : those of one picture or one lot of rays, by name
    n_per_tile : arrays that the rays of a tile are made from, beside those that all tiles share
    """
    state, rays, pool, *call, scalars = kernels["integrate"].args
    writes = [n_bytes(kernels[name].args[1:]) for name in ("write bricks", "write rows")]
    n_parts = device.n_parts
    alone = {"write bricks", "write rows", "pool"} & set(kernels)
    start = kernels["rays"].args
    per_ray = n_bytes((state, rays, start[:n_per_tile])) + kernels["compose"].fresh_bytes
    per_ray += _REPORTS * kernels["live tiles"].fresh_bytes
    parts = max(k.temp_bytes for name, k in kernels.items() if name not in alone)
    one = n_bytes(call)
    counted = {
        "pool: bricks": n_bytes((pool.density, pool.ranks, pool.pages, pool.origins)),
        "pool: colour rows": n_bytes(pool.rows),
        "ray state and output": n_parts * per_ray,
        "kernel temporaries": n_parts * parts + max(kernels[name].temp_bytes for name in alone),
        # A batch that is written and one that is on its way up; and calls that a GPU lets wait.
        "uploads in flight": device.n_staged * sum(writes),
        "work items in flight": n_parts * one,
        "waiting in the queue": (device.n_queued - 1) * one,
        "scalars and reports": n_bytes((scalars, start[n_per_tile:])),
    }
    if "walk" in kernels:
        walk = kernels["walk"]
        counted["ray state and output"] += n_parts * kernels["packet keys"].fresh_bytes
        counted["walk through the grid"] = n_bytes(walk.args[2:]) + n_parts * walk.fresh_bytes
    return counted
