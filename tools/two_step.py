"""What reading densities first, and colours only for bricks that shade, would save in a view.

    .venv/bin/python tools/two_step.py SCENE --cameras FILE.json [--frame N]

Marches one ray of every 4 x 4 pixels of an 800x800 picture through the densities of the scene, with
NumPy, and notes the bricks in which a sample contributes. Bricks so small in the picture that all
rays miss them count as saved, so the shares are upper bounds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import plenostream as ps
from plenostream import reference
from plenostream.bench.reads import other_views
from plenostream.engine.sight import camera_view
from plenostream.format.reader import SceneStore
from plenostream.plan import build_boxes

_SIZE = (800, 800)
_SPACING = 4
_STEP, _SIGMA_THRESH, _STOP_THRESH = 0.5, 1e-10, 1e-7


def dense_density(store: SceneStore) -> NDArray[np.float32]:
    """Densities [x, y, z] of the whole grid, 0 where there is no voxel."""
    meta, tables = store.meta, store.tables
    edge, size = meta.bricks.edge, meta.brick_size
    rows = store.read_array("rows/density")
    shape = [n * size + 1 for n in meta.bricks.shape]
    grid = np.zeros(shape, np.float32)
    for brick, (x, y, z) in enumerate((tables.index * size).tolist()):
        bits = np.unpackbits(tables.mask[brick], count=edge**3, bitorder="little")
        values = np.zeros(edge**3, np.float32)
        values[bits == 1] = rows[tables.row_start[brick] : tables.row_start[brick + 1]]
        part = grid[x : x + edge, y : y + edge, z : z + edge]
        part[:] = np.where(bits.reshape(part.shape) == 1, values.reshape(part.shape), part)
    return grid


def shading_bricks(
    density: NDArray[np.float32], grid: ps.GridSpec, brick_size: int, camera: ps.Camera
) -> NDArray[np.int64]:
    """Coordinates [b, 3] of the bricks in which a sample of a ray contributes."""
    origins, dirs = reference.camera_rays(
        camera.c2w, camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height
    )
    keep = np.arange(len(dirs)).reshape(camera.height, camera.width)[::_SPACING, ::_SPACING]
    origins, dirs = origins[keep.ravel()], dirs[keep.ravel()]
    last = np.array(grid.size) - 1.0
    along = dirs / np.linalg.norm(dirs, axis=1, keepdims=True) * grid.scale
    world_per_t = 1.0 / np.linalg.norm(along, axis=1)
    along *= world_per_t[:, None]
    start = grid.world_to_grid(origins)
    faces = np.sort(np.stack([(-0.5 - start) / along, (last + 0.5 - start) / along]), axis=0)
    t, end = np.maximum(faces[0].max(1), 0.0), faces[1].min(1)
    light = np.ones(len(t))
    found = np.zeros(-(-np.array(density.shape) // brick_size), bool)
    alive = np.flatnonzero(t <= end)
    while len(alive):
        place = np.clip(start[alive] + t[alive, None] * along[alive], 0.0, last)
        cell = np.minimum(place.astype(np.int64), (last - 1).astype(np.int64))
        f = place - cell
        sigma = np.zeros(len(alive))
        for corner in np.ndindex(2, 2, 2):
            weight = np.where(corner, f, 1.0 - f).prod(1)
            sigma += weight * density[tuple((cell + corner).T)]
        shades = sigma > _SIGMA_THRESH
        found[tuple((cell[shades] // brick_size).T)] = True
        opacity = np.where(shades, sigma * _STEP * world_per_t[alive], 0.0)
        light[alive] *= np.exp(-opacity)
        t[alive] += _STEP
        alive = alive[(t[alive] <= end[alive]) & (light[alive] >= _STOP_THRESH)]
    return np.argwhere(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scene", type=Path)
    parser.add_argument("--cameras", type=Path, required=True)
    parser.add_argument("--frame", type=int, default=0)
    arguments = parser.parse_args()
    (camera,) = ps.load_cameras(arguments.cameras, frames=[arguments.frame], size=_SIZE)
    with ps.open_scene(arguments.scene) as scene:
        meta, tables = scene.store.meta, scene.store.tables
        table = build_boxes(tables.index, tables.boxes, tables.occupied, meta.bricks)
        density = dense_density(scene.store)
        n_rows = np.diff(tables.row_start)
        keys = np.ravel_multi_index(tuple(tables.index.T), meta.bricks.shape)
        print(f"{'view':<12}{'bricks in view':>16}{'that shade':>12}{'rows saved, at most':>22}")
        for name, view in other_views(camera, meta.grid).items():
            seen = camera_view(
                table, tables.index, meta.grid, meta.bricks, view, top=0, bottom=view.height
            ).bricks
            shading = shading_bricks(density, meta.grid, meta.brick_size, view)
            shades = np.isin(keys, np.ravel_multi_index(tuple(shading.T), meta.bricks.shape))
            saved = 1.0 - n_rows[seen[shades[seen]]].sum() / max(n_rows[seen].sum(), 1)
            print(f"{name:<12}{len(seen):>16}{shades[seen].sum():>12}{saved:>22.1%}", flush=True)


if __name__ == "__main__":
    main()
