"""The inverse of a function that rises up to a limit, as a table from which Newton steps start.

A lens says where a point is seen, and a picture needs the other way. Devices have no loop that
ends when it is exact; from a table of a thousand knots, a few Newton steps are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["first_guess", "inverse_table", "least_root", "solve"]

_KNOTS = 1025
_HALVINGS = 64
"""Of an interval: what is left of it is nothing in float64."""
_FARTHEST = 1e12
"""Arguments that are looked at, at most, where a function rises without end."""
_LEAST = 1e-30
"""Of a table's top, so that nothing divided by it leaves float64."""
_REAL = 1e-9
"""Imaginary part, relative, of a root that rounding parted from its twin."""

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def least_root(rising: Sequence[float]) -> float:
    """The least root above 0 of a polynomial, coefficients from the constant up; inf without any."""
    # Of 1 / x: its leading coefficient is the constant, not a last term that may be next to nothing.
    roots = np.roots(np.array(rising, np.float64))
    real = roots.real[np.abs(roots.imag) <= _REAL * np.abs(roots)]
    largest = float(real.max(initial=0.0))
    return 1.0 / largest if largest > 1.0 / _FARTHEST else math.inf


def solve(function: Function, values: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """Arguments [n] in [0, limit] at which a function that rises from 0 has `values` [n]; the
    nearest in there where it has not."""
    end = _end(function, limit, float(np.max(values, initial=0.0)))
    low, high = np.zeros_like(values), np.full_like(values, end)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        above = function(middle) > values
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return 0.5 * (low + high)


def inverse_table(
    function: Function, limit: float, reach: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(table [1025], top []) of the inverse of a function that rises from 0 up to `limit`.

    Values up to `top` have an argument, or as far as `reach`. Knots are denser near the top, as
    1 - (1 - u)^2 for even u: where the function is flat at its limit, its inverse rises like a
    root, and as a function of u it is smooth.
    """
    end = _end(function, limit, reach)
    top = max(min(reach, float(function(np.array(end)))), _LEAST)
    u = np.arange(_KNOTS) / (_KNOTS - 1)
    return solve(function, top * (1.0 - (1.0 - u) ** 2), end), np.array(top)


def _end(function: Function, limit: float, reach: float) -> float:
    """How far to look for a value of `reach`: halving from 1e12 would cost digits."""
    end = 1.0
    while end < min(limit, _FARTHEST) and float(function(np.array(end))) < reach:
        end *= 2.0
    return min(end, limit)


def first_guess(xp: Any, table: Any, top: Any, values: Any) -> Any:
    """Arguments for `values` from a table, over NumPy or JAX; those beyond the top get its own."""
    u = 1.0 - xp.sqrt(1.0 - xp.clip(values / top, 0.0, 1.0))
    place = u * float(_KNOTS - 1)
    knot = xp.minimum(place.astype(xp.int32), _KNOTS - 2)
    part = place - knot.astype(xp.float64)
    return xp.take(table, knot) * (1.0 - part) + xp.take(table, knot + 1) * part
