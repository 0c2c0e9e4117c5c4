"""The written definition of the picture: a slow float64 NumPy renderer that tests compare with.

It follows `docs/rules.md`: svox2's CUDA kernel ``cuvol`` (``trace_ray_cuvol`` in
``csrc/render_lerp_kernel_cuvol.cu``, ``ray_find_bounds`` and ``calc_sh`` in
``csrc/include/render_util.cuh``), without its end of rays at t = 2000. It has its own loader, its
own affine map, its own spherical harmonics and its own sample lattice: a slip in the renderer
cannot hide by having been made once for both.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plenostream.reference_aovs import ReferenceAovs, slopes
from plenostream.reference_extras import (
    BasisValues,
    Layers,
    learned_basis,
    see_layers,
    stored_layers,
)
from plenostream.reference_rays import box_bounds, camera_rays, ndc_rays, sphere_bounds

__all__ = [
    "ReferenceModel",
    "ReferencePicture",
    "camera_rays",
    "load_model",
    "make_model",
    "ndc_rays",
    "render_rays",
    "sh_basis",
]

Float64 = NDArray[np.float64]

_RAYS_AT_ONCE = 8192
_LARGEST_FLOAT16 = 65504.0
_CORNERS = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])


# eq=False: arrays have no single truth value, so a model equals only itself.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceModel:
    """What a svox2 checkpoint says, in float64."""

    links: NDArray[np.int64]
    """Row of each voxel [X, Y, Z]; negative where there is none."""
    density: Float64
    """Density per row [n] (per world unit)."""
    sh: Float64
    """Coefficients per row [n, 3, basis_dim]."""
    radius: Float64
    """Half the extent of the volume [3] (world units)."""
    center: Float64
    """Middle of the volume [3] (world units)."""
    basis: BasisValues | None = None
    """Values [n, dim] of a learned basis at unit directions [n, 3]; None: spherical harmonics."""
    layers: Layers | None = None
    """What lies behind the volume, beside a colour."""


class ReferencePicture(NamedTuple):
    """What n rays see."""

    rgb: Float64
    """Colour [n, 3]."""
    trans: Float64
    """Light left behind everything [n]: 1 - opacity."""
    depth: Float64
    """Sum of weight times distance from the eye [n] (world units), not divided by opacity."""
    aovs: ReferenceAovs | None = None
    """What else they gather, where that is asked for."""


def make_model(
    links: ArrayLike,
    density: ArrayLike,
    sh: ArrayLike,
    *,
    radius: ArrayLike = 1.0,
    center: ArrayLike = 0.0,
    extras: Mapping[str, NDArray[Any]] | None = None,
) -> ReferenceModel:
    """A model from the arrays of a checkpoint: links [X, Y, Z], density [n], sh [n, 3 dim]; in
    `extras`, by name, those of a learned basis and of background layers."""
    rows = np.asarray(density, np.float64).reshape(-1)
    columns = np.asarray(sh).shape[-1]
    return ReferenceModel(
        links=np.asarray(links, np.int64),
        density=rows,
        sh=np.asarray(sh, np.float64).reshape(len(rows), 3, columns // 3),
        radius=np.broadcast_to(np.asarray(radius, np.float64), 3),
        center=np.broadcast_to(np.asarray(center, np.float64), 3),
        basis=learned_basis(extras or {}),
        layers=stored_layers(extras or {}),
    )


def load_model(path: str | os.PathLike[str]) -> ReferenceModel:
    """The model of a sound svox2 ``.npz``, in either dialect; nothing is checked."""
    with np.load(path, allow_pickle=False) as file:
        if "data" in file.files:
            data = file["data"]
            density, sh = data[..., :1], data[..., 1:]
        else:
            density, sh = file["density_data"], file["sh_data"]
        radius = file["radius"] if "radius" in file.files else 1.0
        center = file["center"] if "center" in file.files else 0.0
        extras = {name: file[name] for name in file.files}
        return make_model(file["links"], density, sh, radius=radius, center=center, extras=extras)


def sh_basis(dirs: ArrayLike, basis_dim: int) -> Float64:
    """Real spherical harmonics [n, basis_dim] at unit directions [n, 3], in svox2's order.

    Each constant is that function's norm in closed form, with svox2's sign.
    """
    x, y, z = np.moveaxis(np.asarray(dirs, np.float64), -1, 0)
    xx, yy, zz = x * x, y * y, z * z
    functions = [
        sqrt(1 / (4 * pi)) * np.ones_like(x),
        -sqrt(3 / (4 * pi)) * y,
        sqrt(3 / (4 * pi)) * z,
        -sqrt(3 / (4 * pi)) * x,
        sqrt(15 / (4 * pi)) * x * y,
        -sqrt(15 / (4 * pi)) * y * z,
        sqrt(5 / (16 * pi)) * (2 * zz - xx - yy),
        -sqrt(15 / (4 * pi)) * x * z,
        sqrt(15 / (16 * pi)) * (xx - yy),
        -sqrt(35 / (32 * pi)) * y * (3 * xx - yy),
        sqrt(105 / (4 * pi)) * x * y * z,
        -sqrt(21 / (32 * pi)) * y * (4 * zz - xx - yy),
        sqrt(7 / (16 * pi)) * z * (2 * zz - 3 * xx - 3 * yy),
        -sqrt(21 / (32 * pi)) * x * (4 * zz - xx - yy),
        sqrt(105 / (16 * pi)) * z * (xx - yy),
        -sqrt(35 / (32 * pi)) * x * (xx - 3 * yy),
        sqrt(315 / (16 * pi)) * x * y * (xx - yy),
        -sqrt(315 / (32 * pi)) * y * z * (3 * xx - yy),
        sqrt(45 / (16 * pi)) * x * y * (7 * zz - 1),
        -sqrt(45 / (32 * pi)) * y * z * (7 * zz - 3),
        sqrt(9 / (256 * pi)) * (zz * (35 * zz - 30) + 3),
        -sqrt(45 / (32 * pi)) * x * z * (7 * zz - 3),
        sqrt(45 / (64 * pi)) * (xx - yy) * (7 * zz - 1),
        -sqrt(315 / (32 * pi)) * x * z * (xx - 3 * yy),
        sqrt(315 / (256 * pi)) * (xx * (xx - 3 * yy) - yy * (3 * xx - yy)),
    ]
    return np.stack(functions[:basis_dim], -1)


def render_rays(
    scene: ReferenceModel,
    origins: ArrayLike,
    dirs: ArrayLike,
    *,
    background: ArrayLike = 1.0,
    step_size: float = 0.5,
    near_clip: float = 0.0,
    spheric_clip: bool = False,
    far_cap: float | None = None,
    last_sample_opaque: bool = False,
    model: str = "cuvol",
    sigma_thresh: float = 1e-10,
    stop_thresh: float = 1e-7,
    ndc: tuple[float, ...] | None = None,
    density_float16: bool = False,
    depth_density: float | None = None,
    half: float = 0.5,
) -> ReferencePicture:
    """What rays [n, 3] (world; directions of any length above zero) see in a model.

    The defaults are svox2's. `background` is one number or three; `step_size` is in grid units;
    `near_clip` is in world units, with `spheric_clip` a share of the radius; `far_cap` is in grid
    units; `ndc` is (width, height, fx[, fy]) in pixels; `density_float16` rounds the densities per
    edge of a voxel to float16, 65504 being the largest. With a `depth_density` (per world unit), rays
    gather AOVs; `half` is the light that is left at the median depth.
    """
    origins, dirs = np.asarray(origins, np.float64), np.asarray(dirs, np.float64)
    if ndc is not None:
        origins, dirs = ndc_rays(origins, dirs, ndc)
    density = scene.density
    if density_float16:
        edge = (2.0 * scene.radius / scene.links.shape).min()
        clipped = np.clip(density * edge, -_LARGEST_FLOAT16, _LARGEST_FLOAT16)
        density = clipped.astype(np.float16).astype(np.float64) / edge
    field = _Field(scene, density)
    parts = [
        _march(
            field,
            origins[start : start + _RAYS_AT_ONCE],
            dirs[start : start + _RAYS_AT_ONCE],
            background=background,
            step_size=step_size,
            near_clip=near_clip,
            spheric_clip=spheric_clip,
            far_cap=np.inf if far_cap is None else far_cap,
            last_sample_opaque=last_sample_opaque,
            nvol=model == "nvol",
            sigma_thresh=sigma_thresh,
            stop_thresh=stop_thresh,
            depth_density=depth_density,
            half=half,
        )
        for start in range(0, max(len(origins), 1), _RAYS_AT_ONCE)
    ]
    aovs = [part.aovs for part in parts if part.aovs is not None]
    return ReferencePicture(
        rgb=np.concatenate([part.rgb for part in parts]),
        trans=np.concatenate([part.trans for part in parts]),
        depth=np.concatenate([part.depth for part in parts]),
        aovs=ReferenceAovs.joined(aovs) if aovs else None,
    )


class _Field:
    """Densities and coefficients of a model at any grid position."""

    def __init__(self, model: ReferenceModel, density: Float64) -> None:
        self.size = np.array(model.links.shape)
        self.scale = 0.5 / model.radius * self.size
        self.offset = 0.5 * (1.0 - model.center / model.radius) * self.size - 0.5
        self.basis_dim = model.sh.shape[-1]
        self._links = model.links
        self._density = density
        self._sh = model.sh
        self.basis = model.basis or (lambda dirs: sh_basis(dirs, self.basis_dim))
        self.layers, self.center, self.radius = model.layers, model.center, model.radius
        # Where all eight corners of a cell are 0 or less nothing can contribute: most of a
        # trained scene. This only saves time; a test renders without it.
        positive = np.zeros(model.links.shape, np.bool_)
        active = model.links >= 0
        positive[active] = density[model.links[active]] > 0
        self._worth_a_look = np.zeros(tuple(self.size - 1), np.bool_)
        for i, j, k in _CORNERS:
            nx, ny, nz = self.size - 1
            self._worth_a_look |= positive[i : i + nx, j : j + ny, k : k + nz]

    def cells(self, points: Float64) -> tuple[NDArray[np.int64], Float64, NDArray[np.bool_]]:
        """Cell [n, 3] of grid points [n, 3], place in it [n, 3], and whether it can hold density."""
        clamped = np.clip(points, 0.0, self.size - 1.0)
        cell = np.minimum(np.floor(clamped).astype(np.int64), self.size - 2)
        return cell, clamped - cell, self._worth_a_look[tuple(cell.T)]

    def corners(self, cell: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows [n, 8] at the corners of cells [n, 3]; negative where a corner has no voxel."""
        at = cell[:, None, :] + _CORNERS
        rows: NDArray[np.int64] = self._links[at[..., 0], at[..., 1], at[..., 2]]
        return rows

    def densities(self, rows: NDArray[np.int64]) -> Float64:
        """Density at corners [n, 8]; an empty corner counts as 0."""
        if not len(self._density):
            return np.zeros(rows.shape)
        values: Float64 = np.where(rows >= 0, self._density[np.maximum(rows, 0)], 0.0)
        return values

    def colour(self, rows: NDArray[np.int64], weights: Float64, basis: Float64) -> Float64:
        """Colour [n, 3] of samples seen in directions with SH values [n, dim], clamped at 0."""
        values = np.where((rows >= 0)[..., None, None], self._sh[np.maximum(rows, 0)], 0.0)
        coefficients = np.einsum("nc,ncad->nad", weights, values)
        colour: Float64 = np.maximum(np.einsum("nad,nd->na", coefficients, basis) + 0.5, 0.0)
        return colour


def _march(
    field: _Field,
    origins_world: Float64,
    dirs_world: Float64,
    *,
    background: ArrayLike,
    step_size: float,
    near_clip: float,
    spheric_clip: bool,
    far_cap: float,
    last_sample_opaque: bool,
    nvol: bool,
    sigma_thresh: float,
    stop_thresh: float,
    depth_density: float | None,
    half: float,
) -> ReferencePicture:
    """Walk all rays [n, 3] in step: sample k of each ray at t_min + k * step_size."""
    views = dirs_world / np.linalg.norm(dirs_world, axis=1, keepdims=True)
    basis = field.basis(views)
    origins = origins_world * field.scale + field.offset
    dirs = views * field.scale
    world_per_t = 1.0 / np.linalg.norm(dirs, axis=1)
    dirs = dirs * world_per_t[:, None]
    size = field.size.astype(np.float64)
    if spheric_clip:
        t_min, t_max = sphere_bounds(origins, dirs, size, 1.0 - near_clip)
    else:
        enter, t_max = box_bounds(origins, dirs, size)
        t_min = np.maximum(near_clip / world_per_t, enter)
    t_max = np.minimum(t_max, far_cap)

    n = len(origins)
    rgb, trans, depth = np.zeros((n, 3)), np.ones(n), np.zeros(n)
    aovs = None if depth_density is None else ReferenceAovs.empty(n)
    plain = np.ones(n)  # light left as depth counts it: knows no opaque end, and no nvol
    going = np.flatnonzero(t_min <= t_max)
    k = 0
    while len(going):
        t = t_min[going] + k * step_size
        inside = t <= t_max[going]
        going, t = going[inside], t[inside]
        k += 1
        points = origins[going] + t[:, None] * dirs[going]
        cell, place, worth = field.cells(points)
        ray, t, cell, place = going[worth], t[worth], cell[worth], place[worth]
        corner = np.where(_CORNERS == 1, place[:, None, :], 1.0 - place[:, None, :]).prod(2)
        rows = field.corners(cell)
        densities = field.densities(rows)
        sigma = (densities * corner).sum(1)
        counts = sigma > sigma_thresh
        ray, t, sigma = ray[counts], t[counts], sigma[counts]
        if not len(ray):
            continue
        attenuation = np.exp(-sigma * step_size * world_per_t[ray])
        seen = plain[ray] * (1.0 - attenuation)
        depth[ray] += seen * t * world_per_t[ray]
        plain[ray] *= attenuation
        if aovs is not None:
            aovs.add(
                ray,
                weight=seen,
                left=plain[ray],
                depth=t * world_per_t[ray],
                is_dense=sigma > depth_density,
                gradient=slopes(densities[counts], place[counts]) * field.scale,
                half=half,
            )
        plain[ray[plain[ray] < stop_thresh]] = 0.0
        if nvol:
            weight = np.minimum(1.0 - attenuation, trans[ray])
            trans[ray] -= weight
        else:
            is_last = last_sample_opaque & (t + step_size > t_max[ray])
            attenuation = np.where(is_last, np.exp(-sigma * 1e9), attenuation)
            weight = trans[ray] * (1.0 - attenuation)
            trans[ray] *= attenuation
            trans[ray[trans[ray] < stop_thresh]] = 0.0
        colour = field.colour(rows[counts], corner[counts], basis[ray])
        rgb[ray] += weight[:, None] * colour
        going = going[plain[going] > 0.0]
    if nvol:
        trans[plain == 0.0] = 0.0
    if field.layers is not None:
        behind, trans = see_layers(
            field.layers,
            (origins_world - field.center) / field.radius,
            views / field.radius,
            trans,
            step_size=step_size,
            stop_thresh=stop_thresh,
        )
        rgb += behind
    rgb += trans[:, None] * np.asarray(background, np.float64)
    return ReferencePicture(rgb, trans, depth, aovs)
