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
    session: Session, camera: Camera, levels: LevelSessions | None = None
) -> PictureJob | LevelPicture | RayPictureJob:
    """The way to draw a camera's picture; raises BudgetError where it does not fit.

    From several `levels` only what is seen from a point of the world, or along one direction of it, and
    all else from the `session`'s scene.
    """
    if levels is not None and session.ndc is None and not session.options.spheric_clip:
        return LevelPicture(levels, camera)
    if have_an_order(camera, session.store.root.meta.grid, session.options, session.ndc):
        return PictureJob(session, camera)
    return RayPictureJob(session, camera)


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
        self._camera = camera
        session.begin()
        none = np.ones((1, 3))
        self.layout, self._at_once = session.planner.packets(
            session.projected(packets_of(none, none)), camera.width * camera.height
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
            n_bands=layout.n_bands,
            bricks_visible=len(bricks),
            waves=len(plan_waves(shells[bricks], pages, **room)),
        )

    def draw(self, oversight: Oversight = UNWATCHED) -> tuple[Pixels, FrameStats]:
        """The picture, and what it cost."""
        camera, options = self._camera, self._session.options
        place, origins, directions = seen_rays(self._camera)
        pixels = Pixels(
            rgb=np.empty((camera.height, camera.width, 3), np.float32),
            alpha=np.zeros((camera.height, camera.width), np.float32),
            depth=np.zeros((camera.height, camera.width), np.float32),
            gathered=self._session.aovs,
            aovs=self._session.aovs.room(camera.height, camera.width),
        )
        pixels.rgb[...] = options.background_rgb
        if not len(place):
            return pixels, FrameStats()
        job = RaysJob(self._session, origins, directions)
        values, stats = job.draw(held_bytes=place.nbytes + pixels.nbytes, oversight=oversight)
        pixels.rgb.reshape(-1, 3)[place] = values[:, :3]
        pixels.alpha.reshape(-1)[place] = values[:, 3]
        pixels.depth.reshape(-1)[place] = values[:, 4]
        found = pixels.gathered.of_pixels(values[:, None, 5:])
        for name, array in pixels.aovs.items():
            array.reshape(-1, *array.shape[2:])[place] = found[name]
        return pixels, stats


def seen_rays(
    camera: Camera,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """The pixels that have a ray: their places [n] row by row, origins and directions [n, 3]."""
    most, n = camera.width * camera.height, 0
    place, rays = np.empty(most, np.int64), np.empty((2, most, 3))
    for top in range(0, camera.height, _EDGE):
        for left in range(0, camera.width, _EDGE):
            size = min(_EDGE, camera.width - left), min(_EDGE, camera.height - top)
            origins, directions, seen = camera.region(left, top, *size).rays()
            row, column = np.nonzero(seen)
            end = n + len(row)
            place[n:end] = (top + row) * camera.width + left + column
            rays[0, n:end], rays[1, n:end] = origins[row, column], directions[row, column]
            n = end
    return place[:n], rays[0, :n], rays[1, :n]
