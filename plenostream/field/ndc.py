"""Normalised device coordinates (NDC): the space in which svox2 keeps forward-facing scenes.

A reference camera stands at the origin of the world and looks along +z. What lies between the plane
z = 1 and infinity becomes the box from -1 to 1: x and y as the reference camera's picture has them,
z as ``1 - 2 / z``. Straight lines stay straight, so a ray of the world is a ray there, and a scene is
drawn as any other once its rays are brought there (`docs/rules.md`, rule 24).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import GridSpec

__all__ = ["Ndc", "in_ndc", "looks_forward_facing", "ndc_factors", "ndc_rays"]

Ndc = tuple[float, float, float, float]
"""Width, height, fx and fy of the reference camera, in pixels."""


def ndc_factors(ndc: Ndc) -> NDArray[np.float64]:
    """What x / z and y / z are multiplied by, [2] (svox2: ``ndc_coeffs``)."""
    width, height, fx, fy = ndc
    return np.array([2.0 * fx / width, 2.0 * fy / height])


@cache
def in_ndc(make: Callable[..., tuple[Any, Any, Any]]) -> Callable[..., tuple[Any, Any, Any]]:
    """The rays of `make`, see `RaySource`, in NDC; its last array is that of `ndc_factors`.

    The same function for the same `make`, since programs are compiled for it.
    """

    def made(xp: Any, *arrays: Any) -> tuple[Any, Any, Any]:
        *given, factors = arrays
        return ndc_rays(xp, *make(xp, *given), factors)

    return made


def ndc_rays(xp: Any, origins: Any, dirs: Any, valid: Any, factors: Any) -> tuple[Any, Any, Any]:
    """Rays in NDC (svox2 ``utils.convert_to_ndc``).

    Parameters
    ----------
    xp : the array namespace, numpy or jax.numpy
    origins, dirs : [3, r] f64     world; directions of any length above zero
    valid : [r] bool
    factors : [2] f64

    Returns
    -------
    As given, in NDC. Rays begin at z = -1, the plane z = 1 of the world, even where their origin lies
    behind it. A ray that does not move along z never comes there: it is none.
    """
    moves = dirs[2] != 0.0
    dz = xp.where(moves, dirs[2], 1.0)
    slope = [dirs[0] / dz, dirs[1] / dz]
    # On the plane z = 1, positions are x / z and y / z themselves.
    at = [origins[axis] + (1.0 - origins[2]) * slope[axis] for axis in range(2)]
    ones = xp.ones_like(dz)
    starts = xp.stack([factors[0] * at[0], factors[1] * at[1], -ones])
    courses = [factors[axis] * (slope[axis] - at[axis]) for axis in range(2)]
    return starts, xp.stack([*courses, 2.0 * ones]), valid & moves


def looks_forward_facing(grid: GridSpec) -> bool:
    """Whether a volume is placed as svox2 places those of forward-facing scenes: z from -1 to 1, and
    a margin around the picture of the reference camera. Nothing else in a checkpoint tells."""
    (x, y, z), center = grid.radius, grid.center
    return z == 1.0 and x > 1.0 and y > 1.0 and center == (0.0, 0.0, 0.0)
