"""Records of points and vertices in a PLY file: which properties, of which types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.export.pixels import colour_8bit
from plenostream.field.grid import GridSpec

__all__ = ["fill_colours", "fill_vectors", "point_record"]

_FINEST = 256
"""Parts of a voxel's edge that positions must tell apart."""


def point_record(
    grid: GridSpec, *, normals: bool, float_colours: bool, opacity: bool
) -> np.dtype[Any]:
    """Type of a record: x y z, nx ny nz, red green blue, opacity."""
    place, colour = _position_type(grid), "<f4" if float_colours else "u1"
    fields = [(name, place) for name in "xyz"]
    fields += [(name, "<f4") for name in ("nx", "ny", "nz") if normals]
    fields += [(name, colour) for name in ("red", "green", "blue")]
    fields += [("opacity", "<f4")] if opacity else []
    return np.dtype(fields)


def fill_vectors(records: NDArray[Any], names: Sequence[str], values: NDArray[Any]) -> None:
    """Put the columns of `values` [n, 3] into three fields."""
    for axis, name in enumerate(names):
        records[name] = values[:, axis]


def fill_colours(records: NDArray[Any], colours: NDArray[np.floating]) -> None:
    """Put colours [n, 3], 0 to 1, into red, green and blue, in the type that these have."""
    eight_bit = records.dtype["red"] == np.uint8
    fill_vectors(records, ("red", "green", "blue"), colour_8bit(colours) if eight_bit else colours)


def _position_type(grid: GridSpec) -> str:
    """float32, unless it would move a voxel by more than 1 / `_FINEST` of its edge."""
    reach = np.abs(np.asarray(grid.center)) + np.asarray(grid.radius)
    finest = np.spacing(reach.astype(np.float32)) * _FINEST
    return "<f4" if (finest <= 1 / grid.scale).all() else "<f8"
