"""What subvolumes draw together: bands of a picture, or arbitrary rays; sheets of them, and what is made of these.

A band is a value: it says which rays it has, so a process that draws it, one that lays sheets of it over
each other, and one that puts the background behind them make the same rays from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.engine.oversight import UNWATCHED, Oversight
from plenostream.engine.picture import PictureJob, Pixels
from plenostream.engine.projection import projected
from plenostream.engine.ray_picture import seen_rays
from plenostream.engine.rays import RaysJob, packets_of
from plenostream.engine.session import Session
from plenostream.engine.sheets import Sheet, SheetMaker, sheet_bytes
from plenostream.engine.sight import tile_corners
from plenostream.field.finished import Finished, Place
from plenostream.field.ndc import Ndc
from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.interface import RaySource
from plenostream.results import FrameStats

__all__ = ["Band", "PixelBand", "RayBand", "TileBand", "rises"]

_TILES_AT_ONCE = 256
"""Tiles that are finished together; bounds what is made for them."""

_BLACK = np.zeros(3, np.float32)

Arrays = dict[str, NDArray[np.float32]]
"""What is seen in the end, by the fields of `results.Outputs`."""


class Band(Protocol):
    """Rays that all subvolumes draw, and that are put together."""

    @property
    def rays(self) -> RaySource:
        """The rays, as they are drawn, tile by tile."""
        ...

    def draw(self, session: Session, oversight: Oversight = UNWATCHED) -> tuple[Sheet, FrameStats]:
        """What the session's bricks show, and what it cost; raises as `Session.draw`."""
        ...

    def finish(self, session: Session, sheet: Sheet) -> Arrays:
        """What is seen where the sheet of the whole scene is this, with everything that is behind it."""
        ...


def rises(band: Band, axis: int, number: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the coordinate along an axis rises on rays [t, 64] of the tiles `number` [t]."""
    rays, parts = band.rays, [np.empty((0, TILE_RAYS), bool)]
    for start in range(0, len(number), _TILES_AT_ONCE):
        some = number[start : start + _TILES_AT_ONCE]
        _, directions, _ = rays.make(np, *(array[some] for array in rays.per_tile), *rays.shared)
        parts.append(directions[axis].reshape(-1, TILE_RAYS) >= 0.0)
    return np.concatenate(parts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TileBand:
    """Pixel rows of a camera whose rays have an order of bricks (`have_an_order`)."""

    camera: Camera
    samples: int
    """Rays along each edge of a pixel; rows are those of the picture of so many times the size."""
    top: int
    bottom: int
    """Rows [top, bottom); `top` is a multiple of `TILE`."""
    ndc: Ndc | None

    @property
    def rays(self) -> RaySource:
        """See `Band.rays`."""
        n, camera = self.samples, self.camera
        fine = camera if n == 1 else camera.resized(n * camera.width, n * camera.height)
        corners = tile_corners(fine, self.top, self.bottom)
        source = RaySource(
            make=fine.lens.make,
            per_tile=(corners,),
            nothing=(corners[:1],),
            shared=fine.ray_arrays,
        )
        return projected(source, self.ndc)

    def draw(self, session: Session, oversight: Oversight = UNWATCHED) -> tuple[Sheet, FrameStats]:
        """See `Band.draw`."""
        job, maker = PictureJob(session, self.camera, in_parts=True), SheetMaker()
        n_tiles, view = self.rays.n_tiles, job.view(self.top, self.bottom)
        oversight.begin(n_tiles * TILE_RAYS)
        all_of_them = np.ones((n_tiles, TILE_RAYS), np.bool_)
        rows = (view, self.top, self.bottom, all_of_them)
        lot = job.part(*rows, maker.take, _BLACK, between=(0.0, math.inf))
        n_columns = session.aovs.n_columns
        if lot is None:
            return maker.sheet(n_columns), FrameStats()
        held = 2 * sheet_bytes(n_tiles, n_columns)
        stats = session.draw(job.layout, iter((lot,)), {"sheet": held}, oversight)
        _count_held(stats, held)
        return maker.sheet(n_columns), stats

    def finish(self, session: Session, sheet: Sheet) -> Arrays:
        """See `Band.finish`."""
        job, n = PictureJob(session, self.camera, in_parts=True), self.samples
        first, last = self.top // n, -(-self.bottom // n)
        region = self.camera.region(0, first, self.camera.width, last - first)
        pixels = Pixels.empty(region, session.aovs, n)
        _put_behind(session, self.rays, sheet, pixels.put, job.layout.host.background_bytes)
        whole = pixels.cut(region)
        return {"rgb": whole.rgb, "alpha": whole.alpha, "depth": whole.depth, **whole.aovs}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RayBand:
    """Arbitrary rays, n of them, in packets of 64 as they come."""

    origins: NDArray[np.float64]
    """[n, 3], world."""
    directions: NDArray[np.float64]
    """[n, 3], world, of any length above zero."""
    ndc: Ndc | None

    @property
    def rays(self) -> RaySource:
        """See `Band.rays`."""
        return projected(packets_of(self.origins, self.directions), self.ndc)

    def draw(self, session: Session, oversight: Oversight = UNWATCHED) -> tuple[Sheet, FrameStats]:
        """See `Band.draw`."""
        n, maker, n_columns = len(self.origins), SheetMaker(), session.aovs.n_columns
        if not n:
            return maker.sheet(n_columns), FrameStats()
        job = RaysJob(session, self.origins, self.directions, behind=_BLACK)
        n_tiles = -(-n // TILE_RAYS)
        held = 2 * sheet_bytes(n_tiles, n_columns)
        values, stats = job.draw(held, oversight)
        _count_held(stats, held)
        whole = np.zeros((n_tiles * TILE_RAYS, values.shape[1]), np.float32)
        whole[:n] = values
        tiles = whole.reshape(n_tiles, TILE_RAYS, -1)
        rays = Finished(
            tile=np.arange(n_tiles),
            rgb=tiles[..., :3],
            depth=tiles[..., 4],
            alpha=tiles[..., 3],
            aovs=tiles[..., 5:],
        )
        maker.take(rays)
        return maker.sheet(n_columns), stats

    def finish(self, session: Session, sheet: Sheet) -> Arrays:
        """See `Band.finish`."""
        n, aovs = len(self.origins), session.aovs
        tiles = np.zeros((-(-n // TILE_RAYS), TILE_RAYS, 5 + aovs.n_columns), np.float32)

        def place(some: Finished) -> None:
            parts = (some.rgb, some.alpha[..., None], some.depth[..., None], some.aovs)
            tiles[some.tile] = np.concatenate(parts, -1)

        if n:
            texels = session.planner.packets(self.rays, n)[0].host.background_bytes
            _put_behind(session, self.rays, sheet, place, texels)
        rays = tiles.reshape(-1, tiles.shape[-1])[:n]
        found = aovs.of_pixels(rays[:, None, 5:])
        return {"rgb": rays[:, :3], "alpha": rays[:, 3], "depth": rays[:, 4], **found}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PixelBand:
    """Pixel rows of a camera whose rays have no order of bricks: each is a ray of its own."""

    camera: Camera
    top: int
    bottom: int
    ndc: Ndc | None

    def _seen(self) -> tuple[Camera, NDArray[np.int64], RayBand]:
        """The camera of these rows, places of pixels with a ray, and their rays."""
        rows = self.camera.region(0, self.top, self.camera.width, self.bottom - self.top)
        place, origins, directions = seen_rays(rows)
        return rows, place, RayBand(origins=origins, directions=directions, ndc=self.ndc)

    @property
    def rays(self) -> RaySource:
        """See `Band.rays`."""
        return self._seen()[2].rays

    def draw(self, session: Session, oversight: Oversight = UNWATCHED) -> tuple[Sheet, FrameStats]:
        """See `Band.draw`."""
        return self._seen()[2].draw(session, oversight)

    def finish(self, session: Session, sheet: Sheet) -> Arrays:
        """See `Band.finish`."""
        rows, place, band = self._seen()
        shape = rows.height, rows.width
        whole = {name: np.zeros((*shape, *end), np.float32) for name, end in _PIXEL_SHAPES.items()}
        whole["rgb"][...] = session.options.background_rgb
        whole |= session.aovs.room(*shape)
        for name, values in band.finish(session, sheet).items():
            whole[name].reshape(-1, *values.shape[1:])[place] = values
        return whole


_PIXEL_SHAPES: dict[str, tuple[int, ...]] = {"rgb": (3,), "alpha": (), "depth": ()}


def _count_held(stats: FrameStats, n_bytes: int) -> None:
    """Add sheets, for which memory is kept apart, to what was planned of a session's."""
    stats.planned_host_bytes += n_bytes
    stats.allowed_host_bytes += n_bytes


def _put_behind(
    session: Session, rays: RaySource, sheet: Sheet, place: Place, texel_bytes: int
) -> None:
    """Hand all tiles of `rays` to `place`, with layers, in `texel_bytes`, and background behind them."""
    put, behind = session.behind(rays, place, texel_bytes)
    for start in range(0, rays.n_tiles, _TILES_AT_ONCE):
        number = np.arange(start, min(start + _TILES_AT_ONCE, rays.n_tiles))
        first, last = np.searchsorted(sheet.number, (start, start + len(number)))
        tiles = Sheet.clear(number, sheet.aovs.shape[-1])
        tiles.put(sheet.number[first:last] - start, sheet.some(slice(first, last)))
        put(
            Finished(
                tile=number,
                rgb=tiles.rgb + tiles.trans[..., None] * behind,
                depth=tiles.depth,
                alpha=1.0 - tiles.trans,
                aovs=tiles.aovs,
            )
        )
