"""Numbers on the device: their type, the length that densities are per, and how they are rounded.

A checkpoint's densities are per world unit, whatever that is: the same scene has densities of
1e-6 when its radius is 1e6 and of 1e6 when it is 1e-6, and float16 holds neither well. On the
device they are per `density_unit`, about a voxel, so that pictures do not depend on the unit of
length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InvalidInput
from plenostream.field.grid import GridSpec

__all__ = [
    "LARGEST_DENSITY",
    "STEADY_BITS",
    "ChosenPrecision",
    "choose_precision",
    "density_rounding",
    "density_unit",
    "device_densities",
    "float16_densities",
    "pixel_shift",
]

Norms = tuple[float, float, float]
"""Norms of parts of a row, or of the values of its functions."""
LARGEST_DENSITY = {"float16": 65504.0, "float32": 1e30}
"""Largest densities on the device, per `density_unit`. A voxel of this density is opaque already;
larger ones would be infinite in float16, and their sums could be in float32."""
_BRIGHTEST = 1e30
"""Largest colour of a sample: sums of such colours are finite in float32."""
_COLOUR_SHIFT = 1 / 32
"""Largest change of a colour, by rounding coefficients to float16, that counts as safe."""
_THRESHOLD = 1e-3
"""Largest optical depth of a sample of density `sigma_thresh` that counts as safe in float16: above
it, it shows whether rounding puts the sample on one side of the threshold or the other."""
STEADY_BITS = 20
"""Binary digits of a density that do not depend on the scene's unit of length; float32 has 24."""
_DENSITIES_AT_ONCE = 1 << 16
"""Densities that are rounded together: float64 temporaries take several times their bytes."""
_TINY, _HUGE = 2.0**-120, 2.0**120
"""World lengths that float32 holds, with room for sums and for a depth beyond the volume."""
_STRETCHED = 1e12
"""Largest ratio of a voxel's edges that float32 holds."""


@dataclass(frozen=True, slots=True)
class ChosenPrecision:
    """The type of what is held on the device."""

    name: str
    """float16 or float32."""
    why: str
    """A clause for messages: why `auto` took float32, or what float16, where it was asked for, may change
    in the picture. Empty where there is nothing to say."""


def brightest(sh_bound: NDArray[np.floating], basis_bound: Norms) -> float:
    """Bound on a sample's channel without its 0.5.

    Parameters
    ----------
    sh_bound : [n, 3]   ``bricks/sh_bound``: largest norms of the coefficients of the first function,
        of the three after it, and of the others
    basis_bound : the same of the functions' values, see `Basis.bound`

    Notes
    -----
    A sum of products is at most the product of the norms; interpolation between voxels adds nothing.
    """
    bounds = np.asarray(sh_bound, np.float64)
    return float((bounds @ np.asarray(basis_bound)).max(initial=0.0))


def colour_shift(sh_bound: NDArray[np.floating], basis_bound: Norms) -> float:
    """Largest change of a channel of a pixel when coefficients are rounded to float16.

    A coefficient changes by its 2^-11 at most, or by 2^-25 below float16's normal numbers, and so
    a sample's channel by 2^-11 of `brightest`, beside 1e-6. The weights of a ray's samples add up
    to 1 at most, so a pixel's channel changes by no more.
    """
    return brightest(sh_bound, basis_bound) * 2.0**-11 + 1e-6


def pixel_shift(sh_bound: NDArray[np.floating], basis_bound: Norms, sh_dtype: str) -> float:
    """How much float16 on the device changes a channel of a pixel at most, to first order.

    Parameters
    ----------
    sh_bound : [n, 3]     ``bricks/sh_bound`` of the bricks that can be drawn
    basis_bound : [3]     see `Basis.bound`
    sh_dtype : str        type of the coefficients in the store: float16 is not rounded again

    Notes
    -----
    A density changes by its 2^-11 at most, so each sample's optical depth a_i by that share. The
    pixel then changes by 2^-11 sum_i a_i T_{i+1} |c_i - r_i|, with T_{i+1} the light left behind
    the sample, c_i its colour and r_i what is seen behind it; the sum of a_i T_{i+1} is at most
    the integral of exp(-x), which is 1, and colours differ by no more than the brightest, or the
    background of 1. What coefficients add is `colour_shift`. Not counted: densities of opposite
    signs in one cell, where little is left of much, and densities below 6e-5 of a voxel.
    """
    spread = max(1.0, 0.5 + brightest(sh_bound, basis_bound))
    rounded = 0.0 if sh_dtype == "float16" else colour_shift(sh_bound, basis_bound)
    return spread * 2.0**-11 + rounded


def choose_precision(
    wanted: str,
    *,
    sh_bound: NDArray[np.floating],
    basis_bound: Norms,
    sh_dtype: str,
    threshold: float,
) -> ChosenPrecision:
    """The type that the numbers of a scene are held in.

    Parameters
    ----------
    wanted : "auto", "float16" or "float32"
    sh_bound : [n, 3]     ``bricks/sh_bound`` of the bricks that can be drawn
    basis_bound : [3]     see `Basis.bound`
    sh_dtype : str        type of the coefficients in the store
    threshold : float     optical depth of one sample whose density is just drawn

    Raises
    ------
    InvalidInput : float16 is wanted, and coefficients may be infinite in it; or colours may be
    beyond float32.
    """
    most = brightest(sh_bound, basis_bound)
    if not most <= _BRIGHTEST:
        raise InvalidInput(
            f"the scene's coefficients make colours up to {most:.3g}; pictures are computed in "
            f"float32, which takes colours up to {_BRIGHTEST:g}. Convert the model with smaller ones"
        )
    if wanted == "float32":
        return ChosenPrecision("float32", "")
    largest = float(np.max(sh_bound, initial=0.0))
    rounded = sh_dtype != "float16"
    if rounded and not largest <= LARGEST_DENSITY["float16"]:
        why = f"coefficients reach {largest:.3g} and may be infinite in float16"
        if wanted == "float16":
            raise InvalidInput(
                f"precision is float16, but the scene's {why}, which ends at "
                f"{LARGEST_DENSITY['float16']:g}; use precision auto or float32 (--precision auto)"
            )
        return ChosenPrecision("float32", why)
    shift = colour_shift(sh_bound, basis_bound) if rounded else 0.0
    why = ""
    if shift > _COLOUR_SHIFT:
        why = f"float16 may change colours by {shift:.2g}"
    elif threshold > _THRESHOLD:
        why = (
            f"sigma_thresh cuts off samples of an opacity of up to {-math.expm1(-threshold):.2g}, "
            "and float16 cuts at other places than float32"
        )
    return ChosenPrecision("float32" if why and wanted == "auto" else "float16", why)


def density_unit(grid: GridSpec) -> float:
    """World length that densities on the device are per: the shortest edge of a voxel, or up to half
    of it.

    A power of two times the radius, not times the edge: scenes of the same shape have the same
    numbers then, to the last bit, and for radius 1 nothing is rounded that was not rounded in the
    checkpoint.

    Raises
    ------
    InvalidInput : lengths of the scene are beyond float32.
    """
    edges = 1.0 / grid.scale
    shortest, longest = float(edges.min()), float(edges.max())
    reach = max(abs(c) + r for c, r in zip(grid.center, grid.radius, strict=True))
    if not (_TINY <= shortest and reach <= _HUGE and longest <= shortest * _STRETCHED):
        raise InvalidInput(
            f"the scene has a radius of {grid.radius} and its center at {grid.center}, in "
            f"{grid.size} voxels; pictures are computed in float32, which takes voxels of "
            f"{_TINY:.2g} or more with edges within {_STRETCHED:.0e} of each other, and "
            f"coordinates up to {_HUGE:.2g}. Convert the model with its radius, center and "
            "densities in another unit of length"
        )
    axis = int(edges.argmin())
    return float(grid.radius[axis] * 2.0 ** -math.ceil(math.log2(grid.size[axis] / 2)))


def device_densities(
    density: NDArray[np.float32], unit: float, dtype: np.dtype[np.floating]
) -> NDArray[np.floating]:
    """Densities per world unit [n] as the device holds them: per `unit`, finite, in `dtype`.

    One that is above zero stays above zero, so that a voxel contributes where it did.
    """
    most, least = LARGEST_DENSITY[dtype.name], float(np.finfo(dtype).smallest_subnormal)
    values = np.clip(density * np.float64(unit), -most, most)
    values = np.where(density > 0, np.maximum(values, least), values)
    if dtype == np.float16:
        # Checkpoints in other units of length differ in the last bit of float32, and that must not
        # say which way a value between two of float16 goes. Many lie there exactly.
        whole, bits = np.frexp(values)
        values = np.ldexp(np.rint(np.ldexp(whole, STEADY_BITS)), bits - STEADY_BITS)
    rounded: NDArray[np.floating] = values.astype(dtype)
    return rounded


def float16_densities(density: NDArray[np.float32], unit: float) -> NDArray[np.float32]:
    """Densities [n] rounded to those that the device has in float16, per world unit again.

    Finite, above zero where they were, and unchanged when they are rounded once more.
    """
    rounded = np.empty(len(density), np.float32)
    widest = float(np.finfo(np.float32).max)
    least = float(np.finfo(np.float32).smallest_subnormal)
    for start in range(0, len(density), _DENSITIES_AT_ONCE):
        part = slice(start, start + _DENSITIES_AT_ONCE)
        half = device_densities(density[part], unit, np.dtype(np.float16)).astype(np.float64)
        values = np.clip(half / unit, -widest, widest)
        rounded[part] = np.where(density[part] > 0, np.maximum(values, least), values)
    return rounded


def density_rounding(density: NDArray[np.float32], unit: float) -> float:
    """Largest change of densities [n] by float16 on the device, per world unit.

    Above 65504 per `unit` densities are cut off: they are as opaque.
    """
    largest = 0.0
    for start in range(0, len(density), _DENSITIES_AT_ONCE):
        part = density[start : start + _DENSITIES_AT_ONCE]
        change = np.abs(part.astype(np.float64) - float16_densities(part, unit))
        largest = max(largest, float(change.max()))
    return largest
