"""The voxels of a scene as a coloured point cloud, for looking at in other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InvalidInput, OutputError, PlenostreamError
from plenostream.field.basis import C0
from plenostream.files.atomic import atomic_file, try_place, writing
from plenostream.files.foreign import copy_written
from plenostream.files.paths import apart_from, local_path
from plenostream.format.extra_arrays import basis_of
from plenostream.format.reader import SceneStore, open_store
from plenostream.options import MIN_DENSITY

__all__ = ["scene_points", "write_points"]

_POINT_BYTES = 3 * 8 + 3
"""Bytes of a point in a PLY file: place (float64) and colour (uint8)."""
_DIRECTIONS = 4096
"""Directions that stand for all."""
_NO_OPEN3D = (
    "point clouds are written with open3d, which cannot be loaded here ({reason}). It comes with "
    "`pip install 'plenostream[points]'`, and on Debian and Ubuntu it needs "
    "`apt-get install libegl1 libgl1 libidn2-0 libusb-1.0-0 libx11-6`. Everything else works "
    "without it."
)


def scene_points(
    store: SceneStore, *, min_density: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions and colours of the voxels whose density exceeds `min_density`.

    Every voxel comes once, from the brick that owns it, bricks in the order of the store. The
    colour is what the voxel shows on average over all directions.

    Parameters
    ----------
    store : SceneStore
    min_density : float    per world unit, at least 0

    Returns
    -------
    points_world : float64 [n, 3]
    colours : float64 [n, 3]    red, green, blue in [0, 1]

    Raises
    ------
    InvalidInput : `min_density` is against its rule.
    BrickCorrupt : a chunk of the scene is damaged.
    """
    min_density = MIN_DENSITY.check("min_density", min_density)
    meta = store.meta
    bricks = meta.bricks
    last_brick = np.asarray(bricks.shape) - 1
    density = _row_chunks(store, "rows/density", np.array)
    points = [np.empty((0, 3))]
    rows = [np.empty(0, np.int64)]
    for brick, (index, mask) in enumerate(zip(store.tables.index, store.tables.mask, strict=True)):
        active = np.flatnonzero(np.unpackbits(mask, count=bricks.voxels, bitorder="little"))
        local = np.stack(np.unravel_index(active, (bricks.edge,) * 3), axis=1)
        voxel = index * bricks.brick_size + local
        owned = (np.minimum(voxel // bricks.brick_size, last_brick) == index).all(axis=1)
        row = np.arange(*store.tables.row_start[brick : brick + 2])
        keep = owned & (density[row] > min_density)
        points.append(meta.grid.grid_to_world(voxel[keep]))
        rows.append(row[keep])
    chosen = np.concatenate(rows)
    means = _mean_values(store)

    def averaged(rows: NDArray[Any]) -> NDArray[np.float32]:
        return (rows.reshape(-1, 3, len(means)).astype(np.float64) @ means).astype(np.float32)

    shown = _row_chunks(store, "rows/sh", averaged)[chosen]
    colours = np.clip(shown.astype(np.float64) + 0.5, 0.0, 1.0)
    return np.concatenate(points), colours


def _mean_values(store: SceneStore) -> NDArray[np.float64]:
    """Means [K] of a scene's basis functions over all directions."""
    means = np.zeros(store.meta.basis_dim)
    if store.meta.learned is None:
        means[0] = C0  # those of all others are 0
        return means
    basis = basis_of(store)
    # Points of a spiral from pole to pole: each stands for as much of the sphere.
    number = np.arange(_DIRECTIONS) + 0.5
    height, angle = 1.0 - 2.0 * number / _DIRECTIONS, np.pi * (1.0 + 5.0**0.5) * number
    across = np.sqrt(1.0 - height**2)
    directions = np.stack([across * np.cos(angle), across * np.sin(angle), height])
    means[:] = [v.mean() for v in basis.functions(np, directions, *basis.arrays)]
    return means


def _row_chunks(
    store: SceneStore, name: str, kept: Callable[[NDArray[Any]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """What is `kept` of all rows of an array, read chunk by chunk."""
    chunks = range(store.specs[name].n_chunks)
    none = np.empty((0, *store.specs[name].shape[1:]), store.specs[name].dtype)
    return np.concatenate([kept(none), *(kept(store.read_chunk(name, c)) for c in chunks)])


def write_points(
    scene: str | Path, target: str | Path, *, min_density: float = 0.0, overwrite: bool = False
) -> int:
    """Write the voxels of a scene as a coloured point cloud (binary PLY) and give their number.

    Takes about 130 bytes of memory a voxel, whatever the coefficients take.

    Parameters
    ----------
    scene : path               a scene, folder or zip
    target : path              ends in .ply; whole or not there
    min_density : float        voxels of this density (per world unit) or less are left out
    overwrite : bool           replace `target` where it exists

    Raises
    ------
    PlenostreamError : open3d is not installed, or lacks system libraries; names both.
    InvalidInput : `target` is no .ply, `min_density` is against its rule.
    OutputError : `target` exists or cannot be written, found out before the scene is read.
    StoreError : `scene` is no scene, or is damaged.
    """
    min_density = MIN_DENSITY.check("min_density", min_density)
    where = local_path(target, what="point cloud")
    if where.suffix.lower() != ".ply":
        raise InvalidInput(f"{where} does not end in .ply, the form in which points are written")
    try_place(target, what="point cloud")
    apart_from([where], {"scene": local_path(scene, what="scene")})
    try:
        # Late: 0.8 s, and it may be absent where all else works. OSError: libraries may be, too.
        import open3d
    except (ImportError, OSError) as error:
        raise PlenostreamError(_NO_OPEN3D.format(reason=error)) from error
    with atomic_file(target, overwrite=overwrite, what="point cloud") as file:
        with open_store(scene) as store:
            points_world, colours = scene_points(store, min_density=min_density)
        if len(points_world) == 0:
            raise OutputError(f"no voxel of {scene} has a density above {min_density}")
        cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points_world))
        cloud.colors = open3d.utility.Vector3dVector(colours)
        with writing(target):
            done = copy_written(
                lambda name: open3d.io.write_point_cloud(name, cloud), file, ending=".ply"
            )
            # It tells nothing of why, and has been seen to call a truncated file done.
            if not done or file.tell() < len(points_world) * _POINT_BYTES:
                raise OutputError(f"{target} cannot be written: open3d failed")
    return len(points_world)
