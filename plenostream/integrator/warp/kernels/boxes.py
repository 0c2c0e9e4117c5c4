"""What `BoxMap` says of a cell, see `integrator.warp.boxmap`.

No annotation here may be a string: Warp reads them as they are.
"""

import warp as wp

__all__ = ["box_at"]


@wp.func
def box_at(
    groups: wp.array2d(dtype=wp.uint32),
    cell_x: wp.int32,
    cell_y: wp.int32,
    cell_z: wp.int32,
    groups_y: wp.int32,
    groups_z: wp.int32,
) -> tuple[wp.int32, wp.int32, wp.int32]:
    """Binary digits of the edge of a unit of cells; how many units, the cell's own included, are alike
    each way; and the box in there, below 0 where there is none.

    The unit is the cell's block, or where its whole group is empty, the group.
    """
    group = ((cell_x >> 5) * groups_y + (cell_y >> 5)) * groups_z + (cell_z >> 5)
    lower = groups[group, 0]
    upper = groups[group, 1]
    shift = wp.int32(3)
    reach = wp.int32(1)
    box = wp.int32(-1)
    if (lower | upper) == wp.uint32(0):
        shift = 5
        reach = wp.int32(groups[group, 3])
    else:
        bit = (((cell_x >> 3) & 1) << 4) | (((cell_y >> 3) & 3) << 2) | ((cell_z >> 3) & 3)
        in_upper = (cell_x & 16) != 0
        word = wp.where(in_upper, upper, lower)
        if ((word >> wp.uint32(bit)) & wp.uint32(1)) != wp.uint32(0):
            below = word & ((wp.uint32(1) << wp.uint32(bit)) - wp.uint32(1))
            box = wp.int32(groups[group, 2]) + wp.bit_count(below)
            if in_upper:
                box += wp.bit_count(lower)
    return shift, reach, box
