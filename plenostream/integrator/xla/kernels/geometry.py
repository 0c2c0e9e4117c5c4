"""Ray geometry on the device: pixels or world rays -> the fixed-point lattice of each ray.

Everything here is float64 arithmetic, traced under `jax.enable_x64`, and rounded once:

- the entry point to 2^-q of a grid unit, q as large as int32 allows for the grid's size,
- the direction to 2^-30,

so that sample k of a ray, at ``entry + k * step * direction``, is known to better than 1e-6 grid
units anywhere in a grid of 2048 voxels an axis, in 24 bytes a ray. float32 entry points and
directions (the same bytes) would be off by up to 1e-4 there, which is visible: pictures made with
bricks of another size would differ by more than 2e-5.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from plenostream.integrator.xla.kernels.lanes import fence

__all__ = [
    "DIRECTION_BITS",
    "TILE",
    "TILE_RAYS",
    "GridArrays",
    "RayConstants",
    "entry_bits",
    "pinhole_rays",
    "ray_constants",
]

TILE = 8
"""Edge in pixels of a screen tile: the packet of rays that work items speak of."""
TILE_RAYS = TILE * TILE
DIRECTION_BITS = 30
_FAR = 1e300


class GridArrays(NamedTuple):
    """A grid as traced values."""

    size: jax.Array
    """[3] f64, voxels per axis."""
    scale: jax.Array
    """[3] f64, grid units per world unit."""
    offset: jax.Array
    """[3] f64, grid coordinates of the world's origin."""


class RayConstants(NamedTuple):
    """What stays the same about R = tiles * 64 rays while a picture is made."""

    entry: jax.Array
    """[3, R] i32: where sample 0 lies, grid coordinates times 2^entry_bits."""
    direction: jax.Array
    """[3, R] i32: unit direction in the grid, times 2^30."""
    n_samples: jax.Array
    """[R] i32: samples on the ray; 0 where it misses the box."""
    t_min: jax.Array
    """[R] f32: distance from the ray's origin to sample 0, grid units."""


def entry_bits(size: tuple[int, int, int]) -> int:
    """Binary digits after the point of fixed-point positions in a grid of `size` voxels.

    No more than 23, though small grids have room for them: float32 places a sample inside its
    brick no better, and programs are compiled for this number.
    """
    return min(31 - max(size).bit_length(), 23)


def pinhole_rays(
    tiles: jax.Array, c2w: jax.Array, intrinsics: jax.Array, pixels: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """World rays through the pixels of screen tiles.

    Parameters
    ----------
    tiles : [n, 2] i32       column and row of the first pixel of each tile
    c2w : [3, 4] f64         camera to world, OpenCV axes (x right, y down, z forward)
    intrinsics : [4] f64     fx, fy, cx, cy in pixels; pixel centres lie at + 0.5
    pixels : [2] i32         width and height of the picture

    Returns
    -------
    origins, dirs_world : [3, n * 64] f64, directions of any length; valid : [n * 64] bool,
    false for places of a tile beyond the picture.
    """
    lane = jnp.arange(TILE_RAYS, dtype=jnp.int32)[None]
    column = tiles[:, 0:1] + lane % TILE
    row = tiles[:, 1:2] + lane // TILE
    valid = (column < pixels[0]) & (row < pixels[1]) & (column >= 0)
    x = (column.astype(jnp.float64) + 0.5 - intrinsics[2]) / intrinsics[0]
    y = (row.astype(jnp.float64) + 0.5 - intrinsics[3]) / intrinsics[1]
    x, y = x.reshape(1, -1), y.reshape(1, -1)
    dirs = x * c2w[:, 0:1] + y * c2w[:, 1:2] + c2w[:, 2:3]
    origins = jnp.broadcast_to(c2w[:, 3:4], dirs.shape)
    return origins, dirs, valid.reshape(-1)


def ray_constants(
    origins: jax.Array,
    dirs_world: jax.Array,
    valid: jax.Array,
    grid: GridArrays,
    step: jax.Array,
    near_clip: jax.Array,
    *,
    bits: int,
    fences: bool = False,
) -> RayConstants:
    """The lattice of each ray (DESIGN section 1; svox2 `render_util.cuh`, ray_find_bounds).

    Parameters
    ----------
    origins, dirs_world : [3, R] f64    world space; directions of any length above zero
    valid : [R] bool                    false: the ray gets no samples
    step, near_clip : [] f64            grid units, world units
    bits : int                          `entry_bits` of the grid (static)
    fences : bool                       see `lanes.fence` (static)

    Notes
    -----
    ``d = v * scale``, ``world_per_t = 1 / |d|``, ``t_min = max(near / world_per_t, entry)``. An
    axis with a direction of exactly 0 puts no bound on the ray, wherever the origin is (rule 4);
    since positions are clamped to the voxel centres, moving the origin there changes nothing, and
    lets the slab tests further on stay ordinary.
    """
    call = fence(fences, step > 0.0)
    last = grid.size[:, None] - 1.0

    def direction(dirs_world: jax.Array) -> tuple[jax.Array, jax.Array]:
        d = dirs_world / _length(dirs_world)[None] * grid.scale[:, None]
        return d, _length(d)

    def origin(origins: jax.Array, d: jax.Array, t_per_world: jax.Array) -> tuple[jax.Array, ...]:
        o = origins * grid.scale[:, None] + grid.offset[:, None]
        return d / t_per_world[None], jnp.where(d == 0.0, jnp.clip(o, 0.0, last), o)

    def slab(o: jax.Array, d: jax.Array) -> tuple[jax.Array, jax.Array]:
        parallel = d == 0.0
        inverse = 1.0 / jnp.where(parallel, 1.0, d)
        low, high = (-0.5 - o) * inverse, (last + 0.5 - o) * inverse
        near = jnp.where(parallel, -_FAR, jnp.minimum(low, high))
        far = jnp.where(parallel, _FAR, jnp.maximum(low, high))
        return near, far

    def extent(
        near: jax.Array, far: jax.Array, t_per_world: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        enter = jnp.maximum(jnp.maximum(near[0], near[1]), near[2])
        leave = jnp.minimum(jnp.minimum(far[0], far[1]), far[2])
        t_min = jnp.maximum(near_clip * t_per_world, enter)
        hit = valid & (t_min <= leave)
        t_min = jnp.where(hit, t_min, 0.0)
        n = jnp.where(hit, jnp.floor((leave - t_min) / step) + 1.0, 0.0)
        return t_min, n.astype(jnp.int32)

    # Each stage is needed more than once; unfenced, its divisions would be repeated for every use.
    d, t_per_world = call(direction, dirs_world)
    d, o = call(origin, origins, d, t_per_world)
    near, far = call(slab, o, d)
    t_min, n = call(extent, near, far, t_per_world)
    place = jnp.clip(o + t_min[None] * d, -0.5, last + 0.5) * 2.0**bits
    return RayConstants(
        entry=jnp.round(place).astype(jnp.int32),
        direction=jnp.round(d * 2.0**DIRECTION_BITS).astype(jnp.int32),
        n_samples=n,
        t_min=t_min.astype(jnp.float32),
    )


def _length(vectors: jax.Array) -> jax.Array:
    """Length [R] of vectors [3, R]."""
    x, y, z = vectors[0], vectors[1], vectors[2]
    return jnp.sqrt(x * x + y * y + z * z)
