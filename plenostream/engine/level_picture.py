"""Pictures drawn from several levels: what is near from fine bricks, what is far from coarse ones.

Levels never fall along a ray (`plan.cut`), so each level is drawn by itself, front to back, and what
the levels show is laid one behind the other: no integrator knows of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.engine.footprint import level_reach
from plenostream.engine.level_sessions import LevelSessions
from plenostream.engine.oversight import UNWATCHED, Oversight
from plenostream.engine.picture import PictureJob, Pixels
from plenostream.errors import BudgetError
from plenostream.field.aovs import NO_AOVS
from plenostream.field.finished import Finished, Place
from plenostream.field.tiles import TILE, TILE_RAYS
from plenostream.plan import bricks_drawn
from plenostream.plan.budget import RenderPlan
from plenostream.results import FrameStats
from plenostream.rules.bytesize import format_bytes

__all__ = ["LevelPicture"]

_FRONT_RAY = 2 * 20
"""Bytes of a ray while levels are put together: colour, depth and alpha, and what is added."""
_TILES_AT_ONCE = 256
"""Tiles that are handed on together in the end."""
_BLACK = np.zeros(3, np.float32)
_LARGEST = ("peak_", "planned_", "allowed_")
"""Counters of which a level's largest counts, and not their sum over its bands."""


class _Front:
    """What was drawn of some tiles so far, on black."""

    def __init__(self, n_tiles: int, place: Place, behind: NDArray[np.float32]) -> None:
        """Take what takes the tiles in the end, and the colour [3] that they then have behind them."""
        self._rgb = np.zeros((n_tiles, TILE_RAYS, 3), np.float32)
        self._depth, self._left = (np.zeros((n_tiles, TILE_RAYS), np.float32) for _ in range(2))
        self._left += 1.0
        self._met, self._placed = np.zeros((2, n_tiles), np.bool_)
        self._place, self._behind = place, behind

    @property
    def nbytes(self) -> int:
        arrays = (self._rgb, self._depth, self._left, self._met, self._placed)
        return sum(array.nbytes for array in arrays)

    def open(self) -> NDArray[np.bool_]:
        """Rays [tiles, 64] through which light comes."""
        return self._left > 0.0

    def lay_behind(self, some: Finished) -> None:
        """A `Place`: tiles of the next level."""
        left = self._left[some.tile]
        self._rgb[some.tile] += left[..., None] * some.rgb
        self._depth[some.tile] += left * some.depth
        self._left[some.tile] = left * (1.0 - some.alpha)
        self._met[some.tile] = True

    def lay_last(self, some: Finished) -> None:
        """A `Place`: tiles of the last level, before the colour that is behind everything."""
        self._placed[some.tile] = True
        if self._met[some.tile].any():
            left = self._left[some.tile]
            some = replace(
                some,
                rgb=self._rgb[some.tile] + left[..., None] * some.rgb,
                depth=self._depth[some.tile] + left * some.depth,
                alpha=np.asarray(1.0 - left * (1.0 - some.alpha), np.float32),
            )
        self._place(some)

    def finish(self, *, with_empty: bool, oversight: Oversight) -> None:
        """Place the tiles that the last level does not show; `with_empty` those of no level, too."""
        rest = ~self._placed if with_empty else self._met & ~self._placed
        none = np.empty((_TILES_AT_ONCE, TILE_RAYS, 0), np.float32)
        tiles = np.flatnonzero(rest)
        for first in range(0, len(tiles), _TILES_AT_ONCE):
            oversight.check()
            tile = tiles[first : first + _TILES_AT_ONCE]
            left = self._left[tile]
            self._place(
                Finished(
                    tile=tile,
                    rgb=self._rgb[tile] + left[..., None] * self._behind,
                    depth=self._depth[tile],
                    alpha=1.0 - left,
                    aovs=none[: len(tile)],
                )
            )


class LevelPicture:
    """As `PictureJob`, for cameras whose rays leave one point, or all go one way."""

    def __init__(self, sessions: LevelSessions, camera: Camera) -> None:
        """Raises BudgetError where the picture does not fit; allocates nothing."""
        self._sessions, self._picture_camera = sessions, camera
        self._samples = n = sessions.options.samples
        self._camera = camera if n == 1 else camera.resized(n * camera.width, n * camera.height)
        grid = sessions.stores[0].meta.grid
        n_levels, footprint = len(sessions.stores) - 1, sessions.options.pixel_footprint
        self._reach = level_reach(self._picture_camera.whole, grid, n_levels, footprint)
        drawn = dict(self._drawn())
        self._jobs = {
            level: self._job(level, ~bricks, len(drawn) > 1) for level, bricks in drawn.items()
        }
        self._rows = min(job.layout.band_rows for job in self._jobs.values())
        tiles = self._rows * -(-self._camera.width // TILE)
        self._front_bytes = tiles * TILE_RAYS * _FRONT_RAY
        if self._front_bytes > sessions.front_bytes:
            smallest = -(-self._front_bytes * sessions.host_bytes // sessions.front_bytes)
            raise BudgetError(
                f"putting the levels of a picture together takes {format_bytes(self._front_bytes)} of "
                f"host memory, of which a part of {format_bytes(sessions.front_bytes)} is kept for it; "
                f"allow {format_bytes(smallest)}, or less device memory, which makes smaller bands",
                planned_bytes=self._front_bytes,
                allowed_bytes=sessions.host_bytes,
                smallest_bytes=smallest,
            )

    def _drawn(self) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """The levels that have a brick to draw, the nearest first, with the bricks [n] that are drawn;
        the coarsest in any case."""
        sessions, grid = self._sessions, self._sessions.stores[0].meta.grid
        n_levels = len(sessions.stores) - 1
        found = False
        for level, store in enumerate(sessions.stores):
            drawn = bricks_drawn(
                store.tables.index,
                level,
                brick_size=store.meta.brick_size,
                eye_grid=grid.world_to_grid(self._camera.eye_world),
                voxel_edges=1.0 / grid.scale,
                reach=self._reach,
            )
            if (drawn & store.tables.occupied).any() or (level == n_levels and not found):
                found = True
                yield level, drawn

    def _between(self, level: int) -> tuple[float, float]:
        """Distances from the eye between which the bricks lie that are drawn from a level."""
        if level + 1 == len(self._reach):
            return float(self._reach[level]), math.inf
        meta = self._sessions.stores[level].meta
        above = 2.0 * meta.brick_size / meta.grid.scale  # the brick that could not be drawn instead
        return float(self._reach[level]), float(self._reach[level + 1] + np.linalg.norm(above))

    def _job(self, level: int, left_out: NDArray[np.bool_], in_parts: bool) -> PictureJob:
        session, camera = self._sessions.session(level), self._picture_camera
        try:
            return PictureJob(session, camera, left_out, in_parts=in_parts)
        except BudgetError as error:
            raise self._of_all(error, level) from error

    def _of_all(self, error: BudgetError, level: int) -> BudgetError:
        """A level's error in terms of what all levels are allowed."""
        sessions = self._sessions
        of_host = error.allowed_bytes == sessions.session(level).host_bytes
        share = (sessions.host_share if of_host else sessions.share)(level)
        smallest = int(error.smallest_bytes / share) + 1
        return BudgetError(
            f"level {level} gets {share:.0%} of what is allowed, which is too little: {error} For all "
            f"levels that is {format_bytes(smallest)}; or name one of them",
            planned_bytes=error.planned_bytes,
            allowed_bytes=sessions.host_bytes if of_host else sessions.device_bytes,
            smallest_bytes=smallest,
        )

    def plan(self) -> RenderPlan:
        """What the picture will take."""
        plans = {level: job.plan() for level, job in self._jobs.items()}
        share = self._sessions.share

        def items(name: str) -> dict[str, int]:
            return {
                f"level {level}: {item}": size
                for level, plan in plans.items()
                for item, size in getattr(plan, name).items()
            }

        return RenderPlan(
            device_items=items("device_items"),
            host_items=items("host_items") | {"putting levels together": self._front_bytes},
            allowed_device_bytes=self._sessions.device_bytes,
            allowed_host_bytes=self._sessions.host_bytes,
            smallest_budget_bytes=max(
                int(plan.smallest_budget_bytes / share(level)) + 1 for level, plan in plans.items()
            ),
            smallest_host_bytes=max(
                int(plan.smallest_host_bytes / self._sessions.host_share(level)) + 1
                for level, plan in plans.items()
            ),
            working_set_bytes=sum(plan.working_set_bytes for plan in plans.values()),
            n_slots=sum(plan.n_slots for plan in plans.values()),
            n_bands=-(-self._camera.height // (self._rows * TILE)),
            bricks_visible=sum(plan.bricks_visible for plan in plans.values()),
            waves=sum(plan.waves for plan in plans.values()),
        )

    def draw(self, oversight: Oversight = UNWATCHED) -> tuple[Pixels, FrameStats]:
        """The picture, and what it cost: peaks and plans are sums over the levels that were drawn."""
        if len(self._jobs) == 1:
            ((level, job),) = self._jobs.items()
            picture, stats = job.draw(oversight)
            return picture, self._stats({level: [stats]})
        pixels = Pixels.empty(self._picture_camera, NO_AOVS, self._samples)
        pixels.fill(np.array(self._sessions.options.background_rgb, np.float32))
        drawn: dict[int, list[FrameStats]] = {level: [] for level in self._jobs}
        height, columns = self._camera.height, -(-self._camera.width // TILE)
        oversight.begin(self._camera.width * height * len(self._jobs))
        for top in range(0, height, self._rows * TILE):
            bottom = min(top + self._rows * TILE, height)
            self._draw_band(top, bottom, pixels, drawn, oversight, first=top // TILE * columns)
        return pixels.cut(self._picture_camera), self._stats(drawn)

    def _draw_band(
        self,
        top: int,
        bottom: int,
        pixels: Pixels,
        drawn: dict[int, list[FrameStats]],
        oversight: Oversight,
        *,
        first: int,
    ) -> None:
        """Draw the pixel rows [top, bottom), whose first tile is number `first`."""
        layers = self._sessions.stores[0].meta.background is not None
        held = {"picture": 2 * pixels.nbytes}

        farthest = self._jobs[max(self._jobs)]
        rays, room = farthest.rays(top, bottom), farthest.layout.host.background_bytes
        put, behind = self._sessions.session(max(self._jobs)).behind(
            rays, partial(pixels.put, first=first), room
        )
        front = _Front(rays.n_tiles, put, behind)
        held["levels"] = front.nbytes
        with ThreadPoolExecutor(1, thread_name_prefix="plenostream-levels") as ahead:
            # What a level shows is found out while the one before is drawn.
            views = [ahead.submit(job.view, top, bottom) for job in self._jobs.values()]
            for view, (level, job) in zip(views, self._jobs.items(), strict=True):
                last = job is farthest
                lay, colour = (front.lay_last, behind) if last else (front.lay_behind, _BLACK)
                part = view.result(), top, bottom, front.open(), lay, colour
                lot = job.part(*part, between=self._between(level))
                if lot is not None:
                    session = self._sessions.session(level)
                    drawn[level].append(session.draw(job.layout, iter((lot,)), held, oversight))
                    held = {}
                    continue
                oversight.begin_lot((bottom - top) * self._camera.width)
                oversight.end_lot()
        front.finish(with_empty=layers, oversight=oversight)

    def _stats(self, drawn: dict[int, list[FrameStats]]) -> FrameStats:
        sums: Counter[str] = Counter()
        for parts in drawn.values():
            largest: Counter[str] = Counter()
            for part in parts:
                for field in fields(part):
                    value = getattr(part, field.name)
                    if field.name.startswith(_LARGEST):
                        largest[field.name] = max(largest[field.name], value)
                    elif not isinstance(value, str):
                        sums[field.name] += value
            sums.update(largest)
        session = self._sessions.session(max(self._jobs))
        sums["allowed_device_bytes"] = self._sessions.device_bytes
        sums["allowed_host_bytes"] = self._sessions.host_bytes
        sums["planned_host_bytes"] += self._front_bytes
        return FrameStats(
            **sums, backend=session.integrator.name, precision=session.integrator.precision
        )
