"""Bricks as they are stored into the pool: a thread for each number that is written, and no temporaries.

The same as `xla.kernels.upload`, to the bit. There, loops whose trips depend on how many bricks came
make the host wait on a GPU.

No annotation here may be a string: Warp reads them as they are.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import warp as wp

from plenostream.field.precision import LARGEST_DENSITY, STEADY_BITS
from plenostream.integrator.interface import PAGE_ROWS
from plenostream.integrator.xla.kernels.state import RANKED

__all__ = ["Uploads", "uploads"]

_MANTISSA_BITS = 52


class Uploads(NamedTuple):
    """Kernels; each is launched for the most that a batch can hold, and looks how much there is.

    `tables` is `StagedBricks.tables`: counts [2], then for each brick slot, first voxel (x, y, z),
    first row and first page, then for each page the row that it starts at, then where each goes.
    """

    ranks: Any
    """(tables, mask [B, words], ranks [S * H], pages [S * H], origins [S, 3]), a thread for each of
    B * H: all of a brick but its densities and rows."""
    densities: Any
    """(tables, mask, stored densities [N], unit [1], ranks, density [S * V]), a thread for each of
    B * V; after `ranks`."""
    rows: Any
    """(tables, stored coefficients [N, 3 K], rows [P * PAGE_ROWS, W]), a thread for each number of
    the pages."""


_STEADY = """
    union { double number; long long bits; } value;
    value.number = number;
    value.bits += ((1LL << (SPARE - 1)) - 1) + ((value.bits >> SPARE) & 1);
    value.bits = (value.bits >> SPARE) << SPARE;
    return value.number;
""".replace("SPARE", str(_MANTISSA_BITS + 1 - STEADY_BITS))


@wp.func_native(_STEADY)
def _steady(number: wp.float64) -> wp.float64:
    """Rounded to `STEADY_BITS` binary digits, ties to even."""
    ...


_PAIR = {
    "float16": """
    wp::half first(low), second(high);
    return static_cast<unsigned int>(first.u) | static_cast<unsigned int>(second.u) << 16;
""",
    "float32": """
    union { float number; unsigned int bits; } first, second;
    first.number = low;
    second.number = high;
    return static_cast<unsigned long long>(first.bits)
        | static_cast<unsigned long long>(second.bits) << 32;
""",
}


@cache
def uploads(
    basis_dim: int, brick_size: int, precision: str, sh_dtype: str, max_bricks: int
) -> Uploads:
    """Kernels for a pool of `precision` (float16 or float32) and rows of `sh_dtype`, where a batch has
    at most `max_bricks` bricks, B."""
    half = precision == "float16"
    pair, number = (wp.uint32, wp.float16) if half else (wp.uint64, wp.float32)
    stored = wp.float16 if sh_dtype == "float16" else wp.float32
    voxels = (brick_size + 1) ** 3
    # Apart: Warp would give a constant that is converted in one place the new type in all.
    slot_voxels = wp.constant(wp.int64(voxels))
    most = wp.constant(wp.float64(LARGEST_DENSITY[precision]))
    least = wp.constant(wp.float64(float(np.finfo(precision).smallest_subnormal)))
    first_start = 2 + 6 * max_bricks

    @wp.func_native(_PAIR[precision])
    def pair_of(low: wp.float32, high: wp.float32) -> pair: ...

    @wp.func
    def word_of(
        mask: wp.array2d(dtype=wp.uint32), brick: wp.int32, half_word: wp.int32
    ) -> wp.uint32:
        """The bits of `RANKED` voxels."""
        return (mask[brick, half_word >> 1] >> wp.uint32(16 * (half_word & 1))) & wp.uint32(0xFFFF)

    @wp.kernel(enable_backward=False, module="unique")
    def ranks_kernel(
        tables: wp.array(dtype=wp.int32),
        mask: wp.array2d(dtype=wp.uint32),
        ranks: wp.array(dtype=wp.uint32),
        pages: wp.array(dtype=wp.uint32),
        origins: wp.array2d(dtype=wp.int32),
    ) -> None:
        words = mask.shape[1] * 2
        thread = wp.tid()
        brick = thread // words
        nth = thread - brick * words
        if brick >= tables[0]:
            return
        place = 2 + 6 * brick
        slot = tables[place]
        before = wp.int32(0)
        for word in range(nth >> 1):
            before += wp.bit_count(mask[brick, word])
        if (nth & 1) != 0:
            before += wp.bit_count(word_of(mask, brick, nth - 1))
        at = wp.int64(slot) * wp.int64(words) + wp.int64(nth)
        ranks[at] = word_of(mask, brick, nth) | (wp.uint32(before) << wp.uint32(RANKED))
        n_pages = (tables.shape[0] - first_start) // 2
        page = wp.min(tables[place + 5] + nth, n_pages - 1)
        pages[at] = wp.uint32(tables[first_start + n_pages + page])
        if nth < 3:
            origins[slot, nth] = tables[place + 1 + nth]

    @wp.func
    def density_of(
        ranks: wp.array(dtype=wp.uint32),
        stored_density: wp.array(dtype=wp.float32),
        unit: wp.float64,
        first_rank: wp.int64,
        first_row: wp.int32,
        voxel: wp.int32,
    ) -> wp.float32:
        """Of a voxel, per unit; 0 where it has no row."""
        counted = ranks[first_rank + wp.int64(voxel // RANKED)]
        bit = wp.uint32(1) << wp.uint32(voxel % RANKED)
        if (counted & bit) == wp.uint32(0):
            return wp.float32(0.0)
        rank = wp.int32(counted >> wp.uint32(RANKED)) + wp.bit_count(counted & (bit - wp.uint32(1)))
        density = stored_density[first_row + rank]
        value = wp.clamp(wp.float64(density) * unit, -most, most)
        if density > 0.0:
            value = wp.max(value, least)
        if wp.static(half):
            value = _steady(value)
        return wp.float32(value)

    @wp.kernel(enable_backward=False, module="unique")
    def densities_kernel(
        tables: wp.array(dtype=wp.int32),
        mask: wp.array2d(dtype=wp.uint32),
        stored_density: wp.array(dtype=wp.float32),
        unit: wp.array(dtype=wp.float64),
        ranks: wp.array(dtype=wp.uint32),
        density: wp.array(dtype=pair),
    ) -> None:
        thread = wp.tid()
        brick = thread // voxels
        voxel = thread - brick * voxels
        if brick >= tables[0]:
            return
        place = 2 + 6 * brick
        slot = wp.int64(tables[place])
        first_rank = slot * wp.int64(mask.shape[1] * 2)
        first_row = tables[place + 4]
        low = density_of(ranks, stored_density, unit[0], first_rank, first_row, voxel)
        high = wp.float32(0.0)
        if voxel + 1 < voxels:
            high = density_of(ranks, stored_density, unit[0], first_rank, first_row, voxel + 1)
        density[slot * slot_voxels + wp.int64(voxel)] = pair_of(low, high)

    @wp.kernel(enable_backward=False, module="unique")
    def rows_kernel(
        tables: wp.array(dtype=wp.int32),
        sh: wp.array2d(dtype=stored),
        rows: wp.array2d(dtype=number),
    ) -> None:
        thread = wp.tid()
        width = rows.shape[1]
        row = thread // width
        lane = thread - row * width
        page = row // PAGE_ROWS
        if page >= tables[1]:
            return
        inside = row - page * PAGE_ROWS
        n_pages = (tables.shape[0] - first_start) // 2
        source = tables[first_start + page] + inside
        target = tables[first_start + n_pages + page] * PAGE_ROWS + inside
        value = number(0.0)
        if lane < 3 * basis_dim:
            value = number(sh[source, (lane % 3) * basis_dim + lane // 3])
        rows[target, lane] = value

    return Uploads(ranks_kernel, densities_kernel, rows_kernel)
