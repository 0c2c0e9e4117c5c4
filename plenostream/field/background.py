"""Layers behind the volume: spheres around it, evenly spaced in inverse radius, seen after everything.

Source: svox2, `render_background_forward` in `csrc/render_lerp_kernel_cuvol.cu`; `docs/rules.md`,
rule 23. It takes rays that are finished, whatever drew them. `integrator.native.layers` is the same
compiled, twenty times as fast; this is what draws where nothing was compiled.

The texels lie in chunks, of which some are in memory. A ray that needs another one stops before that
sphere, and goes on in a later call: so any number of chunks that holds four gives the same picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from plenostream.field.basis import C0

__all__ = [
    "CORNERS",
    "BackgroundLayers",
    "Corners",
    "OutwardRays",
    "SeeLayers",
    "SeenSphere",
    "blended_from",
    "see_layers",
    "spheres_of",
]

CORNERS = 4
"""Rows of texels between which a ray sees, and so the chunks that it may need at once."""
_APART = 1e-3
"""How far outside of a ray's nearest point to the centre its first sphere lies, at least."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BackgroundLayers:
    """Texels of L spheres, each an equirectangular picture of h texels from pole to pole."""

    links: NDArray[np.int32]
    """Row of each texel [2 h, h]; negative: nothing in any layer."""
    texels: NDArray[np.float32]
    """Red, green, blue (coefficients of the constant function) and density [slots, chunk_rows, L, 4]."""
    slot_of: NDArray[np.int32]
    """Where each chunk of rows is [chunks]; negative: not in memory."""
    center: Floats
    """[3] of the volume (world units)."""
    radius: Floats
    """[3]"""
    step_size: float
    """See `RenderOptions`."""
    stop_thresh: float
    """See `RenderOptions`."""

    @property
    def is_whole(self) -> bool:
        """Whether all chunks are in memory, in order."""
        return bool((self.slot_of == np.arange(len(self.slot_of))).all())

    @property
    def n_layers(self) -> int:
        """L."""
        return int(self.texels.shape[2])

    @property
    def n_spheres(self) -> int:
        """Places at which a ray looks at the layers, at most."""
        return int(self.n_layers / self.step_size) + 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutwardRays:
    """Rays that have left the volume, and how far they have come."""

    origins: Floats
    """[3, R] world."""
    directions: Floats
    """[3, R] of any length above zero."""
    trans: Floats
    """[R] light left; where it is 0, nothing is seen."""
    colour: Floats
    """[R, 3] what they have seen."""
    before: Floats
    """[R] inverse radius of the last sphere; 0: none yet."""
    sphere: NDArray[np.int32]
    """[R] that they come to next."""

    @classmethod
    def leaving(cls, origins: Floats, directions: Floats, trans: Floats) -> Self:
        """Rays before the first sphere; `trans` is copied."""
        n = len(trans)
        return cls(
            origins=np.ascontiguousarray(origins),
            directions=np.ascontiguousarray(directions),
            trans=np.array(trans),
            colour=np.zeros((n, 3)),
            before=np.zeros(n),
            sphere=np.zeros(n, np.int32),
        )


SeeLayers = Callable[[BackgroundLayers, OutwardRays], NDArray[np.int64]]
"""Takes rays outward as far as there are texels; gives the chunks that they stopped for, first up to
four that one ray needs: with these, at least that one goes on. None: all are through."""


def see_layers(layers: BackgroundLayers, rays: OutwardRays) -> NDArray[np.int64]:
    """See `SeeLayers`.

    Notes
    -----
    The unit sphere is the ellipsoid inscribed in the volume. A sphere of radius r is seen where the
    ray leaves it; its thickness is (1 / r_before - 1 / r) * world_per_t * density.
    """
    wanted: list[NDArray[np.int64]] = []
    for sphere in spheres_of(layers, rays, wanted):
        here = sphere.rays
        shown = np.maximum(sphere.values[:, :3] * C0 + 0.5, 0.0)
        rays.colour[here] += (rays.trans[here] * (1.0 - sphere.left))[:, None] * shown
    return _in_order(np.concatenate([np.empty(0, np.int64), *wanted]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeenSphere:
    """What R rays meet of a sphere, before it has taken light from them."""

    rays: NDArray[np.int64]
    """[R]: which they are."""
    values: Floats
    """[R, 4] blended texels."""
    lengths: Floats
    """[R] thickness of the sphere to them (inverse world units), for a density of 1."""
    left: Floats
    """[R] share of their light that passes."""
    corners: Corners
    inverse: float
    """1 / radius."""


def spheres_of(
    layers: BackgroundLayers, rays: OutwardRays, wanted: list[NDArray[np.int64]]
) -> Iterator[SeenSphere]:
    """The spheres that rays meet, from the innermost outward. As one is left, it takes its light from
    them. Rays that lack a chunk stop before it, and `wanted` gets what they need."""
    n = layers.n_spheres
    center, radius = layers.center[:, None], layers.radius[:, None]
    along = rays.directions / _length(rays.directions) / radius
    world_per_t = 1.0 / _length(along)
    along = along * world_per_t
    start = (rays.origins - center) / radius
    nearest = _dot(start, along)
    off = start - nearest * along
    squared = _dot(off, off)
    innermost = np.maximum(np.sqrt(squared) + _APART, 1.0)
    np.copyto(rays.before, 1.0 / innermost, where=rays.before == 0.0)
    rays.sphere[rays.trans <= 0.0] = n
    for number in range(int(rays.sphere.min(initial=n)), n):
        inverse = (n - number - 0.5) / n
        here = np.flatnonzero(rays.sphere == number)
        rays.sphere[here] += 1
        # Spheres that do not count lie inside of the ray's nearest point: no root there.
        here = here[1.0 / inverse >= innermost[here]]
        t = np.sqrt(np.maximum(inverse**-2 - squared[here], 0.0)) - nearest[here]
        corners = _corners(layers, (start[:, here] + t * along[:, here]) * inverse)
        missing = (corners.rows >= 0) & (layers.slot_of[corners.chunks] < 0)
        if missing.any():
            stops: NDArray[np.bool_] = np.logical_or.reduce(missing, axis=0)
            rays.sphere[here[stops]] = number
            # Those of the first ray come first: it needs what it has, too.
            wanted.append(np.where(corners.rows < 0, -1, corners.chunks)[:, stops].T.reshape(-1))
            here, corners = here[~stops], corners.of(~stops)
        values = _blended(layers, corners, inverse)
        sigma = values[:, 3]
        lengths = (rays.before[here] - inverse) * world_per_t[here]
        left = np.exp(-lengths * np.maximum(sigma, 0.0))
        yield SeenSphere(
            rays=here, values=values, lengths=lengths, left=left, corners=corners, inverse=inverse
        )
        rays.trans[here] *= left
        rays.before[here] = inverse
        rays.sphere[here[(sigma > 0.0) & (rays.trans[here] < layers.stop_thresh)]] = n


def _in_order(chunks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each chunk once, where it was first named."""
    named = chunks[chunks >= 0]
    return named[np.sort(np.unique(named, return_index=True)[1])]


@dataclass(frozen=True, slots=True, eq=False)
class Corners:
    """The rows around places, and the share of each."""

    rows: NDArray[np.int64]
    """[4, R]; negative: none."""
    chunks: NDArray[np.int64]
    """[4, R] chunk of each row, 0 where there is none."""
    shares: NDArray[np.float32]
    """[4, R]"""

    def of(self, which: NDArray[np.bool_]) -> Corners:
        return Corners(self.rows[:, which], self.chunks[:, which], self.shares[:, which])


def _corners(layers: BackgroundLayers, place: Floats) -> Corners:
    """Those of places [3, R] of the unit sphere."""
    around, height = layers.links.shape
    x = around * (0.5 + np.arctan2(place[0], place[2]) / (2.0 * math.pi))
    y = height * (0.5 - np.arcsin(np.clip(place[1], -1.0, 1.0)) / math.pi)
    low_x, low_y = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    part_x, part_y = (x - low_x).astype(np.float32), (y - low_y).astype(np.float32)
    rows, shares = [], []
    for i, j in np.ndindex(2, 2):
        row = layers.links[(low_x + i) % around, (low_y + j) % height].astype(np.int64)
        share = (part_x if i else 1 - part_x) * (part_y if j else 1 - part_y)
        rows.append(row)
        shares.append(np.where(row >= 0, share, np.float32(0)))
    listed = np.stack(rows)
    return Corners(listed, np.maximum(listed, 0) // layers.texels.shape[1], np.stack(shares))


def blended_from(
    layers: BackgroundLayers, corners: Corners, inverse: float
) -> tuple[NDArray[np.int64], float]:
    """Places [4, R] of the texels of rows, counted through all of them, on the layer below an inverse
    radius; and how far from it to the next layer that lies, whose texels follow."""
    n_layers, chunk_rows = layers.n_layers, layers.texels.shape[1]
    depth = min(max((1.0 - inverse) * n_layers - 0.5, 0.0), n_layers - 1.0)
    layer = min(int(depth), n_layers - 2)
    slots = np.maximum(layers.slot_of[corners.chunks], 0).astype(np.int64)
    rows = slots * chunk_rows + np.maximum(corners.rows, 0) % chunk_rows
    return rows * n_layers + layer, depth - layer


def _blended(layers: BackgroundLayers, corners: Corners, inverse: float) -> Floats:
    """Values [R, 4] between rows and two layers, at an inverse radius."""
    # Rows of four numbers are taken by `take` in half the time that indexing needs.
    texels, total = layers.texels.reshape(-1, 4), np.zeros((corners.rows.shape[1], 4), np.float32)
    places, deeper = blended_from(layers, corners, inverse)
    for place, share in zip(places, corners.shares, strict=True):
        near, far = np.take(texels, place, axis=0), np.take(texels, place + 1, axis=0)
        total += share[:, None] * (near + np.float32(deeper) * (far - near))
    return total.astype(np.float64)


def _dot(a: Floats, b: Floats) -> Floats:
    """Products [R] of vectors [3, R]."""
    product: Floats = (a * b).sum(axis=0)
    return product


def _length(vectors: Floats) -> Floats:
    return np.sqrt(_dot(vectors, vectors))
