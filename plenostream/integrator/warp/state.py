"""What a walk keeps of its rays, and the other arrays that its kernel takes."""

from __future__ import annotations

from typing import NamedTuple

import jax

__all__ = ["COUNTERS", "Numbers", "WalkBack", "WalkMap", "WalkState"]

COUNTERS = ("segments", "samples_marched", "samples_shaded")
"""What the kernel counts, in the order of the columns of `WalkState.counters`."""


class WalkState(NamedTuple):
    """What R rays have gathered so far, and how far they are; donated.

    As in `RayState` there is one spare ray, so that rays are composed by the same program.
    """

    trans: jax.Array
    """[R + 1] f32 in [-1, 1]: see `RayState.trans`."""
    gathered: jax.Array
    """[R + 1, 4] f32: red, green, blue, and the sum of weight times sample number."""
    left: jax.Array
    """[R + 1] f32, or [1] where it means nothing: see `RayState.left`."""
    aovs: jax.Array
    """[R, E] f32, or [1, 1] where E is 0: see `RayState.aovs`."""
    next_sample: jax.Array
    """[R] i32: number of the sample that each ray comes to next."""
    waits_for: jax.Array
    """[1] i32: after a walk, a brick (row of `BoxMap.bricks`, plus 1) that a ray stopped at; 0 where
    none did."""
    counters: jax.Array
    """[COUNTER_ROWS, len(COUNTERS)] i32: in parts, to be added up."""


class WalkBack(NamedTuple):
    """What R rays go back for, and what comes of it."""

    loss: jax.Array
    """[R, LOSS_COLUMNS] f32, see `kernels.back`."""
    derivatives: jax.Array
    """[pages * PAGE_ROWS, 3 K + 1] f32; donated."""


class WalkMap(NamedTuple):
    """Where the boxes and the bricks are, see `boxmap.BoxMap`."""

    groups: jax.Array
    """[g, 4] u32."""
    boxes: jax.Array
    """[m, 2] u32."""


class Numbers(NamedTuple):
    """Values that may change from frame to frame; Warp takes them in arrays."""

    step: jax.Array
    """[1] f64: grid units between samples."""
    reals: jax.Array
    """[11] f32: lengths of the density unit per grid unit, x, y, z; sigma_thresh per that unit;
    stop_thresh; the length of an opaque last sample; `WaveScalars.depth_density` and `steepness`; the
    density unit."""
    wholes: jax.Array
    """[8] i32: voxels, x, y, z; groups along y and z; cells along a brick; binary digits after the
    point of `RayConstants.entry`; words of `Pool.ranks` a slot."""
