"""Pictures that can be worked out by hand, to hold both the oracle and the renderer to."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, floor
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["KnownRay", "composite", "constant_medium", "n_samples"]

Colour = tuple[float, float, float]


class KnownRay(NamedTuple):
    """What one ray must see."""

    rgb: NDArray[np.float64]
    """Colour [3]."""
    trans: float
    """Light left behind everything."""
    depth: float
    """Sum of weight times distance (world units)."""


def n_samples(t_min: float, t_max: float, *, step: float) -> int:
    """Samples at t_min + k * step, k = 0, 1, ..., that are at most t_max."""
    return floor((t_max - t_min) / step) + 1


def constant_medium(
    *,
    sigma: float,
    colour: Colour,
    background: ArrayLike,
    t_min: float,
    n: int,
    step: float,
    world_per_t: float,
) -> KnownRay:
    """A ray whose `n` samples all have density `sigma` (per world unit) and one colour.

    With q = exp(-sigma step world_per_t): T = q^n, the weights are q^k (1 - q), and the depth is
    the geometric series sum of q^k (1 - q) (t_min + k step) world_per_t, k = 0 ... n - 1.
    """
    q = exp(-sigma * step * world_per_t)
    trans = q**n
    series = q * (1.0 - n * q ** (n - 1) + (n - 1) * q**n) / (1.0 - q) if q < 1.0 else 0.0
    depth = world_per_t * (t_min * (1.0 - trans) + step * series)
    return KnownRay(
        (1.0 - trans) * np.asarray(colour) + trans * np.asarray(background), trans, depth
    )


def composite(
    samples: Sequence[tuple[float, float, Colour]],
    *,
    background: ArrayLike,
    step: float,
    world_per_t: float,
) -> KnownRay:
    """A ray whose samples (t, density, colour), nearest first, are all known."""
    trans, depth, rgb = 1.0, 0.0, np.zeros(3)
    for t, sigma, colour in samples:
        left = trans * exp(-sigma * step * world_per_t)
        rgb += (trans - left) * np.asarray(colour)
        depth += (trans - left) * t * world_per_t
        trans = left
    return KnownRay(rgb + trans * np.asarray(background), trans, depth)
