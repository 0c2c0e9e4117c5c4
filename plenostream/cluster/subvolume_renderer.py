"""Pictures of a scene that no worker holds, drawn by workers that each keep a box of its bricks.

For each band of a picture every worker draws the sheet of its subvolume; where both sides of a cut are
there, the high one's goes to the low one's worker and is laid over it, or under; the last one is
finished and comes here. Dask moves sheets from worker to worker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any

import numpy as np
from distributed import Client, Future
from numpy.typing import ArrayLike

from plenostream.cameras import Camera
from plenostream.cluster.drawing import Drawn, Refused, taken
from plenostream.cluster.in_order import in_order
from plenostream.cluster.keepers import Keepers
from plenostream.cluster.making import Making, not_sent, together
from plenostream.cluster.on_workers import OnWorkers, largest
from plenostream.cluster.sharing import require_room
from plenostream.cluster.sheet_tasks import (
    Count,
    FinishedBand,
    Planned,
    ScenesSplit,
    count_subvolumes,
    joining_of,
    plan_subvolumes,
    split_scene,
)
from plenostream.cluster.splitting import SplitPlan
from plenostream.engine.bands import Band, PixelBand, RayBand, TileBand
from plenostream.engine.joining import refuse_what_does_not_join
from plenostream.errors import BudgetError, ClusterError
from plenostream.field.tiles import TILE
from plenostream.options import RenderOptions, StreamOptions
from plenostream.renderer import checked_rays
from plenostream.results import Cancel, Progress, RayResult, RenderResult
from plenostream.scene import Scene

__all__ = ["SubvolumeRenderer"]

_UNDER_WAY = 2
"""Bands that are drawn at a time: workers draw the second while the first is put together."""
_RAYS_AT_ONCE = 1 << 17
"""Arbitrary rays that are drawn together: their directions go to all workers."""


class SubvolumeRenderer(OnWorkers):
    """Renders a scene on workers of a Dask cluster that each keep a part of its bricks on their device.

    For scenes that no worker holds, and all together do. The bricks are split into as many boxes as
    there are workers, of about the same bytes (`plan.split_bricks`); pictures equal those of one
    machine to 2e-5, and `stop_thresh` times what is seen behind a ray's end. Where a worker is lost,
    another one that came, or one that has the room, takes over what it kept.
    """

    def __init__(
        self,
        client: Client,
        scene: Scene,
        options: RenderOptions | None = None,
        stream: StreamOptions | None = None,
    ) -> None:
        """As of `ClusterRenderer`; a worker splits the scene.

        Raises
        ------
        InvalidInput : options that ask for what cannot be put together from parts (nvol, median-depth,
        density-depth, cost, level auto), or fewer bricks than workers. Else as `ClusterRenderer`.
        """
        options = options or RenderOptions()
        refuse_what_does_not_join(options)
        super().__init__(client, scene, options, stream or StreamOptions())
        self.moved_bytes = 0
        """Of sheets that went from worker to worker so far."""
        self._joining = joining_of(self._job)
        found: ScenesSplit = self._asked(split_scene, self._job, len(client.nthreads()))
        self._split, self._allowed = found.split, found.allowed_bytes
        self._keepers = Keepers(client, self._job, self._split)
        self._plans: dict[Hashable, SplitPlan] = {}

    def _asked(self, function: Any, *arguments: Any) -> Any:
        """What a worker says; raises what it refuses with."""
        (found,) = in_order(self._client, function, [arguments], most=1)
        return taken(found)

    def close(self) -> None:
        """Have the workers close what they opened; may be called again."""
        if self._client.status == "running":
            self._keepers.close()

    def plan(self, cameras: Sequence[Camera]) -> SplitPlan:
        """What the largest of these pictures will take of each worker, and what travels.

        Raises
        ------
        BudgetError : a set of bricks does not fit its worker; the error names the smallest budget, and
        the number of workers, that would do. Else as `pictures`.
        """
        return self._plan_of(largest(cameras))

    def pictures(
        self,
        cameras: Sequence[Camera],
        *,
        cancel: Cancel | None = None,
        progress: Progress | None = None,
    ) -> Iterator[RenderResult]:
        """The pictures that `cameras` take, in order, as they come.

        Parameters
        ----------
        cancel : says whether they are not wanted any more
        progress : told "drawing", how many pixels have come, and how many there are

        Raises
        ------
        BudgetError : a set of bricks does not fit its worker, or that of a worker which was lost no
        other. Else as `ClusterRenderer.pictures`.
        """
        total, done = sum(camera.width * camera.height for camera in cameras), 0

        def bands() -> Iterator[Band]:
            for camera in cameras:
                rows = self._plan_of(camera, cancel).band_rows
                yield from (band for _, band in self._joining.bands(camera, rows))

        finished = self._drawn(bands(), cancel)
        for camera in cameras:
            making, rows = Making(camera), 0
            while rows < camera.height:
                _, band = next(finished)
                making.put(rows, Drawn(band.arrays, together(band.stats)))
                n_rows = len(next(iter(band.arrays.values())))
                rows, done = rows + n_rows, done + camera.width * n_rows
                if progress is not None:
                    progress("drawing", done, total)
            yield making.finished()
            del making  # before the next picture takes as much again

    def render_rays(
        self, origins: ArrayLike, directions: ArrayLike, *, cancel: Cancel | None = None
    ) -> RayResult:
        """Colours of any rays; as `Renderer.render_rays`."""
        start, course = checked_rays(origins, directions)

        def bands() -> Iterator[Band]:
            for first in range(0, max(len(start), 1), _RAYS_AT_ONCE):
                part = slice(first, first + _RAYS_AT_ONCE)
                yield RayBand(origins=start[part], directions=course[part], ndc=self._joining.ndc)

        drawn = [band for _, band in self._drawn(bands(), cancel)]
        arrays = {
            name: np.concatenate([band.arrays[name] for band in drawn]) for name in drawn[0].arrays
        }
        stats = together([part for band in drawn for part in band.stats])
        return RayResult(**not_sent(len(start)) | arrays, stats=stats)

    def _plan_of(self, camera: Camera, cancel: Cancel | None = None) -> SplitPlan:
        """The plan of pictures like that of `camera`, by the workers that there are now."""
        (_, band), *_ = self._joining.bands(camera, 1)
        key = (camera.width, camera.height, type(camera.lens), type(band))
        if key not in self._plans:
            self._plans[key] = self._plan_anew(camera, cancel)
        return self._plans[key]

    def _plan_anew(self, camera: Camera, cancel: Cancel | None) -> SplitPlan:
        while True:
            kept = self._keepers.kept
            asked = [
                self._keepers.ask(plan_subvolumes, mine, camera, at=at) for at, mine in kept.items()
            ]
            told = self._keepers.results(asked, cancel)
            if told is not None:
                break
            self._client.cancel(asked)
            self._replace_lost(cancel)
        found: dict[str, Planned | Refused] = dict(zip(kept, told, strict=True))
        self._refuse_small(found)
        drawing: dict[str, Planned] = {at: taken(planned) for at, planned in found.items()}
        self._planned = _alike(drawing)
        most = max(drawing.values(), key=lambda planned: planned.needed_bytes)
        require_room(most.needed_bytes, most.machine_bytes, self._job.beside)
        plans = {
            number: plan
            for at, planned in drawing.items()
            for number, plan in zip(self._keepers.kept[at].numbers, planned.plans, strict=True)
        }
        return SplitPlan.of(self._split, self._keepers.where, plans, camera, self.options)

    def _refuse_small(self, found: Mapping[str, Planned | Refused]) -> None:
        """Raise BudgetError for workers that do not hold what they are to keep, with what would do."""
        errors = {
            at: told.error
            for at, told in found.items()
            if isinstance(told, Refused) and isinstance(told.error, BudgetError)
        }
        if not errors:
            return
        at, error = max(errors.items(), key=lambda item: item[1].smallest_bytes)
        n, smallest = len(self._split.boxes), error.smallest_bytes
        what = (
            "one of them"
            if len(self._keepers.kept[at].numbers) == 1
            else "what a lost one kept, too"
        )
        remedies = []
        if error.allowed_bytes == self._allowed and len(self._keepers.kept[at].numbers) == 1:
            (mine,) = self._keepers.kept[at].n_bytes
            room = self._allowed - (smallest - mine)
            count: Count = self._asked(count_subvolumes, self._job, n + 1, room)
            remedies += [f"Or use {count.fewest} workers."] * (count.fewest > 0)
        raise BudgetError(
            f"the scene's bricks are split among {n} workers, and {at} cannot keep {what}: {error} "
            f"{' '.join([*remedies, 'Or draw by frames (--split frames), which streams bricks.'])}",
            planned_bytes=error.planned_bytes,
            allowed_bytes=error.allowed_bytes,
            smallest_bytes=smallest,
        )

    def _drawn(
        self, bands: Iterator[Band], cancel: Cancel | None
    ) -> Iterator[tuple[Band, FinishedBand]]:
        """The bands, finished, in order, `_UNDER_WAY` at a time; those that a lost worker had a part in
        are drawn again."""
        waiting: deque[tuple[Band, Future]] = deque()
        try:
            while True:
                for band in islice(bands, _UNDER_WAY - len(waiting)):
                    waiting.append((band, self._keepers.draw(band)))
                if not waiting:
                    return
                told = self._keepers.results([waiting[0][1]], cancel)
                if told is None:
                    self._client.cancel([future for _, future in waiting])
                    again = [band for band, _ in waiting]
                    waiting.clear()
                    self._replace_lost(cancel)
                    # Workers that keep more than before have room for fewer rows at a time.
                    bands = self._as_planned(chain(again, bands), cancel)
                    continue
                self._keepers.note_finished()
                band, _ = waiting.popleft()
                finished: FinishedBand = taken(told[0])
                self.moved_bytes += finished.moved_bytes
                yield band, finished
        finally:
            if waiting and self._client.status == "running":
                self._client.cancel([future for _, future in waiting])

    def _replace_lost(self, cancel: Cancel | None) -> None:
        self._keepers.replace_lost(cancel)
        self._plans.clear()

    def _as_planned(self, bands: Iterable[Band], cancel: Cancel | None) -> Iterator[Band]:
        """Bands in parts that the workers that there are now can draw."""
        for band in bands:
            if not isinstance(band, TileBand | PixelBand):
                yield band
                continue
            height = self._plan_of(band.camera, cancel).band_rows * TILE
            for top in range(band.top, band.bottom, height):
                yield replace(band, top=top, bottom=min(top + height, band.bottom))


def _alike(found: Mapping[str, Planned]) -> Planned:
    """What all workers draw with; raises ClusterError where they do not draw with the same."""
    (first, planned), *others = found.items()
    for at, other in others:
        for name in ("backend", "precision"):
            ours, theirs = getattr(planned, name).name, getattr(other, name).name
            if ours != theirs:
                raise ClusterError(
                    f"the worker {first} draws with {ours}, and {at} with {theirs}; a picture is drawn "
                    f"by all of them, so say which --{name}"
                )
    return planned
