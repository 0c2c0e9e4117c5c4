"""The voxels of a scene as a coloured point cloud (PLY), streamed brick by brick."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import OutputError
from plenostream.export.bricks import BrickReader, refuse_beyond
from plenostream.export.ply import PlyWriter
from plenostream.export.records import fill_colours, fill_vectors, point_record
from plenostream.files.atomic import AsideFile
from plenostream.options import MIN_DENSITY, ExportOptions
from plenostream.results import Progress

__all__ = ["scene_points", "unit_vectors", "write_points"]


def write_points(
    reader: BrickReader, file: AsideFile, options: ExportOptions, *, tell: Progress
) -> int:
    """Write the voxels of `reader`'s scene above `min_density` as a PLY file; their number.

    Each comes once, from the brick that owns it, bricks in the order of the store. Properties:
    x y z (world units; float, or double where float would move a voxel by 1/256 of its edge), with
    `normals` nx ny nz (unit length, where density falls most; 0 where it does not change), red
    green blue (mean over all directions; uchar 0 to 255, or float 0 to 1) and opacity (float, share
    of the light that the shortest edge of a voxel takes).

    Raises
    ------
    OutputError : no voxel has such a density.
    BudgetError : a brick takes more than the memory that is allowed.
    BrickCorrupt : a chunk of the scene is damaged.
    """
    floor = _floor(options)
    refuse_beyond(reader.planned_bytes(), options.host_bytes, what="writing points")
    record = point_record(
        reader.meta.grid,
        normals=options.normals,
        float_colours=options.colours == "float",
        opacity=True,
    )
    edge = float((1 / reader.meta.grid.scale).min())
    ply = PlyWriter(file, {"vertex": record}, comment="voxels of a plenostream scene")
    if options.normals:
        reader.check_all(tell)
    n_points = 0
    for brick in range(reader.n_bricks):
        chosen = _chosen(reader, brick, floor)
        if chosen.any():
            density = reader.density(brick)[chosen].astype(np.float64)
            points = np.empty(len(density), record)
            fill_vectors(points, "xyz", _positions(reader, brick, chosen))
            if options.normals:
                normals = unit_vectors(-reader.gradient(brick)[chosen])
                fill_vectors(points, ("nx", "ny", "nz"), normals)
            fill_colours(points, _colours(reader, brick, chosen))
            points["opacity"] = -np.expm1(-density * edge)
            ply.append("vertex", points)
            n_points += len(points)
        tell("points", brick + 1, reader.n_bricks)
    if n_points == 0:
        raise OutputError(f"no voxel of {reader.store.path} has a density above {floor:g}")
    ply.finish()
    return n_points


def scene_points(
    reader: BrickReader, *, min_density: float
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:
    """World positions [n, 3] and colours [n, 3] of the points of one brick after another.

    Raises
    ------
    InvalidInput : `min_density` is against its rule.
    BrickCorrupt : a chunk of the scene is damaged.
    """
    floor = MIN_DENSITY.check("min_density", min_density)
    for brick in range(reader.n_bricks):
        chosen = _chosen(reader, brick, floor)
        if chosen.any():
            yield _positions(reader, brick, chosen), _colours(reader, brick, chosen)


def unit_vectors(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Vectors [n, 3] of length 1, or 0 where they are."""
    exact = vectors.astype(np.float64)
    length = np.linalg.norm(exact, axis=-1, keepdims=True)
    unit: NDArray[np.float64] = exact / np.where(length > 0, length, 1)
    return unit


def _floor(options: ExportOptions) -> float:
    return 0.0 if options.min_density is None else options.min_density


def _chosen(reader: BrickReader, brick: int, floor: float) -> NDArray[np.bool_]:
    """Voxels [nx, ny, nz] that the brick owns, and whose density exceeds `floor`."""
    if not reader.store.tables.density_max[brick] > floor:
        return np.zeros(reader.held(brick), np.bool_)
    x, y, z = reader.owned(brick)
    chosen = np.zeros(reader.held(brick), np.bool_)
    chosen[:x, :y, :z] = (reader.density(brick) > floor)[:x, :y, :z]
    return chosen


def _positions(reader: BrickReader, brick: int, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    return reader.meta.grid.grid_to_world(reader.corner(brick) + np.argwhere(chosen))


def _colours(reader: BrickReader, brick: int, chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
    rows = reader.chosen_rows(brick, chosen)
    return reader.colours.mean(reader.rows(brick, "rows/sh")[rows])
