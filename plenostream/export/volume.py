"""A scene's density and base colour as an OME-Zarr image of several resolutions.

1. Level 0 is written one cube of 4 x 4 x 4 bricks at a time, which lie together in the store, and are
   one chunk of each channel. Cubes without a voxel are not written: they read as 0.
2. Every further level halves the one before, until a chunk holds it.

Source: OME-Zarr 0.5, https://ngff.openmicroscopy.org/0.5/.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from plenostream.export.bricks import BrickReader, refuse_beyond
from plenostream.format.layout import SLAB_BRICKS
from plenostream.results import Progress

__all__ = ["write_volume"]

_CHANNELS = (("density", "FFFFFF"), ("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"))
"""Names, and the colours that viewers give them."""
_HELD_CUBES = 6
"""Cubes of all channels in float32 that halving holds: eight of a level's, in parts, and the sums."""

Place = tuple[int, int, int]
Places = set[Place]


def write_volume(
    reader: BrickReader, folder: Path, *, name: str, host_bytes: int, tell: Progress
) -> dict[str, int]:
    """Write a group of arrays "0", "1", ... [4, Z, Y, X] float32 to `folder`, which is new; counts.

    Channels: density (per world unit, as stored; negative ones are 0), and red, green and blue of a
    voxel on average over all directions (0 to 1); all 0 where there is no voxel. A voxel of a
    further level is the mean density of eight, and their mean colour weighted with density. Scale and
    translation are world units: voxel 0 of an axis lies at its translation.

    Raises
    ------
    BudgetError : a cube of bricks takes more than `host_bytes`.
    BrickCorrupt : a chunk of the scene is damaged.
    """
    edge = SLAB_BRICKS * reader.bricks.brick_size
    cube_bytes = len(_CHANNELS) * edge**3 * 4
    refuse_beyond(
        reader.planned_bytes() + _HELD_CUBES * cube_bytes, host_bytes, what="writing a volume"
    )
    root = zarr.create_group(folder, zarr_format=3)
    size = reader.bricks.size
    level = _new_level(root, 0, size, edge)
    written = _write_finest(reader, level, edge, tell)
    n_levels = 1
    while max(size) > edge:
        size = (-(-size[0] // 2), -(-size[1] // 2), -(-size[2] // 2))
        halved = _new_level(root, n_levels, size, edge)
        written = _halve(level, halved, written, edge, f"level {n_levels}", tell)
        level, n_levels = halved, n_levels + 1
    highest = float(reader.store.tables.density_max.max(initial=0)) or 1.0
    root.update_attributes(_attributes(reader, name, n_levels, highest))
    return {"voxels": reader.meta.n_voxels, "resolutions": n_levels}


def _new_level(root: zarr.Group, number: int, size: Place, edge: int) -> Any:
    return root.create_array(
        str(number),
        shape=(len(_CHANNELS), *reversed(size)),
        chunks=(1, edge, edge, edge),
        dtype="float32",
        fill_value=0,
        dimension_names=["c", "z", "y", "x"],
    )


def _write_finest(reader: BrickReader, level: Any, edge: int, tell: Progress) -> Places:
    """Write the voxels of all bricks; where cubes were written."""
    cubes = _bricks_of_cubes(reader)
    for done, (cube, bricks) in enumerate(cubes.items()):
        first = np.asarray(cube) * edge
        # Axes x y z here, and turned when written.
        values = np.zeros((len(_CHANNELS), edge, edge, edge), np.float32)
        for brick in bricks:
            active = reader.active(brick)
            offset = reader.corner(brick) - first
            low = np.maximum(-offset, 0)
            high = np.minimum(edge - offset, active.shape)
            inside = np.zeros(active.shape, np.bool_)
            box = tuple(slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True))
            inside[box] = active[box]
            place = tuple((np.argwhere(inside) + offset).T)
            values[(0, *place)] = np.maximum(reader.density(brick)[inside], 0)
            rows = reader.chosen_rows(brick, inside)
            colours = reader.colours.mean(reader.rows(brick, "rows/sh")[rows])
            for channel in range(3):
                values[(1 + channel, *place)] = colours[:, channel]
        _put(level, cube, edge, values)
        tell("level 0", done + 1, len(cubes))
    return set(cubes)


def _bricks_of_cubes(reader: BrickReader) -> dict[Place, list[int]]:
    """Bricks with a voxel in each cube of 4 x 4 x 4 bricks; the first ones in the order of the store.

    The last voxel of an axis may lie in a cube of its own, behind the last brick.
    """
    cubes: dict[Place, list[int]] = {}
    for brick, index in enumerate(reader.store.tables.index.tolist()):
        corner, owned = reader.corner(brick).tolist(), reader.owned(brick)
        edge = SLAB_BRICKS * reader.bricks.brick_size
        reached = [
            range(at // SLAB_BRICKS, (first + n - 1) // edge + 1)
            for at, first, n in zip(index, corner, owned, strict=True)
        ]
        for cube in itertools.product(*reached):
            cubes.setdefault((cube[0], cube[1], cube[2]), []).append(brick)
    return cubes


def _halve(finer: Any, level: Any, written: Places, edge: int, step: str, tell: Progress) -> Places:
    """Fill `level` with what `finer` has, where that was written; where it was written itself."""
    half = edge // 2
    cubes = {(x // 2, y // 2, z // 2) for x, y, z in written}
    for done, cube in enumerate(sorted(cubes)):
        values = np.zeros((len(_CHANNELS), edge, edge, edge), np.float32)
        for part in itertools.product((0, 1), repeat=3):
            child = tuple(2 * at + p for at, p in zip(cube, part, strict=True))
            if child in written:
                x, y, z = (slice(p * half, (p + 1) * half) for p in part)
                values[:, x, y, z] = _means(_get(finer, child, edge))
        _put(level, cube, edge, values)
        tell(step, done + 1, len(cubes))
    return cubes


def _means(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """[4, n, n, n] to [4, n/2, n/2, n/2]: density as it is on average, colours weighted with it."""
    half = values.shape[1] // 2
    density = values[0]
    weights = np.stack([np.ones_like(density), density, density, density])
    sums = (weights * values).reshape(-1, half, 2, half, 2, half, 2).sum(axis=(2, 4, 6))
    total = sums[0].copy()
    sums[0] /= 8
    sums[1:] /= np.where(total > 0, total, 1)
    means: NDArray[np.float32] = sums
    return means


def _box(array: Any, cube: tuple[int, ...], edge: int) -> tuple[slice, ...]:
    """Where a cube (x, y, z) lies in the axes z y x of an array."""
    sizes = array.shape[1:]
    return tuple(
        slice(at * edge, min((at + 1) * edge, size))
        for at, size in zip(reversed(cube), sizes, strict=True)
    )


def _put(array: Any, cube: Place, edge: int, values: NDArray[np.float32]) -> None:
    box = _box(array, cube, edge)
    z, y, x = (slice(b.stop - b.start) for b in box)
    array[(slice(None), *box)] = values.transpose(0, 3, 2, 1)[:, z, y, x]


def _get(array: Any, cube: tuple[int, ...], edge: int) -> NDArray[np.float32]:
    """A cube [4, edge, edge, edge], axes x y z, 0 beyond the array.

    At an odd end, the outermost voxels of the coarser level are means with voxels that are not.
    """
    found = array[(slice(None), *_box(array, cube, edge))].transpose(0, 3, 2, 1)
    values = np.zeros((len(_CHANNELS), edge, edge, edge), np.float32)
    values[:, : found.shape[1], : found.shape[2], : found.shape[3]] = found
    return values


def _attributes(reader: BrickReader, name: str, n_levels: int, highest: float) -> dict[str, Any]:
    """The group's attributes: axes, places and scales, and how channels are shown at first."""
    grid = reader.meta.grid
    voxel = 1 / grid.scale
    origin = grid.grid_to_world(np.zeros(3))
    datasets = []
    for number in range(n_levels):
        factor = 2**number
        scale = [1.0, *(voxel * factor)[::-1].tolist()]
        # The centre of the first voxel of a level is the middle of those that it stands for.
        shift = [0.0, *(origin + voxel * (factor - 1) / 2)[::-1].tolist()]
        datasets.append(
            {
                "path": str(number),
                "coordinateTransformations": [
                    {"type": "scale", "scale": scale},
                    {"type": "translation", "translation": shift},
                ],
            }
        )
    axes = [{"name": "c", "type": "channel"}, *({"name": n, "type": "space"} for n in "zyx")]
    channels = [
        {
            "label": label,
            "color": colour,
            "active": True,
            "window": {"min": 0.0, "start": 0.0, "end": end, "max": end},
        }
        for (label, colour), end in zip(_CHANNELS, (highest, 1.0, 1.0, 1.0), strict=True)
    ]
    image = {"name": name, "axes": axes, "datasets": datasets, "type": "mean"}
    return {"ome": {"version": "0.5", "multiscales": [image], "omero": {"channels": channels}}}
