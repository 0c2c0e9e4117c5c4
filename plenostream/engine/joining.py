"""Which side of a cut a ray meets first, and so how the sheets of both sides go together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from plenostream.cameras import Camera
from plenostream.engine.bands import Band, PixelBand, TileBand, rises
from plenostream.engine.projection import choose_ndc
from plenostream.engine.ray_picture import have_an_order
from plenostream.engine.sheets import Sheet, laid_over
from plenostream.errors import InvalidInput
from plenostream.field.ndc import Ndc
from plenostream.field.tiles import TILE
from plenostream.format.layout import SceneMeta
from plenostream.options import RenderOptions
from plenostream.plan import Cut

__all__ = ["Joining", "refuse_what_does_not_join"]

_BESIDE = 1e-2
"""Grid units from a plane within which an eye counts as on it: float32 may place it on either side."""
_NOT_JOINED = {
    "median-depth": "where half of the light is left",
    "density-depth": "the first sample of a density before the ray ends",
    "cost": "how many samples there are before the ray ends",
}


def refuse_what_does_not_join(options: RenderOptions) -> None:
    """Raise InvalidInput where `options` ask for what cannot be put together from subvolumes."""
    remedy = "; draw it by frames (--split frames), which may stream bricks"
    if options.model == "nvol":
        raise InvalidInput(
            "model nvol is not drawn by sets of bricks: its opacities add up to 1 at most, and what is "
            f"in front of a set is not known there{remedy}"
        )
    for name in options.outputs:
        if name in _NOT_JOINED:
            raise InvalidInput(
                f"outputs has {name}, which is not drawn by sets of bricks: {_NOT_JOINED[name]} depends "
                f"on what is in front of a set{remedy}"
            )
    if options.level == "auto":
        raise InvalidInput(
            "level auto is not drawn by sets of bricks, which are those of one level; name a level, or "
            "draw it by frames (--split frames)"
        )


@dataclass(frozen=True, slots=True)
class Joining:
    """Makes bands of pictures, and puts sheets of them together."""

    meta: SceneMeta
    """Of the scene, or of the level that is drawn."""
    options: RenderOptions

    @property
    def ndc(self) -> Ndc | None:
        """See `ChosenNdc.camera`."""
        return choose_ndc(self.options, self.meta).camera

    def bands(self, camera: Camera, n_rows: int) -> Iterator[tuple[int, Band]]:
        """The bands of a camera's picture, each with its first row of pixels: up to `n_rows` rows of
        tiles each."""
        ndc, n = self.ndc, self.options.samples
        if not have_an_order(camera, self.meta.grid, self.options, ndc):
            for top in range(0, camera.height, n_rows * TILE):
                bottom = min(top + n_rows * TILE, camera.height)
                yield top, PixelBand(camera=camera, top=top, bottom=bottom, ndc=ndc)
            return
        height = n * camera.height
        for top in range(0, height, n_rows * TILE):
            bottom = min(top + n_rows * TILE, height)
            yield (
                top // n,
                TileBand(camera=camera, samples=n, top=top, bottom=bottom, ndc=ndc),
            )

    def joined(self, band: Band, cut: Cut, low: Sheet, high: Sheet) -> Sheet:
        """The sheet of what lies on both sides of a cut, from those of either."""
        side = self._low_in_front(band, cut)
        if side is not None:
            first = np.full((1, 1), side)
        else:
            both = np.intersect1d(low.number, high.number, assume_unique=True)
            first = rises(band, cut.axis, both)
        return laid_over(low, high, first, self.options.stop_thresh)

    def _low_in_front(self, band: Band, cut: Cut) -> bool | None:
        """Whether the low side is in front on all rays; None where each ray has to be looked at."""
        if not isinstance(band, TileBand) or band.ndc is not None or not band.camera.lens.has_eye:
            return None
        eye = float(self.meta.grid.world_to_grid(band.camera.eye_world)[cut.axis])
        plane = cut.at * self.meta.brick_size
        return None if abs(eye - plane) < _BESIDE else eye < plane
