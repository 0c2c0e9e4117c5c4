"""The way back of a ray: what a sample says of the rows that it was blended from, added to them.

`docs/rules.md`, rule 34. Rays that meet at a row add to it one after another, in any order on a GPU.

No annotation here may be a string: Warp reads them as they are.
"""

from functools import cache
from typing import Any

import warp as wp

from plenostream.integrator.interface import PAGE_ROWS
from plenostream.integrator.warp.kernels.gathers import Gathers
from plenostream.integrator.xla.kernels.state import RANKED

__all__ = ["LOSS_COLUMNS", "SPARSITY", "way_back"]

LOSS_COLUMNS = 9
"""Numbers of a ray that goes back: its colour; the loss's derivative by it; that by light that is left
times that light; that by alpha; and the weight of sparsity."""
SPARSITY = 8
"""The column of the last."""
_SPARSITY = wp.constant(SPARSITY)

_SHARE = """
    const unsigned int* ranked = ranks.data + static_cast<size_t>(ranks_first);
    const unsigned int* paged = pages.data + static_cast<size_t>(ranks_first);
    for (int corner = 0; corner < 8; ++corner) {{
        const int at = voxel + ((corner >> 2) * edge + ((corner >> 1) & 1)) * edge + (corner & 1);
        const unsigned int counted = ranked[at / {ranked}];
        const unsigned int bit = 1u << (at % {ranked});
        if (!(counted & bit))
            continue;
        const unsigned int rank = (counted >> {ranked}) + wp::bit_count(counted & (bit - 1u));
        const unsigned int row = paged[rank / {page}] * {page} + rank % {page};
        float* to = derivatives.data + static_cast<size_t>(row) * {columns};
        const float weight = ((corner & 4) ? x : 1.0f - x) * ((corner & 2) ? y : 1.0f - y)
            * ((corner & 1) ? z : 1.0f - z);
        #pragma unroll
        for (int i = 0; i < {columns}; ++i) {{
            const float share
                = weight * (i < {columns} - 1 ? by[i / {basis_dim}] * values[i % {basis_dim}] : by[3]);
            {add}
        }}
    }}
"""

_ADD = """
#if defined(__CUDA_ARCH__)
            atomicAdd(to + i, share);
#else
            to[i] += share;
#endif
"""


@cache
def way_back(basis_dim: int, of_pool: Gathers) -> tuple[Any, Any]:
    """Functions of a kernel:

    - (loss [R, LOSS_COLUMNS], ray, colour before the clamp and 0.5, what the ray has seen with it, weight,
      world length, light behind the sample, light that is left in the end if it is an opaque end and else
      below 0, density per world unit) -> derivatives [4] by the colour and the density of a sample.
    - (derivatives [rows, 3 K + 1], ranks, pages, first of a slot's ranks, voxel, edge, x, y, z, values, by [4])
      adds them, in their shares, to the rows of the corners of a cell: coefficients channel by channel,
      density last.
    """
    values_type = of_pool.values

    @wp.func
    def by_sample(
        loss: wp.array2d(dtype=wp.float32),
        ray: wp.int32,
        seen: wp.vec3,
        so_far: wp.vec3,
        weight: wp.float32,
        length: wp.float32,
        passes: wp.float32,
        left: wp.float32,
        sigma: wp.float32,
    ) -> wp.vec4:
        own = wp.float32(0.0)
        behind = wp.float32(0.0)
        by = wp.vec4(0.0, 0.0, 0.0, 0.0)
        for c in range(3):
            by_rgb = loss[ray, 3 + c]
            signed = seen[c] + 0.5
            own += by_rgb * wp.max(signed, 0.0)
            behind += by_rgb * (loss[ray, c] - so_far[c])
            by[c] = wp.where(signed > 0.0, by_rgb * weight, 0.0)
        by_left = loss[ray, 6]
        if left >= 0.0:
            # Nothing is behind it, whatever rounding has left: its length is 1e9.
            behind = 0.0
            by_left = loss[ray, 7] * left
        sparse = loss[ray, _SPARSITY] * 4.0 * sigma / (1.0 + 2.0 * sigma * sigma)
        by[3] = length * (own * passes - behind + by_left) + sparse
        return by

    share = _SHARE.format(
        ranked=RANKED,
        page=PAGE_ROWS,
        columns=3 * basis_dim + 1,
        basis_dim=basis_dim,
        add=_ADD,
    )

    @wp.func_native(share)
    def share_out(
        derivatives: wp.array2d(dtype=wp.float32),
        ranks: wp.array(dtype=wp.uint32),
        pages: wp.array(dtype=wp.uint32),
        ranks_first: wp.int64,
        voxel: wp.int32,
        edge: wp.int32,
        x: wp.float32,
        y: wp.float32,
        z: wp.float32,
        values: values_type,
        by: wp.vec4,
    ) -> None: ...

    return by_sample, share_out
