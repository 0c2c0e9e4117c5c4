"""Hypothesis strategies for the values that geometry and storage are made of."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from plenostream.field.grid import BRICK_SIZES, BrickGrid, GridSpec

__all__ = ["brick_grids", "grid_sizes", "grids", "world_points"]


def grid_sizes(*, largest: int = 80) -> SearchStrategy[tuple[int, int, int]]:
    """Voxels per axis, the three independent, small numbers more often."""
    axis = st.integers(2, largest)
    return st.tuples(axis, axis, axis)


@st.composite
def grids(draw: st.DrawFn) -> GridSpec:
    """Grids of any shape, extent and place that float64 resolves well."""
    extent = st.floats(1e-3, 1e3)
    place = st.floats(-1e3, 1e3)
    return GridSpec(
        size=draw(grid_sizes(largest=1024)),
        radius=draw(st.tuples(extent, extent, extent)),
        center=draw(st.tuples(place, place, place)),
    )


@st.composite
def brick_grids(draw: st.DrawFn) -> BrickGrid:
    """Grids cut into bricks of each size."""
    return BrickGrid(
        size=draw(grid_sizes(largest=200)), brick_size=draw(st.sampled_from(BRICK_SIZES))
    )


def world_points() -> SearchStrategy[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Points [3] within a few thousand units of the origin."""
    value = st.floats(-1e4, 1e4)
    return st.tuples(value, value, value).map(np.array)
