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

_LEFT_OF_THE_PICTURE = np.full((1, 2), -TILE, np.int32)
"""Corner of a tile that has no pixels."""
_FEW_TILES = 0.75
"""Of the tiles of a band, the part up to which those that see a brick are drawn by themselves."""
Make = Callable[..., tuple[Any, Any, Any]]
"""See `RaySource.make`."""


@cache
def _some_of(make: Make) -> Make:
    """The rays that `make` makes, but for those that a second array of the tiles, [t, 64], leaves out."""

    def some(xp: Any, corners: Any, wanted: Any, *shared: Any) -> tuple[Any, Any, Any]:
        origins, directions, seen = make(xp, corners, *shared)
        return origins, directions, seen & wanted.reshape(-1)

    return some


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

    def fill(self, rgb: NDArray[np.float32], rows: slice = slice(None)) -> None:
        """Have all pixels of these `rows` be what rays see that meet nothing before a colour [3]."""
        # The mean of a pixel's rays, by the sum that all others have: it may round.
        colour = np.tile(rgb, (1, 1, self.samples**2, 1)).mean(2)[0]
        # Row by row: pixel by pixel, NumPy takes five times as long.
        self.rgb[rows] = np.tile(colour, (self.rgb.shape[1], 1))
        self.alpha[rows] = self.depth[rows] = 0.0

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
        self._left_out = left_out
        self._picture_camera = camera
        self._samples = n = session.options.samples
        self._camera = camera if n == 1 else camera.resized(n * camera.width, n * camera.height)
        self._ray_arrays = self._camera.ray_arrays
        session.begin()
        nobody = np.zeros((0, TILE_RAYS), np.bool_)
        self._kind = self._some_rays(self.rays(0, 0), nobody) if in_parts else self.rays(0, 0)
        self.layout: Layout = session.planner.picture(
            self._kind, camera.width, camera.height, samples=n
        )

    def plan(self) -> RenderPlan:
        """What the picture will take."""
        layout, pages = self.layout, self._session.pages
        sizes, costs = layout.sizes, self._session.integrator.device_costs(self._kind)
        waves, shown = 0, np.zeros(len(pages), bool)
        for top, bottom in self._bands():
            view = self.view(top, bottom)
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
            n_bands=layout.n_bands,
            bricks_visible=n_shown,
            waves=waves,
        )

    def draw(
        self, oversight: Oversight = UNWATCHED, turn: Callable[[Lot], Lot] | None = None
    ) -> tuple[Pixels, FrameStats]:
        """The picture, and what it cost; `turn` as in `RaysJob.draw`."""
        oversight.begin(self._camera.width * self._camera.height)
        pixels = Pixels.empty(self._picture_camera, self._session.aovs, self._samples)
        # Twice, where the picture has to be cut out of its tiles in the end.
        held = {"picture": 2 * pixels.nbytes}
        # Layers are seen beside the bricks, too, and whoever turns lots wants all rays.
        layers = self._session.store.root.meta.background is not None
        lots = self._lots(pixels, whole=layers or turn is not None)
        lots = lots if turn is None else map(turn, lots)
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
        rays = replace(rays, between=between)
        n_rays = (bottom - top) * self._camera.width
        return _lot_of_tiles(tiles, rays, n_rays, view, place, behind)

    def _bands(self) -> Iterator[tuple[int, int]]:
        """Pixel rows [top, bottom) that are drawn together."""
        height = self.layout.band_rows * TILE
        for top in range(0, self._camera.height, height):
            yield top, min(top + height, self._camera.height)

    def _lots(self, pixels: Pixels, *, whole: bool) -> Iterator[Lot]:
        """The rays of each band; unless it is to be `whole`, those of tiles that see no brick are left
        out where they are many."""
        columns = -(-self._camera.width // TILE)
        behind = np.array(self._session.options.background_rgb, np.float32)
        for top, bottom in self._bands():
            view, n_rays = self.view(top, bottom), (bottom - top) * self._camera.width
            seen, place = view.tiles_seen(), partial(pixels.put, first=top // TILE * columns)
            if whole or np.count_nonzero(seen) > _FEW_TILES * len(seen):
                yield Lot(
                    rays=self.rays(top, bottom, seen=seen),
                    n_rays=n_rays,
                    views=(view,).__iter__,
                    has_one_view=True,
                    place=place,
                )
                continue
            pixels.fill(behind, slice(top // self._samples, -(-bottom // self._samples)))
            # One at least: a lot without rays is none.
            tiles = np.flatnonzero(seen) if seen.any() else np.zeros(1, np.int64)
            rays = self.rays(top, bottom, tiles=tiles)
            yield _lot_of_tiles(tiles, rays, n_rays, view, place)

    def rays(
        self,
        top: int,
        bottom: int,
        *,
        seen: NDArray[np.bool_] | None = None,
        tiles: slice | NDArray[np.int64] = slice(None),
    ) -> RaySource:
        """Those of the pixel rows [top, bottom), tile by tile, or of some of their `tiles`."""
        return self._session.projected(
            RaySource(
                make=self._camera.lens.make,
                per_tile=(tile_corners(self._camera, top, bottom)[tiles],),
                nothing=(_LEFT_OF_THE_PICTURE,),
                shared=self._ray_arrays,
                seen=seen,
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


def _lot_of_tiles(
    tiles: NDArray[np.int64],
    rays: RaySource,
    n_rays: int,
    view: CameraView,
    place: Place,
    behind: NDArray[np.float32] | None = None,
) -> Lot:
    """The `rays` of some `tiles` [t] of a view, rising, which are handed to `place` with their numbers."""

    def put(some: Finished) -> None:
        place(replace(some, tile=tiles[some.tile]))

    return Lot(
        rays=rays,
        n_rays=n_rays,
        views=(TilesView(view, tiles),).__iter__,
        has_one_view=True,
        place=put,
        behind=behind,
    )
