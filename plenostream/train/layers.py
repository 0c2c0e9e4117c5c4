"""Background layers that are trained: texels of spheres around the volume, and what a step does to them.

The resolution stays the same in all stages; svox2, too, trains its layers so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from plenostream.field.background import BackgroundLayers
from plenostream.field.grid import GridSpec
from plenostream.format.extra_arrays import read_extras
from plenostream.format.reader import SceneStore
from plenostream.options import RenderOptions
from plenostream.train.rows import Descent
from plenostream.train.voxel_set import ABSENT

__all__ = ["LARGEST_SHARE", "TrainedLayers", "layers_bytes"]

_FIRST_SIGMA = 0.1
"""Density of all texels in the beginning (svox2's ``init_sigma_bg``)."""
_LEAST_ALPHA = 1e-3
"""Light that a texel's column of layers takes from rays straight outward, at least, if it is to stay."""
_TEXELS_AT_ONCE = 1 << 16
_UNIT = 256.0
"""Texels around whose differences count once, as of voxels."""
_SMALL = np.float32(1e-9)
LARGEST_SHARE = 0.01
"""Of the texels, whose total variation a step counts, at most: as many as svox2 takes."""
_AT_WORK, _VARIED = 32 << 20, 15 * LARGEST_SHARE
"""Bytes of rays that go back through layers and of a step's texels, at most; those of the total variation of
that share of all texels, over theirs."""


def layers_bytes(n_rows: int, height: int, n_layers: int, *, squares: bool) -> int:
    """Host memory of so many rows of texels: numbers, derivatives and mean squares, copies while a scene
    is written, and what works on them."""
    texels = n_rows * n_layers * 16
    links = 2 * height * height * 4
    return int(texels * (3 + squares + _VARIED)) + 4 * links + 2 * n_rows + _AT_WORK


@dataclass(slots=True, kw_only=True, eq=False)
class TrainedLayers:
    """n texels with values in each of L layers, float32."""

    links: NDArray[np.int32]
    """[2 h, h]: row of each texel, `ABSENT` where it has none."""
    texels: NDArray[np.float32]
    """[n, L, 4]: red, green, blue and density, see `BackgroundLayers`."""
    squares: NDArray[np.float32] | None
    """[n, L, 4]: running means of squared derivatives; None: the optimiser keeps none."""
    seen: NDArray[np.bool_]
    """[n]: whether a ray has met a texel."""
    by_texels: NDArray[np.float32] = field(init=False)
    """[n, L, 4]: derivatives of a step."""
    touched: NDArray[np.bool_] = field(init=False)
    """[n]: rows that have some."""

    def __post_init__(self) -> None:
        self.by_texels = np.zeros_like(self.texels)
        self.touched = np.zeros(len(self.texels), np.bool_)

    @classmethod
    def new(cls, height: int, n_layers: int, *, squares: bool) -> Self:
        """All texels, grey and of a density that lets light through."""
        links = np.arange(2 * height * height, dtype=np.int32).reshape(2 * height, height)
        texels = np.zeros((links.size, n_layers, 4), np.float32)
        texels[..., 3] = _FIRST_SIGMA
        return cls._of(links, texels, squares=squares)

    @classmethod
    def of_scene(cls, store: SceneStore, *, squares: bool) -> Self:
        """Those of a scene that has some; raises BrickCorrupt where they are damaged."""
        links, texels = read_extras(store, "background")
        return cls._of(links, texels, squares=squares)

    @classmethod
    def _of(cls, links: NDArray[np.int32], texels: NDArray[np.float32], *, squares: bool) -> Self:
        return cls(
            links=links,
            texels=texels,
            squares=np.zeros_like(texels) if squares else None,
            seen=np.zeros(len(texels), np.bool_),
        )

    def around(self, grid: GridSpec, render: RenderOptions) -> BackgroundLayers:
        """The same as rays see them behind a volume: the same memory."""
        return BackgroundLayers(
            links=self.links,
            texels=self.texels[None],
            slot_of=np.zeros(1, np.int32),
            center=np.array(grid.center, np.float64),
            radius=np.array(grid.radius, np.float64),
            step_size=render.step_size,
            stop_thresh=render.stop_thresh,
        )

    def vary(self, start: int, share: float, weight: float) -> None:
        """Add derivatives of the total variation of a share of the texels, from texel `start` of `links` on:
        ``w sqrt(1e-9 + sum_a (s_a d_a)^2)`` of each number of each layer, d_a being its difference to the next
        one around, towards the other pole and outward, s_a the texels that way over 256.

        Source: svox2's ``msi_tv_grad_sparse_kernel`` in ``csrc/loss_kernel.cu``, which goes on from pole to
        pole, lets densities end with the last layer, and is no derivative of anything.
        """
        around, height = self.links.shape
        count = max(int(share * self.links.size), 1)
        cells = (start + np.arange(count)) % self.links.size
        column, line = cells // height, cells % height
        own = self.links[column, line]
        there = own != ABSENT
        column, line, own = column[there], line[there], own[there]
        neighbours = (
            self.links[(column + 1) % around, line],
            np.where(line + 1 < height, self.links[column, (line + 1) % height], ABSENT),
        )
        n_layers = self.texels.shape[1]
        scales = np.square(np.array([around, height, n_layers]) / _UNIT).astype(np.float32)
        values = self.texels[own]
        outward = np.zeros_like(values)
        outward[:, :-1] = values[:, 1:] - values[:, :-1]
        steps = [outward]
        for rows in neighbours:
            # The next texel's own values, where it has none: there is no difference then.
            steps.append(self.texels[np.where(rows == ABSENT, own, rows)] - values)
        squares = sum(s * step * step for s, step in zip(scales[[2, 0, 1]], steps, strict=True))
        factor = np.float32(weight / (count * n_layers)) / np.sqrt(_SMALL + squares)
        changes = [factor * s * step for s, step in zip(scales[[2, 0, 1]], steps, strict=True)]
        self.by_texels[own] -= sum(changes)
        self.by_texels[own, 1:] += changes[0][:, :-1]
        self.touched[own] = True
        for rows, change in zip(neighbours, changes[1:], strict=True):
            some = rows != ABSENT
            self.by_texels[rows[some]] += change[some]
            self.touched[rows[some]] = True

    def descend(self, step: Descent) -> None:
        """Take the touched texels a step down, densities and colours at the rates of those of rows; none is
        touched then. Elsewhere nothing changes, as with `RowWork.descend`."""
        rates = np.array([step.sh_rate] * 3 + [step.density_rate], np.float32)
        rows, n_layers = np.flatnonzero(self.touched), self.texels.shape[1]
        # Rows of four numbers are taken by `take` in half the time that indexing needs.
        texels, by_texels = self.texels.reshape(-1, 4), self.by_texels.reshape(-1, 4)
        squares = None if self.squares is None else self.squares.reshape(-1, 4)
        at_once = max(_TEXELS_AT_ONCE // n_layers, 1)
        for first in range(0, len(rows), at_once):
            some = rows[first : first + at_once, None] * n_layers + np.arange(n_layers)
            place = some.reshape(-1)
            by = np.take(by_texels, place, axis=0)
            changed = (by[:, 0] != 0) | (by[:, 1] != 0) | (by[:, 2] != 0) | (by[:, 3] != 0)
            place, by = place[changed], by[changed]
            by_texels[place] = 0.0
            down = rates * by
            if squares is not None:
                mine, before = by * by, np.take(squares, place, axis=0)
                mean = np.where(before == 0.0, mine, mine + np.float32(step.beta) * (before - mine))
                squares[place] = mean
                down /= np.sqrt(mean) + np.float32(step.epsilon)
            texels[place] -= down
        self.touched[rows] = False

    def kept(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Links [2 h, h] and texels of those that are worth a place in a scene: seen by rays and not all but
        clear, and those around them, since between them both count."""
        lengths = np.full(self.texels.shape[1], 1.0 / self.texels.shape[1], np.float32)
        depth = np.maximum(self.texels[..., 3], 0.0) @ lengths
        heavy = self.seen & (1.0 - np.exp(-depth) >= _LEAST_ALPHA)
        at = np.zeros(self.links.shape, np.bool_)
        has_row = self.links != ABSENT
        at[has_row] = heavy[self.links[has_row]]
        for axis in range(2):
            at = at | np.roll(at, 1, axis) | np.roll(at, -1, axis)
        at &= has_row
        links = np.full_like(self.links, ABSENT)
        links[at] = np.arange(np.count_nonzero(at), dtype=np.int32)
        return links, self.texels[self.links[at]]
