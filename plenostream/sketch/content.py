"""What a drawing shows: faces of bricks, lines and dots, all in the coordinates of the scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.errors import InvalidInput
from plenostream.field.grid import GridSpec
from plenostream.field.ndc import Ndc
from plenostream.format.reader import SceneStore
from plenostream.options import RenderOptions
from plenostream.sketch.bricks import Faces, occupied_faces
from plenostream.sketch.rays import RaySamples, pixel_ray, ray_samples

__all__ = ["Dots", "Lines", "Sketch", "make_sketch"]

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

_BOX, _CAMERA, _RAY, _IDLE, _WORKING = (
    (150, 150, 150),
    (20, 90, 200),
    (235, 140, 20),
    (245, 190, 120),
    (200, 20, 30),
)
_EDGES = [(a, b) for a in range(8) for b in range(8) if a < b and (a ^ b).bit_count() == 1]
"""Edges of a cube whose corner number n lies at its bits."""


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Straight lines of one colour."""

    ends: NDArray[np.float64]
    """[n, 2, 3]."""
    colour: Colour


@dataclass(frozen=True, slots=True, eq=False)
class Dots:
    """Points of one colour and size."""

    places: NDArray[np.float64]
    """[n, 3]."""
    colour: Colour
    radius: int
    """Pixels."""


@dataclass(slots=True, eq=False)
class Sketch:
    """A scene as faces, lines and dots, and what is to say of them."""

    faces: Faces
    grid: GridSpec
    """Of the scene."""
    lines: list[Lines] = field(default_factory=list)
    dots: list[Dots] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """Sentences, a line each."""

    @property
    def bounds(self) -> GridSpec:
        """A box around everything, as a grid."""
        middle, radius = np.asarray(self.grid.center), np.asarray(self.grid.radius)
        ends = [middle - radius, middle + radius]
        ends += [lines.ends.reshape(-1, 3) for lines in self.lines]
        places = np.vstack(ends)
        low, high = places.min(axis=0), places.max(axis=0)
        x, y, z = (0.5 * (low + high)).tolist()
        rx, ry, rz = (0.5 * (high - low)).tolist()
        return GridSpec(size=self.grid.size, radius=(rx, ry, rz), center=(x, y, z))


def make_sketch(
    store: SceneStore,
    cameras: Sequence[tuple[int, Camera]],
    pixel: tuple[int, int] | None,
    options: RenderOptions,
    *,
    ndc: Ndc | None,
) -> Sketch:
    """A drawing of an open scene.

    Parameters
    ----------
    cameras : with their numbers; in a scene of normalised device coordinates they have no place, and
        only their rays are drawn
    pixel : column and row; the samples of its ray are drawn, for each of the cameras
    ndc : the coordinates that rays are brought to, None: the world

    Raises
    ------
    InvalidInput : a pixel without a camera, or that one of them does not have.
    BrickCorrupt : a brick that a ray meets is damaged.
    """
    if pixel is not None and not cameras:
        raise InvalidInput("a pixel needs a camera; name one, say with --cameras PATH --views 0")
    grid, tables = store.meta.grid, store.tables
    sketch = Sketch(occupied_faces(store), grid)
    corners = np.array([[(n >> axis) & 1 for axis in range(3)] for n in range(8)])
    box = np.asarray(grid.center) + (2 * corners - 1) * np.asarray(grid.radius)
    sketch.lines.append(Lines(box[_EDGES], _BOX))
    n_all = int(np.prod(store.meta.bricks.shape))
    sketch.told.append(
        f"{Path(store.path).name}: {int(tables.occupied.sum())} of {n_all} bricks occupied, "
        f"{store.meta.brick_size} cells an edge"
    )
    if ndc is None:
        reach = 0.15 * float(np.mean(grid.radius))
        sketch.lines += [Lines(_cone(camera, reach), _CAMERA) for _, camera in cameras]
    elif cameras:
        sketch.told.append("normalised device coordinates, in which cameras have no place")
    if pixel is not None:
        for number, camera in cameras:
            origin, direction = pixel_ray(camera, pixel, ndc)
            samples = ray_samples(store, origin, direction, options)
            _add_ray(sketch, origin, samples)
            at = f"view {number}, pixel {pixel[0]},{pixel[1]}"
            sketch.told.append(f"{at}: {samples.line}")
    return sketch


def _cone(camera: Camera, reach: float) -> NDArray[np.float64]:
    """Lines [n, 2, 3] from the eye along the rays of the picture's corners, and between their ends."""
    corners = [
        (column, row)
        for column, row in (
            (0, 0),
            (camera.width - 1, 0),
            (camera.width - 1, camera.height - 1),
            (0, camera.height - 1),
        )
    ]
    starts, tips = [], []
    for column, row in corners:
        origin, direction, seen = camera.region(column, row, 1, 1).rays()
        # Where a lens shows no corner, its axis stands for it.
        along = direction[0, 0] if seen[0, 0] else camera.c2w[:, 2]
        start = origin[0, 0] if seen[0, 0] else camera.eye_world
        starts.append(start)
        tips.append(start + reach * along / np.linalg.norm(along))
    sides = [np.stack(pair) for pair in zip(starts, tips, strict=True)]
    rim = [np.stack([tips[n], tips[(n + 1) % 4]]) for n in range(4)]
    return np.stack(sides + rim)


def _add_ray(sketch: Sketch, origin: NDArray[np.float64], samples: RaySamples) -> None:
    """The ray as a line to its last sample, its samples as dots, larger where they contribute."""
    if not len(samples.points):
        return
    sketch.lines.append(Lines(np.stack([origin, samples.points[-1]])[None], _RAY))
    works = samples.weight > 0
    sketch.dots.append(Dots(samples.points[~works], _IDLE, 1))
    sketch.dots.append(Dots(samples.points[works], _WORKING, 3))
