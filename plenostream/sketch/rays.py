"""The samples of a single ray: where they lie, how dense the scene is there, what each contributes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.errors import InvalidInput
from plenostream.export.bricks import BrickReader
from plenostream.field.ndc import Ndc, ndc_factors, ndc_rays
from plenostream.format.reader import SceneStore
from plenostream.integrator.lattice import GridArrays, Spacing, lattice
from plenostream.options import RenderOptions

__all__ = ["RaySamples", "pixel_ray", "ray_samples"]


@dataclass(frozen=True, slots=True, eq=False)
class RaySamples:
    """The samples of one ray, n of them, front to back."""

    points: NDArray[np.float64]
    """Places [n, 3], in the coordinates of the scene (world, or normalised device coordinates)."""
    distance: NDArray[np.float64]
    """[n], world units along the ray."""
    density: NDArray[np.float64]
    """[n], per world unit; 0 where no voxel is stored, may be negative."""
    weight: NDArray[np.float64]
    """[n]: share of the light that a sample takes out of the ray, 0 behind where the ray ends."""
    alpha: float
    """1 - transmittance."""

    @property
    def depth(self) -> float:
        """svox2's expected termination, world units."""
        return float(self.weight @ self.distance)

    @property
    def line(self) -> str:
        """What is to say of it."""
        if not len(self.points):
            return "the ray misses the volume"
        some = np.flatnonzero(self.weight > 0)
        said = f"{len(self.points)} samples from {self.distance[0]:.4g} to {self.distance[-1]:.4g}"
        if not len(some):
            return f"{said} (world units), none contributes"
        first, last = self.distance[some[0]], self.distance[some[-1]]
        return (
            f"{said} (world units), {len(some)} contribute, from {first:.4g} to {last:.4g}; alpha "
            f"{self.alpha:.4g}, depth {self.depth:.4g}"
        )


def pixel_ray(
    camera: Camera, pixel: tuple[int, int], ndc: Ndc | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Origin and direction [3] of the ray through the middle of a pixel, as it is drawn.

    Raises
    ------
    InvalidInput : a pixel that the picture does not have, or that its lens does not show.
    """
    column, row = pixel
    if column >= camera.width or row >= camera.height:
        raise InvalidInput(
            f"the pixel {column},{row} is not inside a picture of {camera.width}x{camera.height}"
        )
    made = camera.region(column, row, 1, 1).rays()
    origin, direction, seen = (part[0, 0] for part in made)
    if ndc is not None:
        rays = ndc_rays(np, origin[:, None], direction[:, None], np.array([seen]), ndc_factors(ndc))
        origin, direction, seen = (part[..., 0] for part in rays)
    if not seen:
        raise InvalidInput(f"the pixel {column},{row} has no ray: its lens does not show it")
    return origin, direction


def ray_samples(
    store: SceneStore,
    origin: NDArray[np.float64],
    direction: NDArray[np.float64],
    options: RenderOptions,
) -> RaySamples:
    """The samples of a ray, by the rules of `docs/rules.md`, in float64; reads the bricks it meets.

    Only light of the model cuvol is followed, without an opaque end and without background layers.

    Raises
    ------
    BrickCorrupt : a brick that it needs is damaged.
    """
    grid = store.meta.grid
    far_cap = math.inf if options.far_cap is None else options.far_cap
    found = lattice(
        np,
        origin[:, None],
        direction[:, None],
        np.ones(1, np.bool_),
        GridArrays(grid.extent, grid.margin, grid.scale, grid.offset),
        Spacing(options.step_size, options.near_clip, far_cap),
        spheric_clip=options.spheric_clip,
    )
    course, steps = found.direction[:, 0], np.arange(int(found.n_samples[0])) * options.step_size
    places = np.clip(found.entry[:, 0] + steps[:, None] * course, 0, np.asarray(grid.size) - 1)
    world_per_t = float(np.linalg.norm(course / grid.scale))
    density = _densities(store, places)
    weight, alpha = _weights(density, options.step_size * world_per_t, options)
    return RaySamples(
        points=grid.grid_to_world(places),
        distance=(found.t_min[0] + steps) * world_per_t,
        density=density,
        weight=weight,
        alpha=alpha,
    )


def _densities(store: SceneStore, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Density [n] at grid coordinates [n, 3], between voxels linear along each axis."""
    bricks, reader = store.meta.bricks, BrickReader(store)
    cells = np.minimum(places.astype(np.int64), np.asarray(bricks.size) - 2)
    brick_at = {tuple(index): number for number, index in enumerate(store.tables.index.tolist())}
    of_samples = cells // bricks.brick_size
    values = np.zeros(len(places))
    for place in np.unique(of_samples, axis=0):
        brick = brick_at.get(tuple(place.tolist()))
        if brick is None or not store.tables.occupied[brick]:
            continue
        here = np.flatnonzero((of_samples == place).all(axis=1))
        held = reader.density(brick)
        x, y, z = (cells[here] - place * bricks.brick_size).T
        share = places[here] - cells[here]
        for corner in np.ndindex(2, 2, 2):
            factors = np.where(corner, share, 1 - share).prod(axis=1)
            i, j, k = corner
            values[here] += factors * held[x + i, y + j, z + k]
    return values


def _weights(
    density: NDArray[np.float64], length: float, options: RenderOptions
) -> tuple[NDArray[np.float64], float]:
    """Weight of each sample of that length (world units), and the ray's alpha."""
    taken = np.where(density > options.sigma_thresh, density * length, 0.0)
    light = np.exp(-np.concatenate([[0.0], np.cumsum(taken)]))
    weight = light[:-1] - light[1:]
    ends = np.flatnonzero(light[1:] < options.stop_thresh)
    if len(ends):
        weight[ends[0] + 1 :] = 0.0
        return weight, 1.0
    return weight, float(1 - light[-1])
