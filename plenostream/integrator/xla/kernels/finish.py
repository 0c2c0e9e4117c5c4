"""From ray state to picture, and the small reports in between."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from plenostream.field.aovs import NO_AOVS, Aovs
from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.interface import Light
from plenostream.integrator.xla.kernels.aovs import finished_aovs, fresh_aovs
from plenostream.integrator.xla.kernels.geometry import DIRECTION_BITS, RayConstants
from plenostream.integrator.xla.kernels.state import COUNTERS, RayState

__all__ = ["compose", "fresh_state", "live_tiles", "world_per_t"]


def fresh_state(
    n_rays: int,
    light: Light = Light.MULTIPLIES,
    aovs: Aovs = NO_AOVS,
) -> RayState:
    """The state of `n_rays` rays that have met nothing yet (all static)."""
    return RayState(
        trans=jnp.ones(n_rays + 1, jnp.float32),
        gathered=jnp.zeros((n_rays + 1, 4), jnp.float32),
        left=None if light is Light.MULTIPLIES else jnp.ones(n_rays + 1, jnp.float32),
        aovs=fresh_aovs(n_rays + 1, aovs),
        counters=jnp.zeros(len(COUNTERS), jnp.int64),
    )


def live_tiles(state: RayState, rays: RayConstants) -> jax.Array:
    """Which tiles of 64 rays still have a ray that can gather anything: [R / 64] bool."""
    alive = (state.trans[:-1] > 0.0) & (rays.n_samples > 0)
    live: jax.Array = alive.reshape(-1, TILE_RAYS).any(axis=1)
    return live


def compose(
    state: RayState,
    left: jax.Array | None,
    rays: RayConstants,
    units_per_grid: jax.Array,
    unit: jax.Array,
    step: jax.Array,
    background: jax.Array,
    *,
    aovs: Aovs = NO_AOVS,
) -> tuple[jax.Array, jax.Array, jax.Array | None, jax.Array]:
    """Red, green, blue and depth [R + 1, 4] f32, alpha [R + 1] f32 and AOVs [R + 1, E] f32, of every
    ray and the spare; and the counters. They take the place of the state, which is donated; `left`,
    which `RayState` has, is not, since nothing takes its place.

    ``rgb + T background`` (background [3] f32), ``1 - T``, and svox2's expected termination in world
    units: the sum of ``weight * t * world_per_t``, not divided by alpha (`docs/rules.md`, rules 15
    and 16). The state holds the sum of ``weight * k``; ``t = t_min + k step``, and the weights add
    up to ``1 - |trans|``. Where colours have other weights than depth, T is `left`.
    """
    total_weight = 1.0 - jnp.abs(state.trans[:-1])
    per_t = world_per_t(rays, units_per_grid, unit)
    # As a sum for the last column: ``scale`` times what is there, ``shift`` on top.
    scale = jnp.append(per_t * step.astype(jnp.float32), jnp.float32(0.0))
    shift = jnp.append(total_weight * rays.t_min * per_t, jnp.float32(0.0))
    is_depth = jnp.arange(4, dtype=jnp.int32)[None] == 3
    # Opaque rays have a negative T. Clamping the product, not T, keeps it from being contracted with
    # the sum to one rounding, which would change the last bit of pictures.
    behind = jnp.append(background, jnp.float32(0.0))
    left = state.trans if left is None else left
    seen_behind = jnp.maximum(left[:, None] * behind[None], 0.0)
    values = jnp.where(
        is_depth,
        state.gathered * scale[:, None] + shift[:, None],
        state.gathered + seen_behind,
    )
    found = None
    if state.aovs is not None:
        found = _padded_aovs(state, rays.t_min, step.astype(jnp.float32), per_t, aovs)
    return values, 1.0 - jnp.maximum(left, 0.0), found, state.counters


def world_per_t(rays: RayConstants, units_per_grid: jax.Array, unit: jax.Array) -> jax.Array:
    """World units per grid unit along each ray, [R] f32."""
    way = rays.direction.astype(jnp.float32) * 2.0**-DIRECTION_BITS * units_per_grid[:, None]
    # World units come last: their squares may be beyond float32.
    return jnp.sqrt(way[0] * way[0] + way[1] * way[1] + way[2] * way[2]) * unit


def _padded_aovs(
    state: RayState, t_min: jax.Array, step: jax.Array, per_t: jax.Array, aovs: Aovs
) -> jax.Array:
    """AOVs of every ray and the spare."""
    assert state.aovs is not None
    t_min, per_t = (jnp.append(of_rays, jnp.float32(0.0)) for of_rays in (t_min, per_t))
    return finished_aovs(state.aovs, aovs, state.trans, t_min, step, per_t)
