"""Pictures that a camera takes, drawn in bands of rows.

With n x n samples a pixel, what is drawn is the picture of n times the size, whose pixel centres are
the samples: sample (a, b) of a pixel lies at ((a + 0.5) / n, (b + 0.5) / n) of it. It is never there
as a whole: tiles become means as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.engine.ndc_sight import meeting_of, ndc_view
from plenostream.engine.oversight import UNWATCHED, Oversight
from plenostream.engine.planner import Layout
from plenostream.engine.session import Lot, Session
from plenostream.engine.sight import camera_view, tile_corners
from plenostream.errors import InternalError
from plenostream.field.aovs import Aovs
from plenostream.field.finished import Finished, Place
from plenostream.field.tiles import TILE, TILE_RAYS
from plenostream.integrator.interface import RaySource
from plenostream.plan import CameraView, TilesView, plan_waves
from plenostream.plan.budget import RenderPlan
from plenostream.results import FrameStats

__all__ = ["PictureJob", "Pixels"]

_TILES_AT_ONCE = 256
"""Tiles without bricks that layers are put behind together; bounds what is made for them."""
_LEFT_OF_THE_PICTURE = np.full((1, 2), -TILE, np.int32)
"""Corner of a tile that has no pixels."""
Make = Callable[..., tuple[Any, Any, Any]]
"""See `RaySource.make`."""


@cache
def _some_of(make: Make) -> Make:
    """The rays that `make` makes, but for those that a second array of the tiles, [t, 64], leaves out."""

    def some(xp: Any, corners: Any, wanted: Any, *shared: Any) -> tuple[Any, Any, Any]:
        origins, directions, seen = make(xp, corners, *shared)
        return origins, directions, seen & wanted.reshape(-1)

    return some


def _numbered(tiles: NDArray[np.int64], place: Place) -> Place:
    """Takes tiles by their places in `tiles`, and hands them on by their numbers there."""

    def put(some: Finished) -> None:
        place(replace(some, tile=tiles[some.tile]))

    return put


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """A picture in the making."""

    rgb: NDArray[np.float32]
    """[height, width, 3]."""
    alpha: NDArray[np.float32]
    """[height, width]."""
    depth: NDArray[np.float32]
    """[height, width]."""
    gathered: Aovs
    aovs: dict[str, NDArray[np.float32]]
    """[height, width] or [height, width, 3] each, see `Aovs.of_pixels`."""
    samples: int = 1
    """Rays along each edge of a pixel."""

    @classmethod
    def empty(cls, camera: Camera, gathered: Aovs, samples: int = 1) -> Self:
        """Room for all tiles that a camera's picture lies in."""
        edge = TILE // samples
        size = -(-camera.height // edge) * edge, -(-camera.width // edge) * edge
        rgb, alpha, depth = (np.empty(shape, np.float32) for shape in ((*size, 3), size, size))
        return cls(rgb, alpha, depth, gathered, gathered.room(*size), samples)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        arrays = (self.rgb, self.alpha, self.depth, *self.aovs.values())
        return sum(array.nbytes for array in arrays)

    def fill(self, rgb: NDArray[np.float32]) -> None:
        """Have all pixels be what a ray sees that meets nothing before a colour [3]."""
        # The mean of a pixel's rays, by the sum that all others have: it may round.
        colour = np.tile(rgb, (1, 1, self.samples**2, 1)).mean(2)[0]
        # Row by row: pixel by pixel, NumPy takes five times as long.
        self.rgb[...] = np.tile(colour, (self.rgb.shape[1], 1))
        self.alpha[...] = self.depth[...] = 0.0

    def put(self, some: Finished, *, first: int = 0) -> None:
        """Fill in tiles, numbered row by row from `first` on."""
        height, width = self.alpha.shape
        edge = TILE // self.samples
        row, column = np.divmod(first + some.tile, width // edge)
        parts = [(self.rgb, some.rgb), (self.depth, some.depth), (self.alpha, some.alpha)]
        if self.samples > 1:
            parts = [(whole, self._by_pixel(part).mean(2)) for whole, part in parts]
        if self.aovs:
            found = self.gathered.of_pixels(self._by_pixel(some.aovs))
            parts += [(self.aovs[name], part) for name, part in found.items()]
        for whole, part in parts:
            # A row of a tile's pixels, all channels together, is one thing to NumPy: number by
            # number, copying takes twice as long.
            length = edge * whole[0, 0].size
            pixels = np.dtype(("V", length * whole.itemsize))
            tiled = whole.reshape(height // edge, edge, -1).view(pixels)
            runs = np.ascontiguousarray(part).reshape(len(row), edge * length)
            tiled[row, :, column] = runs.view(pixels)

    def _by_pixel(self, rays: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the n x n rays of each pixel of tiles [t, 64, ...] have: [t, pixels, n n, ...]."""
        n, edge = self.samples, TILE // self.samples
        tiles, channels = len(rays), rays.shape[2:]
        apart = rays.reshape(tiles, edge, n, edge, n, *channels).swapaxes(2, 3)
        return apart.reshape(tiles, edge * edge, n * n, *channels)

    def cut(self, camera: Camera) -> Self:
        """The picture without what its tiles reach beyond it."""

        def inside(array: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.ascontiguousarray(array[: camera.height, : camera.width])

        rgb, alpha, depth = (inside(array) for array in (self.rgb, self.alpha, self.depth))
        aovs = {name: inside(array) for name, array in self.aovs.items()}
        return type(self)(rgb, alpha, depth, self.gathered, aovs, self.samples)


class PictureJob:
    """A camera's picture, planned: `plan` says what `draw` then does."""

    def __init__(
        self,
        session: Session,
        camera: Camera,
        left_out: NDArray[np.bool_] | None = None,
        *,
        in_parts: bool = False,
    ) -> None:
        """Raises BudgetError where the picture does not fit; allocates nothing. Of the scene's bricks,
        those `left_out` [n] are not drawn. What is drawn `in_parts` is drawn by `part` alone."""
        self._session = session
        self._left_out, self._in_parts = left_out, in_parts
        self._picture_camera = camera
        self._samples = n = session.options.samples
        self._camera = camera if n == 1 else camera.resized(n * camera.width, n * camera.height)
        self._ray_arrays = self._camera.ray_arrays
        session.begin()
        nobody = np.zeros((0, TILE_RAYS), np.bool_)
        self._kind = self._some_rays(self.rays(0, 0), nobody) if in_parts else self.rays(0, 0)
        self.layout: Layout = session.planner.picture(
            self._kind, camera.width, camera.height, samples=n, whole=in_parts
        )

    def plan(self) -> RenderPlan:
        """What the picture will take."""
        layout, pages = self.layout, self._session.pages
        sizes, costs = layout.sizes, self._session.integrator.device_costs(self._kind)
        n_bands, waves, shown = 0, 0, np.zeros(len(pages), bool)
        for _, _, view in self._bands(every=self._in_parts):
            n_bands += 1
            room = {"n_slots": sizes.n_slots, "n_pages": sizes.n_pages - 1}
            waves += len(plan_waves(view.shells, pages[view.bricks], **room))
            shown[view.bricks] = True
        n_shown, n_pages = int(shown.sum()), int(pages[shown].sum())
        return RenderPlan(
            device_items=layout.device_items,
            host_items=layout.host.items,
            allowed_device_bytes=self._session.integrator.allowed_bytes,
            allowed_host_bytes=self._session.host_bytes,
            smallest_budget_bytes=layout.smallest_device_bytes,
            smallest_host_bytes=layout.host.needs.smallest_bytes,
            working_set_bytes=n_shown * costs.slot_bytes + n_pages * costs.page_bytes,
            n_slots=sizes.n_slots,
            n_bands=n_bands,
            bricks_visible=n_shown,
            waves=waves,
        )

    def draw(
        self, oversight: Oversight = UNWATCHED, turn: Callable[[Lot], Lot] | None = None
    ) -> tuple[Pixels, FrameStats]:
        """The picture, and what it cost; `turn` as in `RaysJob.draw`: its lots have all rays of the
        picture, others only those of tiles that may see a brick."""
        oversight.begin(self._camera.width * self._camera.height)
        pixels = Pixels.empty(self._picture_camera, self._session.aovs, self._samples)
        # Twice, where the picture has to be cut out of its tiles in the end.
        held = {"picture": 2 * pixels.nbytes}
        lots = self._lots(pixels, oversight, every=turn is not None)
        if turn is not None:
            lots = map(turn, lots)
        stats = self._session.draw(self.layout, lots, held, oversight)
        return pixels.cut(self._picture_camera), stats

    def part(
        self,
        view: CameraView,
        top: int,
        bottom: int,
        wanted: NDArray[np.bool_],
        place: Place,
        behind: NDArray[np.float32],
        *,
        between: tuple[float, float],
    ) -> Lot | None:
        """The rays of the pixel rows [top, bottom), with their `view`, that are `wanted` [tiles, 64],
        before a colour [3]; None where no such ray may meet a brick. No more rows than in a band. All
        bricks lie `between` these distances from the eye.

        Only tiles that have such a ray are drawn, and handed to `place` with their numbers.
        """
        tiles = np.flatnonzero(view.tiles_seen() & wanted.any(axis=1))
        if not len(tiles):
            return None

        rays = self._some_rays(self.rays(top, bottom, tiles=tiles), wanted[tiles])
        return Lot(
            rays=replace(rays, between=between),
            n_rays=(bottom - top) * self._camera.width,
            views=(TilesView(view, tiles),).__iter__,
            has_one_view=True,
            place=_numbered(tiles, place),
            behind=behind,
        )

    def _bands(self, *, every: bool) -> Iterator[tuple[int, int, CameraView]]:
        """Pixel rows [top, bottom) that are drawn together, as many as there is room for, with what they
        see; `every`: with room for all tiles, whether they may see a brick or not."""
        height, rows = self._camera.height, -(-self._camera.height // TILE)
        whole, n_tiles = self.view(0, height), self.layout.sizes.n_tiles
        seen = np.ones(whole.n_tiles, np.bool_) if every else whole.tiles_seen()
        before = np.concatenate([[0], np.cumsum(seen.reshape(rows, -1).sum(1))])
        first = 0
        while first < rows:
            # Whatever is in a row, there is room for it.
            end = int(np.searchsorted(before, before[first] + n_tiles, "right")) - 1
            top, bottom = first * TILE, min(end * TILE, height)
            yield top, bottom, whole if end - first == rows else self.view(top, bottom)
            first = end

    def _lots(self, pixels: Pixels, oversight: Oversight, *, every: bool) -> Iterator[Lot]:
        """Rays that are drawn together; the tiles that are not drawn are filled in beside."""
        columns = -(-self._camera.width // TILE)
        layers = self._session.store.root.meta.background is not None
        behind = np.array(self._session.options.background_rgb, np.float32)
        fill = None if layers else partial(pixels.fill, behind)
        for top, bottom, view in self._bands(every=every):
            place = partial(pixels.put, first=top // TILE * columns)
            seen = np.ones(view.n_tiles, np.bool_) if every else view.tiles_seen()
            tiles = np.flatnonzero(seen)
            yield Lot(
                rays=self.rays(top, bottom, tiles=tiles),
                n_rays=(bottom - top) * self._camera.width,
                views=(TilesView(view, tiles),).__iter__,
                has_one_view=True,
                place=_numbered(tiles, place),
                meanwhile=fill,
            )
            fill = None
            if layers:
                self._put_empty(top, bottom, np.flatnonzero(~seen), place, oversight)

    def _put_empty(
        self, top: int, bottom: int, tiles: NDArray[np.int64], place: Place, oversight: Oversight
    ) -> None:
        """Hand over `tiles` of the pixel rows [top, bottom) that show nothing but what is behind bricks."""
        rays, room = self.rays(top, bottom, tiles=tiles), self.layout.host.background_bytes
        put, behind = self._session.behind(rays, _numbered(tiles, place), room)
        nothing = self._session.aovs.nothing
        for start in range(0, len(tiles), _TILES_AT_ONCE):
            oversight.check()
            plane = (min(_TILES_AT_ONCE, len(tiles) - start), TILE_RAYS)
            put(
                Finished(
                    tile=np.arange(start, start + plane[0]),
                    rgb=np.broadcast_to(behind, (*plane, 3)),
                    depth=np.zeros(plane, np.float32),
                    alpha=np.zeros(plane, np.float32),
                    aovs=np.broadcast_to(nothing, (*plane, len(nothing))),
                )
            )

    def rays(
        self,
        top: int,
        bottom: int,
        *,
        tiles: slice | NDArray[np.int64] = slice(None),
    ) -> RaySource:
        """Those of the pixel rows [top, bottom), tile by tile, or of some of their `tiles`."""
        return self._session.projected(
            RaySource(
                make=self._camera.lens.make,
                per_tile=(tile_corners(self._camera, top, bottom, tiles),),
                nothing=(_LEFT_OF_THE_PICTURE,),
                shared=self._ray_arrays,
            )
        )

    def _some_rays(self, rays: RaySource, wanted: NDArray[np.bool_]) -> RaySource:
        """Those of the `rays` that are `wanted` [tiles, 64]."""
        return replace(
            rays,
            make=_some_of(rays.make),
            per_tile=(*rays.per_tile, wanted),
            nothing=(*rays.nothing, np.zeros((1, TILE_RAYS), np.bool_)),
        )

    def view(self, top: int, bottom: int) -> CameraView:
        """What the pixel rows [top, bottom) may meet."""
        session = self._session
        meta, index = session.store.meta, session.store.tables.index
        place = (session.table, index, meta.grid, meta.bricks, self._camera)
        if session.ndc is None:
            return camera_view(*place, top=top, bottom=bottom, left_out=self._left_out)
        meeting = meeting_of(self._camera, meta.grid, session.ndc)
        if meeting is None:
            raise InternalError("the rays of a picture have no order of bricks")
        return ndc_view(*place, session.ndc, meeting, top=top, bottom=bottom)
