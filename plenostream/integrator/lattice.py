"""Where a ray's samples lie: float64 geometry over NumPy or JAX, the same for every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["GridArrays", "Lattice", "Spacing", "apply", "lattice"]

_FAR = 1e300


class GridArrays(NamedTuple):
    """A grid as arrays."""

    extent: Any
    """[3] f64, edges of the volume in grid units: voxels per axis, but for coarser levels."""
    margin: Any
    """f64, grid units from the volume's edges to the first and last voxels: half of one of level 0."""
    scale: Any
    """[3] f64, grid units per world unit."""
    offset: Any
    """[3] f64, grid coordinates of the world's origin."""


class Spacing(NamedTuple):
    """The numbers that say where samples lie on a ray; f64 each."""

    step: Any
    """Grid units between samples."""
    near_clip: Any
    """World units, or a share of the radius where rays are clipped by ellipsoids."""
    far_cap: Any
    """Grid units from the origin; infinite for no such end."""


class Lattice(NamedTuple):
    """Samples of R rays: number k lies at ``entry + k step direction``, 0 <= k < n_samples."""

    entry: Any
    """[3, R] f64: position of sample 0, grid coordinates."""
    direction: Any
    """[3, R] f64: unit direction in the grid."""
    n_samples: Any
    """[R] i32: samples on the ray; 0 where it misses the volume."""
    t_min: Any
    """[R] f64: distance from the ray's origin to sample 0, grid units."""


def apply(function: Callable[..., Any], *args: Any) -> Any:
    """Call a stage of `lattice` as it is."""
    return function(*args)


def lattice(
    xp: Any,
    origins: Any,
    dirs_world: Any,
    valid: Any,
    grid: GridArrays,
    spacing: Spacing,
    *,
    spheric_clip: bool = False,
    stage: Callable[..., Any] = apply,
) -> Lattice:
    """The samples of rays (svox2 `render_util.cuh`, ray_find_bounds).

    Parameters
    ----------
    xp : the array namespace, numpy or jax.numpy
    origins, dirs_world : [3, R] f64    world space; directions of any length above zero
    valid : [R] bool                    false: the ray gets no samples
    spacing : Spacing
    spheric_clip : rays begin and end at ellipsoids, not at the box
    stage : calls a stage of the work; a compiler may be kept from fusing across it

    Notes
    -----
    ``d = v * scale``, ``world_per_t = 1 / |d|``, ``t_min = max(near / world_per_t, entry)``. An
    axis with a direction of exactly 0 puts no bound on the ray, wherever the origin is; since
    positions are clamped to the voxel centres, moving the origin there changes nothing, and lets
    slab tests further on stay ordinary.

    With `spheric_clip` a ray ends at its far intersection with the ellipsoid inscribed in the box
    and begins at the near one with that ellipsoid scaled by ``1 - near_clip``: behind its origin,
    where that lies inside. A ray that misses either of them gets no samples.
    """
    last = grid.extent[:, None] - 2.0 * grid.margin

    def direction(dirs_world: Any) -> tuple[Any, Any]:
        d = dirs_world / _length(xp, dirs_world)[None] * grid.scale[:, None]
        return d, _length(xp, d)

    def origin(origins: Any, d: Any, t_per_world: Any) -> tuple[Any, Any]:
        o = origins * grid.scale[:, None] + grid.offset[:, None]
        return d / t_per_world[None], xp.where(d == 0.0, xp.clip(o, 0.0, last), o)

    def slab(o: Any, d: Any) -> tuple[Any, Any]:
        parallel = d == 0.0
        inverse = 1.0 / xp.where(parallel, 1.0, d)
        low, high = (-grid.margin - o) * inverse, (last + grid.margin - o) * inverse
        near = xp.where(parallel, -_FAR, xp.minimum(low, high))
        far = xp.where(parallel, _FAR, xp.maximum(low, high))
        return near, far

    def box(near: Any, far: Any, t_per_world: Any) -> tuple[Any, Any]:
        enter = xp.maximum(xp.maximum(near[0], near[1]), near[2])
        leave = xp.minimum(xp.minimum(far[0], far[1]), far[2])
        return xp.maximum(spacing.near_clip * t_per_world, enter), leave

    def ellipsoids(origins: Any, d: Any) -> tuple[Any, Any]:
        per_radius = 2.0 / grid.extent[:, None]
        o = (origins * grid.scale[:, None] + grid.offset[:, None] + grid.margin) * per_radius - 1.0
        v = d * per_radius
        a, b, c = _dot(v, v), _dot(o, v), _dot(o, o)
        inner = 1.0 - spacing.near_clip
        enter, leave = b * b - a * (c - inner * inner), b * b - a * (c - 1.0)
        met = (enter >= 0.0) & (leave >= 0.0)
        t_enter = (-b - xp.sqrt(xp.where(met, enter, 0.0))) / a
        t_leave = (-b + xp.sqrt(xp.where(met, leave, 0.0))) / a
        return xp.where(met, t_enter, _FAR), xp.where(met, t_leave, -_FAR)

    def extent(enter: Any, leave: Any) -> tuple[Any, Any]:
        leave = xp.minimum(leave, spacing.far_cap)
        hit = valid & (enter <= leave)
        t_min = xp.where(hit, enter, 0.0)
        n = xp.where(hit, xp.floor((leave - t_min) / spacing.step) + 1.0, 0.0)
        return t_min, n.astype(xp.int32)

    # Each stage is needed more than once; fused, its divisions would be repeated for every use.
    d, t_per_world = stage(direction, dirs_world)
    d, o = stage(origin, origins, d, t_per_world)
    if spheric_clip:
        t_min, n = stage(lambda o, d: extent(*ellipsoids(o, d)), origins, d)
    else:
        near, far = stage(slab, o, d)
        t_min, n = stage(lambda *ends: extent(*box(*ends)), near, far, t_per_world)
    entry = xp.clip(o + t_min[None] * d, -grid.margin, last + grid.margin)
    return Lattice(entry=entry, direction=d, n_samples=n, t_min=t_min)


def _dot(a: Any, b: Any) -> Any:
    """Products [R] of vectors [3, R]."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _length(xp: Any, vectors: Any) -> Any:
    """Length [R] of vectors [3, R]."""
    x, y, z = vectors[0], vectors[1], vectors[2]
    return xp.sqrt(x * x + y * y + z * z)
