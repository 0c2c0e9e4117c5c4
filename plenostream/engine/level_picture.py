"""Pictures drawn from several levels: what is near from fine bricks, what is far from coarse ones.

Levels never fall along a ray (`plan.cut`), so each level is drawn by itself, front to back, and what
the levels show is laid one behind the other: no integrator knows of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
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
_LARGEST = ("peak_", "planned_", "allowed_")
"""Counters of which a level's largest counts, and not their sum over its bands."""


class _Front:
    """What was drawn of some tiles so far, on black."""

    def __init__(self, n_tiles: int) -> None:
        self._rgb = np.zeros((n_tiles, TILE_RAYS, 3), np.float32)
        self._depth, self._left = (np.zeros((n_tiles, TILE_RAYS), np.float32) for _ in range(2))
        self._left += 1.0

    @property
    def nbytes(self) -> int:
        return self._rgb.nbytes + self._depth.nbytes + self._left.nbytes

    def alive(self) -> NDArray[np.bool_]:
        """Tiles through which light comes."""
        return np.asarray((self._left > 0.0).any(axis=1))

    def lay_behind(self, some: Finished) -> None:
        """A `Place`: tiles of the next level."""
        left = self._left[some.tile]
        self._rgb[some.tile] += left[..., None] * some.rgb
        self._depth[some.tile] += left * some.depth
        self._left[some.tile] = left * (1.0 - some.alpha)

    def finishing(self, place: Place, behind: NDArray[np.float32]) -> Place:
        """What takes the tiles of the last level and gives all to `place`, with a colour [3] behind."""

        def put(some: Finished) -> None:
            left, through = self._left[some.tile], 1.0 - some.alpha
            last = some.rgb + through[..., None] * behind
            place(
                replace(
                    some,
                    rgb=self._rgb[some.tile] + left[..., None] * last,
                    depth=self._depth[some.tile] + left * some.depth,
                    alpha=np.asarray(1.0 - left * through, np.float32),
                )
            )

        return put

    def finish(self, put: Place) -> None:
        """Give `finishing`'s `put` a last level that shows nothing."""
        none = np.zeros((_TILES_AT_ONCE, TILE_RAYS, 3), np.float32)
        for first in range(0, len(self._left), _TILES_AT_ONCE):
            tile = np.arange(first, min(first + _TILES_AT_ONCE, len(self._left)))
            rgb = none[: len(tile)]
            zero = rgb[..., 0]
            put(Finished(tile=tile, rgb=rgb, depth=zero, alpha=zero, aovs=rgb[..., :0]))


class LevelPicture:
    """As `PictureJob`, for cameras whose rays leave one point, or all go one way."""

    def __init__(self, sessions: LevelSessions, camera: Camera) -> None:
        """Raises BudgetError where the picture does not fit; allocates nothing."""
        self._sessions, self._picture_camera = sessions, camera
        self._samples = n = sessions.options.samples
        self._camera = camera if n == 1 else camera.resized(n * camera.width, n * camera.height)
        self._jobs = dict(self._planned())
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

    def _planned(self) -> Iterator[tuple[int, PictureJob]]:
        """The levels that have a brick to draw, the nearest first; the coarsest in any case."""
        sessions, grid = self._sessions, self._sessions.stores[0].meta.grid
        n_levels = len(sessions.stores) - 1
        footprint = sessions.options.pixel_footprint
        reach = level_reach(self._picture_camera, grid, n_levels, footprint)
        found = False
        for level, store in enumerate(sessions.stores):
            drawn = bricks_drawn(
                store.tables.index,
                level,
                brick_size=store.meta.brick_size,
                eye_grid=grid.world_to_grid(self._camera.eye_world),
                voxel_edges=1.0 / grid.scale,
                reach=reach,
            )
            if (drawn & store.tables.occupied).any() or (level == n_levels and not found):
                found = True
                try:
                    yield level, PictureJob(sessions.session(level), self._picture_camera, ~drawn)
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
        front = _Front(-(-(bottom - top) // TILE) * -(-self._camera.width // TILE))
        held = {"picture": 2 * pixels.nbytes + front.nbytes}

        place = partial(pixels.put, first=first)
        for level, job in self._jobs.items():
            session = self._sessions.session(level)
            lay: Place = front.lay_behind
            if last := level == max(self._jobs):
                lay = front.finishing(
                    *session.behind(job.rays(top, bottom), place, job.layout.host.background_bytes)
                )
            lot = job.part(top, bottom, front.alive(), lay)
            if lot is not None:
                drawn[level].append(session.draw(job.layout, iter((lot,)), held, oversight))
                held = {}
                continue
            oversight.begin_lot((bottom - top) * self._camera.width)
            if last:
                front.finish(lay)
            oversight.end_lot()

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
