"""Weights of samples: the largest that one took from its ray next to each voxel.

As svox2 prunes by it (`grid_weight_render` of its `misc_kernel.cu`): a sample counts for the eight voxels
around it.

No annotation here may be a string: Warp reads them as they are.
"""

from functools import cache
from typing import Any

import warp as wp

__all__ = ["clearing_kernel", "raise_corners"]

# Weights are not below 0: their bits, as whole numbers, have the order of the numbers, and whole numbers
# are raised in one instruction. They never fall in a walk, so a look at what is there, however old, tells
# of most samples that they raise nothing.
_RAISE = """
    float* from = weights.data + static_cast<size_t>(first);
    for (int corner = 0; corner < 8; ++corner) {
        float* to = from + ((corner >> 2) * edge + ((corner >> 1) & 1)) * edge + (corner & 1);
        if (*to < weight) {
#if defined(__CUDA_ARCH__)
            atomicMax(reinterpret_cast<int*>(to), __float_as_int(weight));
#else
            *to = weight;
#endif
        }
    }
"""


@wp.func_native(_RAISE)
def raise_corners(
    weights: wp.array2d(dtype=wp.float32),
    first: wp.int64,
    edge: wp.int32,
    weight: wp.float32,
) -> None:
    """Raise to `weight` what is less at the corners of the cell whose first is voxel `first` of the pool."""
    ...


@cache
def clearing_kernel() -> Any:
    """The kernel (slots [B], weights [S, V]), a thread for each of B times V, that makes the weights of
    some slots 0; below 0 stands no slot."""

    @wp.kernel(enable_backward=False, module="unique")
    def clear(slots: wp.array(dtype=wp.int32), weights: wp.array2d(dtype=wp.float32)) -> None:
        number, voxel = wp.tid()
        slot = slots[number]
        if slot >= 0:
            weights[slot, voxel] = 0.0

    return clear
