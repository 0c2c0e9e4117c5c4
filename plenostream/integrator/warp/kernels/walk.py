"""The walk: one thread brings one ray through the bricks that are there.

::

    until the ray is at its end, or opaque, or at a brick that is not in the pool:
        group of 32^3 cells empty    over it, and over the empty ones around it
        block of 8^3 cells empty     over it
        outside its tight box        to the box, or over the block
        inside                       samples, until the box is left

A ray keeps the number of its next sample, so the walk goes on where it stopped. It looks at each
sample once, in order, whatever is in the pool at which time: a picture does not depend on the waves
that it was drawn in. What happens at a sample is `docs/rules.md`, rules 8 to 14 (svox2
`render_lerp_kernel_cuvol.cu`, trace_ray_cuvol); the oracle is `reference.render_rays`.

No annotation here may be a string: Warp reads them as they are.
"""

from functools import cache
from typing import Any

import warp as wp

from plenostream.field.aovs import NO_AOVS, Aovs
from plenostream.integrator.interface import LEFT_OUT, Light
from plenostream.integrator.warp.kernels.back import way_back
from plenostream.integrator.warp.kernels.boxes import box_at
from plenostream.integrator.warp.kernels.gathers import gathers
from plenostream.integrator.warp.kernels.places import (
    POINT,
    cell_of,
    count_out,
    course_of,
    inside_of,
    inverse_of,
    opacity_of,
    steps_in,
    steps_out,
)
from plenostream.integrator.warp.kernels.weigh import raise_corners

__all__ = ["BLOCK_THREADS", "COUNTER_ROWS", "IN_OUT", "walk_kernel"]

BLOCK_THREADS = 64
"""Threads of a block on a GPU, a tile. A kernel of 130 registers runs 896 threads a processor so; in
blocks of 256, only 256."""

COUNTER_ROWS = 1024
"""Rays are counted in so many places: on a GPU, additions to one place would queue up."""
IN_OUT = "trans gathered left aovs next_sample waits_for counters weights derivatives".split()
"""Arguments of the kernel that are changed in place."""

_PER_DIRECTION = wp.constant(2.0**-30)
_SLACK = wp.constant(0.01)
"""Steps by which a box may be missed and is still looked into."""
_POINT = wp.constant(POINT)
_LEFT_OUT = wp.constant(LEFT_OUT)
_COUNTED = wp.constant(COUNTER_ROWS - 1)


@cache
def walk_kernel(
    basis_dim: int,
    precision: str,
    light: Light,
    asked: Aovs = NO_AOVS,
    *,
    weighs: bool = False,
    goes_back: bool = False,
) -> Any:
    """The kernel for `basis_dim` functions, a pool of `precision` (float16 or float32), a `light`, and
    what rays are `asked` for beside colour, depth and alpha; for rays that are drawn, whose samples it
    weighs, or that go back.

    Its arguments are those of `RayConstants` (R rays), `Pool`, `WalkMap`, `Numbers`, `WalkBack`,
    `WalkState`, `slot_of` [b] i32: the slot of each row of `BoxMap.bricks`, below 0 where the brick is
    not in the pool, and weights [S, V] f32. A ray that comes to such a brick stops before its first
    sample there.
    """
    of_pool = gathers(basis_dim, precision)
    pair, number = of_pool.pair, of_pool.number
    basis_of, densities_of = of_pool.basis_of, of_pool.densities_of
    colour_of, slope_at, blend = of_pool.colour_of, of_pool.slope_at, of_pool.blend
    # Constants, so that what they leave out is not compiled.
    adds_up = wp.constant(light is Light.ADDS_UP)
    opaque_end = wp.constant(light is Light.OPAQUE_END)
    median_at = wp.constant(asked.first("median-depth"))
    density_at = wp.constant(asked.first("density-depth"))
    normals_at = wp.constant(asked.first("normals"))
    cost_at = wp.constant(asked.first("cost"))
    weighed = wp.constant(weighs)
    turned = wp.constant(goes_back)
    by_sample, share_out = way_back(basis_dim, of_pool)

    @wp.kernel(enable_backward=False, module="unique")
    def walk(
        n_samples: wp.array(dtype=wp.int32),
        entry: wp.array2d(dtype=wp.int32),
        direction: wp.array2d(dtype=wp.int32),
        basis: wp.array2d(dtype=wp.float32),
        density: wp.array(dtype=pair),
        ranks: wp.array(dtype=wp.uint32),
        pages: wp.array(dtype=wp.uint32),
        rows: wp.array2d(dtype=number),
        groups: wp.array2d(dtype=wp.uint32),
        boxes: wp.array2d(dtype=wp.uint32),
        slot_of: wp.array(dtype=wp.int32),
        step: wp.array(dtype=wp.float64),
        reals: wp.array(dtype=wp.float32),
        wholes: wp.array(dtype=wp.int32),
        loss: wp.array2d(dtype=wp.float32),
        trans: wp.array(dtype=wp.float32),
        gathered: wp.array(dtype=wp.vec4),
        left: wp.array(dtype=wp.float32),
        aovs: wp.array2d(dtype=wp.float32),
        next_sample: wp.array(dtype=wp.int32),
        waits_for: wp.array(dtype=wp.int32),
        counters: wp.array2d(dtype=wp.int32),
        weights: wp.array2d(dtype=wp.float32),
        derivatives: wp.array2d(dtype=wp.float32),
    ) -> None:
        ray = wp.tid()
        n = n_samples[ray]
        k = next_sample[ray]
        light = trans[ray]
        if k >= n or light <= 0.0:
            return

        last_x = wholes[0] - 2
        last_y = wholes[1] - 2
        last_z = wholes[2] - 2
        brick_size = wholes[5]
        edge = brick_size + 1
        voxels = wp.int64(edge * edge * edge)
        ranks_of_slot = wp.int64(wholes[7])
        to_point = wp.int64(_POINT - wholes[6])
        stride = wp.float32(step[0])

        entry_x = wp.int64(entry[0, ray]) << to_point
        entry_y = wp.int64(entry[1, ray]) << to_point
        entry_z = wp.int64(entry[2, ray]) << to_point
        course_x = course_of(direction[0, ray], step[0])
        course_y = course_of(direction[1, ray], step[0])
        course_z = course_of(direction[2, ray], step[0])
        unit_x = wp.float32(direction[0, ray]) * _PER_DIRECTION
        unit_y = wp.float32(direction[1, ray]) * _PER_DIRECTION
        unit_z = wp.float32(direction[2, ray]) * _PER_DIRECTION
        along_x = unit_x * stride
        along_y = unit_y * stride
        along_z = unit_z * stride
        inverse_x = inverse_of(along_x)
        inverse_y = inverse_of(along_y)
        inverse_z = inverse_of(along_z)
        tau = stride * wp.length(wp.vec3(unit_x * reals[0], unit_y * reals[1], unit_z * reals[2]))
        values = basis_of(basis, ray)

        # Added to in the order of the samples: so many waves give the very bits of one.
        so_far = gathered[ray]
        colour = wp.vec3(so_far[0], so_far[1], so_far[2])
        numbers = so_far[3]
        behind = light
        if adds_up:
            behind = left[ray]
        median = wp.float32(0.0)
        dense = wp.float32(0.0)
        normal = wp.vec3(0.0, 0.0, 0.0)
        steepness = wp.vec3(reals[7], reals[8], reals[9])
        if median_at >= 0:
            median = aovs[ray, median_at]
        if density_at >= 0:
            dense = aovs[ray, density_at]
        if normals_at >= 0:
            normal = wp.vec3(
                aovs[ray, normals_at], aovs[ray, normals_at + 1], aovs[ray, normals_at + 2]
            )
        n_boxes = wp.int32(0)
        n_marched = wp.int32(0)
        n_shaded = wp.int32(0)
        while k < n and light > 0.0:
            at_x = entry_x + wp.int64(k) * course_x
            at_y = entry_y + wp.int64(k) * course_y
            at_z = entry_z + wp.int64(k) * course_z
            cell_x = cell_of(at_x, last_x)
            cell_y = cell_of(at_y, last_y)
            cell_z = cell_of(at_z, last_z)

            # Where there is nothing: the empty groups around, or a block, or all but its box.
            shift, reach, box = box_at(groups, cell_x, cell_y, cell_z, wholes[3], wholes[4])
            low_x = ((cell_x >> shift) - reach + 1) << shift
            low_y = ((cell_y >> shift) - reach + 1) << shift
            low_z = ((cell_z >> shift) - reach + 1) << shift
            high_x = ((cell_x >> shift) + reach) << shift
            high_y = ((cell_y >> shift) + reach) << shift
            high_z = ((cell_z >> shift) + reach) << shift
            inside = box >= 0
            enter = wp.float32(0.0)
            if inside:
                corners = wp.int32(boxes[box, 0])
                high_x = low_x + ((corners >> 12) & 15)
                high_y = low_y + ((corners >> 16) & 15)
                high_z = low_z + ((corners >> 20) & 15)
                low_x += corners & 15
                low_y += (corners >> 4) & 15
                low_z += (corners >> 8) & 15
                inside = (
                    low_x <= cell_x
                    and cell_x < high_x
                    and low_y <= cell_y
                    and cell_y < high_y
                    and low_z <= cell_z
                    and cell_z < high_z
                )
            brick = wp.int32(0)
            slot = wp.int32(_LEFT_OUT)
            if inside:
                brick = wp.int32(boxes[box, 1])
                slot = slot_of[brick]
                if slot == _LEFT_OUT:
                    inside = False
                    box = -1
            if not inside:
                ahead = wp.min(
                    steps_out(at_x, inverse_x, low_x, high_x, last_x),
                    wp.min(
                        steps_out(at_y, inverse_y, low_y, high_y, last_y),
                        steps_out(at_z, inverse_z, low_z, high_z, last_z),
                    ),
                )
                if box >= 0:
                    enter = wp.max(
                        steps_in(at_x, inverse_x, low_x, high_x, last_x),
                        wp.max(
                            steps_in(at_y, inverse_y, low_y, high_y, last_y),
                            steps_in(at_z, inverse_z, low_z, high_z, last_z),
                        ),
                    )
                    if enter <= ahead + _SLACK:
                        ahead = enter
                    else:
                        low_x = (cell_x >> 3) << 3
                        low_y = (cell_y >> 3) << 3
                        low_z = (cell_z >> 3) << 3
                        ahead = wp.min(
                            steps_out(at_x, inverse_x, low_x, low_x + 8, last_x),
                            wp.min(
                                steps_out(at_y, inverse_y, low_y, low_y + 8, last_y),
                                steps_out(at_z, inverse_z, low_z, low_z + 8, last_z),
                            ),
                        )
                k += wp.max(1, wp.int32(wp.ceil(wp.min(ahead, wp.float32(n)))))
            else:
                if slot < 0:
                    # Any of them may be the one that is named: no atomics.
                    waits_for[0] = brick + 1
                    break
                corner_x = cell_x & ~(brick_size - 1)
                corner_y = cell_y & ~(brick_size - 1)
                corner_z = cell_z & ~(brick_size - 1)
                here_x = inside_of(at_x, corner_x)
                here_y = inside_of(at_y, corner_y)
                here_z = inside_of(at_z, corner_z)
                out = wp.min(
                    count_out(here_x, inverse_x, low_x, high_x, corner_x, last_x),
                    wp.min(
                        count_out(here_y, inverse_y, low_y, high_y, corner_y, last_y),
                        count_out(here_z, inverse_z, low_z, high_z, corner_z, last_z),
                    ),
                )
                count = wp.max(1, wp.int32(wp.ceil(wp.min(out, wp.float32(n - k)))))
                top_x = wp.float32(wp.min(last_x + 1 - corner_x, brick_size))
                top_y = wp.float32(wp.min(last_y + 1 - corner_y, brick_size))
                top_z = wp.float32(wp.min(last_z + 1 - corner_z, brick_size))
                base = wp.int64(slot) * voxels
                ranks_first = wp.int64(slot) * ranks_of_slot
                j = wp.int32(0)
                while j < count and light > 0.0:
                    way = wp.float32(j)
                    x = wp.clamp(here_x + way * along_x, 0.0, top_x)
                    y = wp.clamp(here_y + way * along_y, 0.0, top_y)
                    z = wp.clamp(here_z + way * along_z, 0.0, top_z)
                    i_x = wp.min(wp.int32(x), brick_size - 1)
                    i_y = wp.min(wp.int32(y), brick_size - 1)
                    i_z = wp.min(wp.int32(z), brick_size - 1)
                    x -= wp.float32(i_x)
                    y -= wp.float32(i_y)
                    z -= wp.float32(i_z)
                    voxel = (i_x * edge + i_y) * edge + i_z
                    c = densities_of(density, base + wp.int64(voxel), edge)
                    sigma = blend(c, x, y, z)
                    if sigma > reals[3]:
                        after = light * wp.exp(-sigma * tau)
                        weight = light - after
                        numbers += weight * wp.float32(k + j)
                        if median_at >= 0:
                            if median < 0.0 and after < 0.5:
                                median = wp.float32(k + j)
                        if density_at >= 0:
                            if dense < 0.0 and sigma > reals[6]:
                                dense = wp.float32(k + j)
                        # At the far border of the grid, a sample lies at the end of its cell.
                        s_x = wp.min(i_x, last_x - corner_x)
                        s_y = wp.min(i_y, last_y - corner_y)
                        s_z = wp.min(i_z, last_z - corner_z)
                        inner = base + wp.int64((s_x * edge + s_y) * edge + s_z)
                        if normals_at >= 0:
                            slope = slope_at(
                                densities_of(density, inner, edge),
                                x + wp.float32(i_x - s_x),
                                y + wp.float32(i_y - s_y),
                                z + wp.float32(i_z - s_z),
                            )
                            normal -= weight * wp.cw_mul(slope, steepness)
                        if adds_up:
                            weight = wp.min(opacity_of(sigma * tau), behind)
                            behind -= weight
                        if opaque_end:
                            behind = after
                            if k + j == n - 1:
                                behind = light * wp.exp(-sigma * reals[5])
                                weight = light - behind
                            if behind < reals[4]:
                                behind = 0.0
                        if weighed:
                            raise_corners(weights, inner, edge, weight)
                        seen = colour_of(
                            rows, ranks, pages, ranks_first, voxel, edge, x, y, z, values
                        )
                        colour += weight * wp.vec3(
                            wp.max(seen[0] + 0.5, 0.0),
                            wp.max(seen[1] + 0.5, 0.0),
                            wp.max(seen[2] + 0.5, 0.0),
                        )
                        if turned:
                            length = tau
                            passes = after
                            left_then = wp.float32(-1.0)
                            if opaque_end:
                                if k + j == n - 1:
                                    length = reals[5]
                                    passes = light - weight
                                    left_then = behind
                            by = by_sample(
                                loss,
                                ray,
                                seen,
                                colour,
                                weight,
                                length * reals[10],
                                passes,
                                left_then,
                                sigma / reals[10],
                            )
                            share_out(
                                derivatives,
                                ranks,
                                pages,
                                ranks_first,
                                voxel,
                                edge,
                                x,
                                y,
                                z,
                                values,
                                by,
                            )
                        n_shaded += 1
                        # Below zero: the ray has ended, with so much light left.
                        light = wp.where(after < reals[4], -after, after)
                    j += 1
                k += j
                n_boxes += 1
                n_marched += j

        next_sample[ray] = k
        if n_marched > 0:
            trans[ray] = light
            gathered[ray] = wp.vec4(colour[0], colour[1], colour[2], numbers)
            if median_at >= 0:
                aovs[ray, median_at] = median
            if density_at >= 0:
                aovs[ray, density_at] = dense
            if normals_at >= 0:
                for axis in range(3):
                    aovs[ray, normals_at + axis] = normal[axis]
            if cost_at >= 0:
                aovs[ray, cost_at] = aovs[ray, cost_at] + wp.float32(n_shaded)
            if adds_up:
                left[ray] = wp.where(light > 0.0, behind, 0.0)
            if opaque_end:
                left[ray] = behind
            place = (ray >> 5) & _COUNTED
            wp.atomic_add(counters, place, 0, n_boxes)
            wp.atomic_add(counters, place, 1, n_marched)
            wp.atomic_add(counters, place, 2, n_shaded)

    return walk
