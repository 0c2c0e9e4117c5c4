"""Pictures whose rays pass a common point inside the volume: each pixel is drawn as a ray of its own.

Waves of bricks go front to back as seen from an eye. There is no such order where rays have samples
on both sides of it: between ellipsoids that they enter behind their eye, or in normalised device
coordinates, in which they begin before it. Arbitrary rays are sorted by the octants of their
directions, each of which has an order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.cameras.lenses import Orthographic, Pinhole
from plenostream.engine.level_picture import LevelPicture
from plenostream.engine.level_sessions import LevelSessions
from plenostream.engine.ndc_sight import meeting_of
from plenostream.engine.oversight import UNWATCHED, Oversight
from plenostream.engine.picture import PictureJob, Pixels
from plenostream.engine.rays import RaysJob, packets_of
from plenostream.engine.scene_sessions import SceneSessions
from plenostream.engine.session import Session
from plenostream.field.grid import GridSpec
from plenostream.field.ndc import Ndc
from plenostream.options import RenderOptions
from plenostream.plan import plan_waves, shells_of
from plenostream.plan.budget import RenderPlan
from plenostream.results import FrameStats

__all__ = ["RayPictureJob", "have_an_order", "picture_job", "seen_rays"]

_EDGE = 64
"""Pixels of an edge of the parts that rays are made in: bounds what NumPy takes for them."""


def picture_job(
    sessions: SceneSessions, camera: Camera, levels: LevelSessions | None = None
) -> PictureJob | LevelPicture | RayPictureJob:
    """The way to draw a camera's picture; raises BudgetError where it does not fit.

    From several `levels` only what is seen from a point of the world, or along one direction of it, and
    all else from the scene of the `sessions`.
    """
    session = sessions.current
    if levels is not None and session.ndc is None and not session.options.spheric_clip:
        return LevelPicture(levels, camera)
    if not have_an_order(camera, session.store.root.meta.grid, session.options, session.ndc):
        return RayPictureJob(sessions.whole(), camera)
    return PictureJob(sessions.seeing(camera) if session.ndc is None else sessions.whole(), camera)


def have_an_order(camera: Camera, grid: GridSpec, options: RenderOptions, ndc: Ndc | None) -> bool:
    """Whether a camera's rays all leave one point, or all come to one, as far as they have samples."""
    if ndc is not None:
        return not options.spheric_clip and meeting_of(camera, grid, ndc) is not None
    if not options.spheric_clip:
        return True
    if not isinstance(camera.lens, Pinhole | Orthographic):
        return False
    # All rays look to one side of the plane through the eye: is the ellipsoid where they begin there?
    ahead = camera.c2w[:, 2]
    reach = (1.0 - options.near_clip) * float(np.linalg.norm(ahead * grid.radius))
    return float(ahead @ (np.array(grid.center) - camera.eye_world)) > reach


class RayPictureJob:
    """As `PictureJob`."""

    def __init__(self, session: Session, camera: Camera) -> None:
        """Raises BudgetError where the picture does not fit; allocates nothing."""
        self._session = session
        self._picture_camera = camera
        self._samples = n = session.options.samples
        self._camera = camera if n == 1 else camera.resized(n * camera.width, n * camera.height)
        session.begin()
        none = np.ones((1, 3))
        self.layout, self._at_once = session.planner.packets(
            session.projected(packets_of(none, none)), self._camera.width * self._camera.height
        )

    def plan(self) -> RenderPlan:
        """What the picture will take, if its rays need all bricks."""
        session, layout, sizes = self._session, self.layout, self.layout.sizes
        none = np.ones((1, 3))
        costs = session.integrator.device_costs(session.projected(packets_of(none, none)))
        bricks = np.unique(session.table.brick)
        pages = session.pages[bricks]
        # Any octant has as many shells.
        shells = shells_of(session.store.tables.index, np.zeros(3, np.int64), np.ones(3, np.int64))
        room = {"n_slots": sizes.n_slots, "n_pages": sizes.n_pages - 1}
        return RenderPlan(
            device_items=layout.device_items,
            host_items=layout.host.items,
            allowed_device_bytes=session.integrator.allowed_bytes,
            allowed_host_bytes=session.host_bytes,
            smallest_budget_bytes=layout.smallest_device_bytes,
            smallest_host_bytes=layout.host.needs.smallest_bytes,
            working_set_bytes=len(bricks) * costs.slot_bytes + int(pages.sum()) * costs.page_bytes,
            n_slots=sizes.n_slots,
            n_bands=1,
            bricks_visible=len(bricks),
            waves=len(plan_waves(shells[bricks], pages, **room)),
        )

    def draw(self, oversight: Oversight = UNWATCHED) -> tuple[Pixels, FrameStats]:
        """The picture, and what it cost."""
        place, origins, directions = seen_rays(self._camera, self._samples)
        drawn = self._empty()
        if not len(place):
            return self._pixels(drawn), FrameStats()
        job = RaysJob(self._session, origins, directions)
        values, stats = job.draw(held_bytes=place.nbytes + drawn.nbytes, oversight=oversight)
        del job, origins, directions  # what comes now takes as much
        drawn[place] = values
        return self._pixels(drawn), stats

    def _empty(self) -> NDArray[np.float32]:
        """What rays show that meet nothing: colour, alpha, depth and AOVs, those of a pixel together."""
        aovs = self._session.aovs
        n_rays = self._camera.width * self._camera.height
        drawn = np.empty((n_rays, 5 + aovs.n_columns), np.float32)
        drawn[:, :3] = self._session.options.background_rgb
        drawn[:, 3:5] = 0.0
        drawn[:, 5:] = aovs.nothing
        return drawn

    def _pixels(self, drawn: NDArray[np.float32]) -> Pixels:
        size, aovs = (self._picture_camera.height, self._picture_camera.width), self._session.aovs
        of_pixel = drawn.reshape(*size, self._samples**2, -1)
        mean = of_pixel[..., :5].mean(2)
        return Pixels(
            rgb=np.ascontiguousarray(mean[..., :3]),
            alpha=np.ascontiguousarray(mean[..., 3]),
            depth=np.ascontiguousarray(mean[..., 4]),
            gathered=aovs,
            aovs=aovs.of_pixels(of_pixel[..., 5:]),
            samples=self._samples,
        )


def seen_rays(
    camera: Camera, samples: int = 1
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """The pixels that have a ray: their places [n], origins and directions [n, 3].

    Places count the pixels row by row; of a picture that stands for one of so many `samples` along each
    edge of a pixel, the pixels of that one, and in each its samples row by row.
    """
    most, n = camera.width * camera.height, 0
    place, rays = np.empty(most, np.int64), np.empty((2, most, 3))
    for top in range(0, camera.height, _EDGE):
        for left in range(0, camera.width, _EDGE):
            size = min(_EDGE, camera.width - left), min(_EDGE, camera.height - top)
            origins, directions, seen = camera.region(left, top, *size).rays()
            row, column = np.nonzero(seen)
            end = n + len(row)
            (y, a), (x, b) = np.divmod(top + row, samples), np.divmod(left + column, samples)
            pixel = y * (camera.width // samples) + x
            place[n:end] = (pixel * samples + a) * samples + b
            rays[0, n:end], rays[1, n:end] = origins[row, column], directions[row, column]
            n = end
    return place[:n], rays[0, :n], rays[1, :n]
