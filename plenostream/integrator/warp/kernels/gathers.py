"""Reading the pool: the eight corners of a cell, their densities and their colours.

Written in C++, since Warp's own indexing has no loads of more than one number: a colour row read
in words of 16 bytes takes a third of the time that it takes number by number on a GPU. Offsets are
of 64 bits: a pool may have more than 2^31 voxels.

No annotation here may be a string: Warp reads them as they are.
"""

from functools import cache
from typing import Any, NamedTuple

import warp as wp

from plenostream.integrator.interface import PAGE_ROWS
from plenostream.integrator.xla.kernels.state import RANKED, RowLayout

__all__ = ["Gathers", "gathers"]

_WORD = 16
"""Bytes that a thread loads at once, at most."""
_ROWS_AT_ONCE = {1: 8, 4: 8, 9: 8}
"""Rows of a cell that may be on their way together, by basis functions. Longer rows are many words
each: with all eight, 25 functions take 168 registers instead of 128 (sm_86, Warp 1.19)."""


class Gathers(NamedTuple):
    """Functions of a kernel, and the types that they take."""

    pair: Any
    """Type of a word of `Pool.density`."""
    number: Any
    """Type of a number of `Pool.rows`."""
    values: Any
    """Vector [K] of the values of a ray's basis functions."""
    basis_of: Any
    """(basis [R, K], ray) -> values."""
    densities_of: Any
    """(density, first, edge) -> the densities [8] of a cell's corners in C order."""
    blend: Any
    """(densities [8], x, y, z) -> density at fractions of a cell."""
    slope_at: Any
    """(densities [8], x, y, z) -> how their blend rises along each axis, at fractions of a cell."""
    colour_of: Any
    """(rows, ranks, pages, first of a slot's ranks, voxel, edge, x, y, z, values) -> colour at
    fractions x, y, z of a cell."""


_BASIS = """
    wp::vec_t<{basis_dim}, float> values;
    const float* from = basis.data + static_cast<size_t>(ray) * {basis_dim};
    #pragma unroll
    for (int m = 0; m < {basis_dim}; ++m)
        values[m] = from[m];
    return values;
"""

_DENSITIES = """
    wp::vec_t<8, float> corners;
    const {word}* from = density.data + static_cast<size_t>(first);
    #pragma unroll
    for (int i = 0; i < 4; ++i) {{
        const {word} both = from[((i >> 1) * edge + (i & 1)) * edge];
        {unpair}
    }}
    return corners;
"""

_UNPAIR = {
    "float16": """
        wp::half low, high;
        low.u = static_cast<unsigned short>(both);
        high.u = static_cast<unsigned short>(both >> 16);
        corners[2 * i] = wp::half_to_float(low);
        corners[2 * i + 1] = wp::half_to_float(high);""",
    "float32": """
        union { unsigned int bits; float number; } low, high;
        low.bits = static_cast<unsigned int>(both);
        high.bits = static_cast<unsigned int>(both >> 32);
        corners[2 * i] = low.number;
        corners[2 * i + 1] = high.number;""",
}

_COLOUR = """
    struct alignas({align}) Word {{ unsigned int bits[{align} / 4]; }};
    const unsigned int* ranked = ranks.data + static_cast<size_t>(ranks_first);
    const unsigned int* paged = pages.data + static_cast<size_t>(ranks_first);
    float colour[3] = {{0.0f, 0.0f, 0.0f}};
    #pragma unroll {at_once}
    for (int corner = 0; corner < 8; ++corner) {{
        const int at = voxel + ((corner >> 2) * edge + ((corner >> 1) & 1)) * edge + (corner & 1);
        const unsigned int counted = ranked[at / {ranked}];
        const unsigned int bit = 1u << (at % {ranked});
        const unsigned int rank = (counted >> {ranked}) + wp::bit_count(counted & (bit - 1u));
        const unsigned int row
            = counted & bit ? paged[rank / {page}] * {page} + rank % {page} : 0u;
        const Word* from
            = reinterpret_cast<const Word*>(rows.data + static_cast<size_t>(row) * {width});
        float sum[3] = {{0.0f, 0.0f, 0.0f}};
        #pragma unroll
        for (int i = 0; i < {words}; ++i) {{
            const Word word = from[i];
            #pragma unroll
            for (int j = 0; j < {per_word}; ++j) {{
                const int lane = i * {per_word} + j;
                if (lane < {lanes}) {{
                    {unpack}
                    sum[lane % 3] += values[lane / 3] * number;
                }}
            }}
        }}
        const float weight = ((corner & 4) ? x : 1.0f - x) * ((corner & 2) ? y : 1.0f - y)
            * ((corner & 1) ? z : 1.0f - z);
        #pragma unroll
        for (int c = 0; c < 3; ++c)
            colour[c] += weight * sum[c];
    }}
    return wp::vec_t<3, float>(colour[0], colour[1], colour[2]);
"""

_UNPACK = {
    "float16": """
                    wp::half packed;
                    packed.u = static_cast<unsigned short>(word.bits[j / 2] >> (16 * (j % 2)));
                    const float number = wp::half_to_float(packed);""",
    "float32": """
                    union { unsigned int bits; float number; } packed;
                    packed.bits = word.bits[j];
                    const float number = packed.number;""",
}


@cache
def gathers(basis_dim: int, precision: str) -> Gathers:
    """The functions for rows of 3 * `basis_dim` numbers of `precision` (float16 or float32)."""
    half = precision == "float16"
    pair, number = (wp.uint32, wp.float16) if half else (wp.uint64, wp.float32)
    item_bytes, width = (2 if half else 4), RowLayout(basis_dim).width
    align = min(_WORD, width * item_bytes)
    values_type = wp.types.vector(length=basis_dim, dtype=wp.float32)
    corners_type = wp.types.vector(length=8, dtype=wp.float32)

    @wp.func_native(_BASIS.format(basis_dim=basis_dim))
    def basis_of(basis: wp.array2d(dtype=wp.float32), ray: wp.int32) -> values_type: ...

    densities = _DENSITIES.format(
        word="unsigned int" if half else "unsigned long long", unpair=_UNPAIR[precision]
    )

    @wp.func_native(densities)
    def densities_of(
        density: wp.array(dtype=pair), first: wp.int64, edge: wp.int32
    ) -> corners_type: ...

    @wp.func
    def blend(c: Any, x: wp.float32, y: wp.float32, z: wp.float32) -> wp.float32:
        c00 = c[0] + (c[1] - c[0]) * z
        c01 = c[2] + (c[3] - c[2]) * z
        c10 = c[4] + (c[5] - c[4]) * z
        c11 = c[6] + (c[7] - c[6]) * z
        c0 = c00 + (c01 - c00) * y
        c1 = c10 + (c11 - c10) * y
        return c0 + (c1 - c0) * x

    @wp.func
    def slope_at(c: Any, x: wp.float32, y: wp.float32, z: wp.float32) -> wp.vec3:
        c00 = c[0] + (c[1] - c[0]) * z
        c01 = c[2] + (c[3] - c[2]) * z
        c10 = c[4] + (c[5] - c[4]) * z
        c11 = c[6] + (c[7] - c[6]) * z
        near_z = (c[1] - c[0]) + ((c[3] - c[2]) - (c[1] - c[0])) * y
        far_z = (c[5] - c[4]) + ((c[7] - c[6]) - (c[5] - c[4])) * y
        return wp.vec3(
            (c10 + (c11 - c10) * y) - (c00 + (c01 - c00) * y),
            (c01 - c00) + ((c11 - c10) - (c01 - c00)) * x,
            near_z + (far_z - near_z) * x,
        )

    lanes = 3 * basis_dim
    colour = _COLOUR.format(
        ranked=RANKED,
        page=PAGE_ROWS,
        at_once=_ROWS_AT_ONCE.get(basis_dim, 2),
        align=align,
        width=width,
        words=-(-lanes * item_bytes // align),
        per_word=align // item_bytes,
        lanes=lanes,
        unpack=_UNPACK[precision],
    )

    @wp.func_native(colour)
    def colour_of(
        rows: wp.array2d(dtype=number),
        ranks: wp.array(dtype=wp.uint32),
        pages: wp.array(dtype=wp.uint32),
        ranks_first: wp.int64,
        voxel: wp.int32,
        edge: wp.int32,
        x: wp.float32,
        y: wp.float32,
        z: wp.float32,
        values: values_type,
    ) -> wp.vec3: ...

    return Gathers(pair, number, values_type, basis_of, densities_of, blend, slope_at, colour_of)
