"""Where a sample lies, and how many steps lead out of a box: fixed point, the same on every device.

Positions are integers of 64 bits, in 2^-40 of a grid unit: which cell a sample lies in is exact
integer arithmetic, without the float64 units that most GPUs have few of. From one brick on, float32
is enough.

No annotation here may be a string: Warp reads them as they are.
"""

import warp as wp

__all__ = [
    "POINT",
    "cell_of",
    "count_out",
    "course_of",
    "inside_of",
    "inverse_of",
    "opacity_of",
    "steps_in",
    "steps_out",
]

POINT = 40
"""Binary digits after the point."""
_LOCAL = 24
"""Binary digits after the point of a position inside a brick, an int32."""
_FAR = 16
"""Binary digits after the point of a way through the grid, an int32."""
_LONGEST = 2.0**20
"""Grid units; a ray with longer steps has one sample."""

_TO_CELL = wp.constant(wp.int64(POINT))
_TO_LOCAL = wp.constant(wp.int64(POINT - _LOCAL))
_TO_WAY = wp.constant(wp.int64(POINT - _FAR))
_CELL = wp.constant(2.0**-_LOCAL)
_WAY = wp.constant(2.0**-_FAR)
_PER_DIRECTION = wp.constant(wp.float64(2.0 ** (POINT - 30)))
_MOST = wp.constant(wp.float64(_LONGEST))
_NEVER = wp.constant(1.0e9)
_STEEPEST = wp.constant(1.0e30)
_SIXTH = wp.constant(1.0 / 6.0)
_24TH = wp.constant(1.0 / 24.0)
_LESS = wp.constant(1.0 - 2.0**-20)


@wp.func
def course_of(direction: wp.int32, step: wp.float64) -> wp.int64:
    """From one sample to the next, fixed point; `direction` in 2^-30."""
    return wp.int64(wp.rint(wp.float64(direction) * wp.min(step, _MOST) * _PER_DIRECTION))


@wp.func
def cell_of(position: wp.int64, last: wp.int32) -> wp.int32:
    """The cell of a position, which is clamped to the grid; `last` is the last cell."""
    return wp.clamp(wp.int32(position >> _TO_CELL), 0, last)


@wp.func
def inside_of(position: wp.int64, corner: wp.int32) -> wp.float32:
    """A position inside the brick whose first voxel is `corner`, in cells."""
    return wp.float32(wp.int32((position - (wp.int64(corner) << _TO_CELL)) >> _TO_LOCAL)) * _CELL


@wp.func
def inverse_of(along: wp.float32) -> wp.float32:
    """Steps per cell; large where a ray does not move along an axis."""
    return wp.where(along == 0.0, _STEEPEST, 1.0 / along)


@wp.func
def count_out(
    at: wp.float32,
    inverse: wp.float32,
    low: wp.int32,
    high: wp.int32,
    corner: wp.int32,
    last: wp.int32,
) -> wp.float32:
    """Samples until cells [low, high) are left on this axis, from `at` inside them, counted from `corner`.

    Never at the border of the grid: boxes there reach on, since positions are clamped.
    """
    if inverse > 0.0:
        if high > last:
            return _NEVER
        return (wp.float32(high - corner) - at) * inverse
    if low <= 0:
        return _NEVER
    return (wp.float32(low - corner) - at) * inverse


@wp.func
def opacity_of(thickness: wp.float32) -> wp.float32:
    """1 - exp(-thickness): below 0.1, the difference from 1 would keep few digits."""
    if thickness < 0.1:
        return thickness * (1.0 - thickness * (0.5 - thickness * (_SIXTH - thickness * _24TH)))
    return 1.0 - wp.exp(-thickness)


@wp.func
def steps_to(position: wp.int64, inverse: wp.float32, plane: wp.int32) -> wp.float32:
    """Steps to a plane of the grid, at `inverse` steps per cell; below zero where it lies behind.

    Never more than there are, by less than 2^-14 of a cell and a millionth: a sample that is
    looked at once more costs little, one that is passed over is lost.
    """
    way = wp.float32(wp.int32(((wp.int64(plane) << _TO_CELL) - position) >> _TO_WAY))
    return (wp.where(inverse > 0.0, way, -way) - 2.0) * _WAY * wp.abs(inverse) * _LESS


@wp.func
def steps_out(
    position: wp.int64, inverse: wp.float32, low: wp.int32, high: wp.int32, last: wp.int32
) -> wp.float32:
    """Steps until cells [low, high) are left on this axis.

    Never at the border of the grid: positions are clamped there.
    """
    if inverse > 0.0:
        if high > last:
            return _NEVER
        return steps_to(position, inverse, high)
    if low <= 0:
        return _NEVER
    return steps_to(position, inverse, low)


@wp.func
def steps_in(
    position: wp.int64, inverse: wp.float32, low: wp.int32, high: wp.int32, last: wp.int32
) -> wp.float32:
    """Steps until cells [low, high) are entered on this axis; below zero where they are already."""
    if inverse > 0.0:
        if low <= 0:
            return -_NEVER
        return steps_to(position, inverse, low)
    if high > last:
        return -_NEVER
    return steps_to(position, inverse, high)
