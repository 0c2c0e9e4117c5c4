"""The arrays that live on the device: pool, ray state, and what a wave is made of.

Dimension letters: R rays, S slots, V voxels of a brick with its apron, P colour rows of the pool,
H = V / RANKED rounded up to even, W numbers of a colour row, N work items.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax

from plenostream.field.aovs import Aovs
from plenostream.integrator.interface import Light

__all__ = [
    "COUNTERS",
    "ITEM_COLUMNS",
    "RANKED",
    "KernelShape",
    "Pool",
    "RayState",
    "RowLayout",
    "Voxels",
    "WaveScalars",
]

COUNTERS = ("segments", "samples_marched", "samples_shaded", "march_lanes", "shade_lanes")
"""What the integrator counts, in the order of `RayState.counters`."""

ITEM_COLUMNS = ("tile", "slot", "low", "high")
"""Columns of a work item, int32: tile of rays, slot of the brick, and the corners of the box of
cells inside the brick, packed x | y << 8 | z << 16 (`high` exclusive)."""


RANKED = 16
"""Voxels whose rows are counted together. A row's number follows from how many voxels before have one:
4 bytes for 16 voxels and 4 for 16 rows take the place of 4 for each voxel."""


class Pool(NamedTuple):
    """Bricks on the device; allocated once, donated to every upload. Two programs write it at the
    same time, one its rows and one the rest."""

    density: jax.Array
    """[S * V] u32 or u64: float16 or float32 densities per `WaveScalars.unit`, each voxel's in the low half
    and its neighbour's in z in the high half; slot s holds [s V, (s + 1) V), C order, z fastest."""
    ranks: jax.Array
    """[S * H] u32: of each `RANKED` voxels of a slot, in the low half a bit for each that has a row,
    and in the high half how many of the slot's voxels before them have one."""
    pages: jax.Array
    """[S * H] u32: page of each `PAGE_ROWS` rows of a slot, in the order of the voxels."""
    rows: jax.Array
    """[P, W] f16 or f32, see `RowLayout`; row 0 is all zero: an empty corner needs no test."""
    origins: jax.Array
    """[S, 3] i32: grid coordinates of each slot's first voxel."""


class Voxels(NamedTuple):
    """A pool without its colour rows, see `Pool`."""

    density: jax.Array
    ranks: jax.Array
    pages: jax.Array
    origins: jax.Array


class RayState(NamedTuple):
    """What R rays have gathered so far, plus one spare ray that padding writes to; donated."""

    trans: jax.Array
    """[R + 1] f32 in [-1, 1]: light left. Once a ray has ended it counts as 0, and what was left
    is kept below zero: the weights of its samples add up to 1 - |trans|."""
    gathered: jax.Array
    """[R + 1, 4] f32: red, green, blue, and the sum of weight times sample number."""
    left: jax.Array | None
    """[R + 1] f32: light left for what is behind, where that is not `trans`: None for
    `Light.MULTIPLIES`."""
    aovs: jax.Array | None
    """[R + 1, E] f32: see `kernels.aovs`; None where E is 0. Depths are numbers of samples."""
    counters: jax.Array
    """[len(COUNTERS)] i64, since the state was made."""


class WaveScalars(NamedTuple):
    """Values that may change from frame to frame without compiling again."""

    size: jax.Array
    """[3] i32, voxels per axis."""
    units_per_grid: jax.Array
    """[3] f32, lengths of `unit` per grid unit and axis; 1 to 2 on the finest axis, mostly."""
    unit: jax.Array
    """[] f32, world units: the length that densities are per, see `precision.density_unit`."""
    step: jax.Array
    """[] f64, grid units."""
    sigma_thresh: jax.Array
    """[] f32, per `unit`."""
    stop_thresh: jax.Array
    """[] f32."""
    opaque_length: jax.Array
    """[] f32, lengths of `unit`: of the last sample of a ray, for `Light.OPAQUE_END`."""
    depth_density: jax.Array
    """[] f32, per `unit`: see `SampleRule.depth_density`."""
    steepness: jax.Array
    """[3] f32: grid units per world unit, the largest taken as 1."""


@dataclass(frozen=True, slots=True)
class RowLayout:
    """How a colour row lies on the device: lane 3 k + c holds function k of channel c.

    At least one lane is spare, so that four lanes can be taken from every 3 k: the products of
    coefficients and functions are then added up in vectors of four, of which the last means
    nothing. Nine functions take 32 numbers, a cache line in float16, not 27 that straddle two.
    """

    basis_dim: int

    @property
    def width(self) -> int:
        """Numbers of a row, W."""
        least = 3 * self.basis_dim + 1
        return -(-least // 8) * 8 if least > 4 else 4

    @property
    def functions(self) -> tuple[int, ...]:
        """The function of each lane; `basis_dim` for the spare ones."""
        return tuple(min(lane // 3, self.basis_dim) for lane in range(self.width))

    def lane(self, function: int, channel: int) -> int:
        """Where a coefficient lies."""
        return 3 * function + channel


@dataclass(frozen=True, slots=True)
class KernelShape:
    """Static parameters of the integrator. All but the three of the sample rule change the program,
    not the picture.

    The block sizes differ by backend, see `kernels.tuning`; the code does not.
    """

    brick_size: int
    """Cells per axis of a brick."""
    basis_dim: int
    """Functions per channel."""
    entry_bits: int
    """Fixed-point digits of `RayConstants.entry`."""
    items: int
    """Work items per block: their 64 rays each are tested against their boxes together."""
    lanes: int
    """Segments that march together."""
    rounds: int
    """Samples of each segment that are taken at once."""
    length_classes: int
    """Segments are sorted by the rounds that they take, up to this many."""
    span: int
    """Samples of each segment that are marched before they are shaded, a multiple of `rounds`."""
    shade: int
    """Samples that are shaded together."""
    bricks_at_once: int
    """Bricks that are put into the pool together."""
    pages_at_once: int
    """Pages of colour rows that are put into the pool together."""
    tiles_at_once: int
    """Tiles whose rays are set up together, which bounds the float64 temporaries."""
    spheric_clip: bool
    """See `SampleRule.spheric_clip`."""
    light: Light
    """See `SampleRule.light`."""
    aovs: Aovs
    """See `SampleRule.aovs`."""
    fences: bool
    """Keep XLA from fusing across the stages of the kernel, see `lanes.fence`."""

    @property
    def edge(self) -> int:
        """Voxels per axis of a brick, apron included."""
        return self.brick_size + 1

    @property
    def voxels(self) -> int:
        """Voxels of a brick, V."""
        return self.edge**3

    @property
    def mask_words(self) -> int:
        """Words of 32 voxels of a brick."""
        return -(-self.voxels // 32)

    @property
    def ranks(self) -> int:
        """Entries of `Pool.ranks` and `Pool.pages` a brick, H."""
        return self.mask_words * 32 // RANKED

    @property
    def layout(self) -> RowLayout:
        """Layout of the colour rows."""
        return RowLayout(self.basis_dim)
