"""Device bytes of a picture, added up from compiled kernels: the planner's own items, without its help.

The planner counts from the scene's numbers and the records' sizes; here the same items come from
what the kernels take and give, as they were compiled. What is counted must never be more than
what was planned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax.numpy as jnp

from gpucheck.kernel import Kernel, nbytes
from gpucheck.target import WatchedDevice
from plenostream.engine.planner import Planner, Sizes
from plenostream.format.reader import SceneStore
from plenostream.integrator.xla.kernels.geometry import entry_bits
from plenostream.integrator.xla.kernels.tuning import kernel_shape
from plenostream.integrator.xla.programs import Programs
from plenostream.plan.budget import DeviceNeeds

__all__ = ["Case", "device_bytes", "plan_picture", "plan_rays"]

_REPORTS = 6
"""Reports of live tiles that are kept at once: two are used late, four wait in a worker's queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A picture or a lot of rays: what was planned, and what the kernels say."""

    name: str
    sizes: Sizes
    needs: DeviceNeeds
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


def _planner(store: SceneStore, device: WatchedDevice, precision: str) -> Planner:
    meta, dtype = store.meta, jnp.dtype(precision)
    shape = kernel_shape(
        device.platform,
        brick_size=meta.brick_size,
        basis_dim=meta.basis_dim,
        entry_bits=entry_bits(meta.grid.size),
    )
    programs = Programs(device, shape, dtype)
    return Planner(store, device, programs, shape, itemsize=dtype.itemsize)


def plan_picture(
    store: SceneStore,
    device: WatchedDevice,
    *,
    width: int,
    height: int,
    precision: str,
) -> Case:
    """Plan a picture, which compiles its kernels; `device` must not have been used before."""
    planner = _planner(store, device, precision)
    sizes, planned, needs = planner.picture(width, height)
    return _case(f"{width}x{height}", device, sizes, planned, needs)


def plan_rays(
    store: SceneStore, device: WatchedDevice, *, n: int, beside: Case, precision: str
) -> Case:
    """The same for `n` arbitrary rays, with the pool of a picture in place."""
    planner = _planner(store, device, precision)
    planner.fix_pool(beside.sizes.n_slots, beside.sizes.n_pages)
    sizes, planned, needs = planner.rays(n, n)
    return _case(f"{n} rays beside {beside.name}", device, sizes, planned, needs)


def _case(
    name: str, device: WatchedDevice, sizes: Sizes, planned: dict[str, int], needs: DeviceNeeds
) -> Case:
    kernels = dict(device.kernels)
    return Case(
        name=name,
        sizes=sizes,
        needs=needs,
        planned=planned,
        counted=device_bytes(kernels, n_parts=device.n_parts, n_queued=device.n_queued),
        kernels=kernels,
    )


def device_bytes(kernels: Mapping[str, Kernel], *, n_parts: int, n_queued: int) -> dict[str, int]:
    """Bytes by what they are for, named as the planner names them.

    Parameters
    ----------
    kernels : those of one picture or one lot of rays, by name
    n_parts : parts of the rays that are drawn at the same time
    n_queued : calls that may wait or run on the device, each with its arguments
    """
    state, rays, pool, *call, scalars = kernels["integrate"].args
    writes = [nbytes(kernels[name].args[1:]) for name in ("write bricks", "write rows")]
    walks = "walk" in kernels
    alone = {"write bricks", "write rows", "pool"} & set(kernels)
    per_ray = nbytes((state, rays)) + kernels["compose"].fresh_bytes
    per_ray += _REPORTS * kernels["live tiles"].fresh_bytes
    start = kernels["world rays" if walks else "pinhole rays"].args
    if walks:
        per_ray += nbytes(start[:3]) + kernels["packet keys"].fresh_bytes
    else:
        per_ray += nbytes(start[0])
    parts = max(k.temp_bytes for name, k in kernels.items() if name not in alone)
    one = nbytes(call)
    counted = {
        "pool: bricks": nbytes((pool.density, pool.row_ids, pool.origins)),
        "pool: colour rows": nbytes(pool.rows),
        "ray state and output": n_parts * per_ray,
        "kernel temporaries": n_parts * parts + max(kernels[name].temp_bytes for name in alone),
        # A batch that is written and one that is on its way up; and what a GPU lets wait.
        "uploads in flight": 2 * max(writes),
        "work items in flight": n_parts * one,
        "waiting in the queue": (n_queued - 1) * max(*writes, one),
        "scalars and reports": nbytes((scalars, start[1:])) if not walks else nbytes(start[3:]),
    }
    if walks:
        walk = kernels["walk"]
        counted["walk through the grid"] = nbytes(walk.args[2:]) + n_parts * walk.fresh_bytes
    return counted
