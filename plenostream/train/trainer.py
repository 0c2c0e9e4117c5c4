"""Training: from photographs to a scene, coarse to fine.

::

    for each stage:
        1. take the voxels that matter to a grid twice as fine     (`growing`)
        2. step after step: rays of some photographs, forward and back, and rows a step down   (`stage`)
        3. write the scene, and what a later run can go on from    (`writing`, `checkpoint`)
    leave out what no view sees, and write the scene
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from plenostream.cameras import PicturedCamera
from plenostream.engine.opening import check_step
from plenostream.errors import InvalidInput
from plenostream.field.grid import GridSpec
from plenostream.files.paths import PathLike
from plenostream.format.folder_staging import FolderStaging
from plenostream.options import RenderOptions, StreamOptions, TrainOptions
from plenostream.results import Progress
from plenostream.rules import require_kind
from plenostream.train.beginning import Beginning
from plenostream.train.budget import TrainBudget
from plenostream.train.checkpoint import checkpoint_place
from plenostream.train.growing import Views
from plenostream.train.held import HeldViews
from plenostream.train.layers import TrainedLayers
from plenostream.train.pace import Pace
from plenostream.train.photographs import Photographs, checked_views, kept_pixels
from plenostream.train.report import Exposure, Told, TrainReport
from plenostream.train.resuming import Resuming
from plenostream.train.schedule import Course, stages_of
from plenostream.train.stage import Stage
from plenostream.train.starting import started
from plenostream.train.state import TrainState, grown, new_state, pruned, resized
from plenostream.train.unit import TrainingUnit
from plenostream.train.writing import check_outputs, local_scene, write_rows

__all__ = ["Trainer"]

_SAVING_S = 300.0
"""Seconds between checkpoints."""
_DILATION, _LAST_DILATION = 2, 1
"""How often voxels that matter are dilated, between stages and in the end."""
_PIXELS_A_VOXEL = 2
"""Pixels along an edge of a photograph for each voxel of an axis, at least."""
_REDUCED = 1.75
"""Bytes of photographs with those that two stages see, over their own: half as fine or less, float16."""
_RAY = 128
"""Bytes of a ray of a step: where it is, what it is to see, and what the loss makes of that."""
_PIXEL, _SHEET_PIXEL = 80, 400
"""Bytes of a pixel of the largest photograph while it is read or compared, and while a sheet of them is
written."""
_SHARES = 1000
"""Parts that progress counts."""


class Trainer:
    """Trains a scene from photographs."""

    def __init__(
        self,
        views: Sequence[PicturedCamera],
        target: PathLike,
        options: TrainOptions | None = None,
        *,
        held: Sequence[PicturedCamera] | None = None,
        render: RenderOptions | None = None,
        stream: StreamOptions | None = None,
        start: PathLike | None = None,
        keep_voxels: bool = False,
        colours_only: bool = False,
        sheet: Path | None = None,
        told: Told | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Read the photographs.

        Parameters
        ----------
        views : cameras with photographs (`cameras.load_pictured`)
        target : folder of the scene; what a training that is cut off goes on from lies beside it
        held : views that are held back; None: some of `views`, as `options.held` says
        render : how pictures are drawn: steps, thresholds, clips, background
        stream : backend, device, and bytes that may be taken
        start : scene to begin with, at `options.size` at once
        keep_voxels : no voxel leaves, and none comes, and the grid is that of `start`
        colours_only : densities stay those of `start`
        sheet : PNG that shows held views beside their photographs in the end
        told : given how far it is, now and then
        progress : told what is being done, how much of it is done, and how much there is

        Raises
        ------
        InvalidInput : an argument of another type; a view without a photograph, or with one that cannot be
            read; options that do not go together. BudgetError : the photographs, and the voxels that
            training begins with, do not fit the memory allowed. StoreExists, StoreError, OutputError : the
            scene, the sheet or the file beside it cannot be written there.
        """
        self._options = TrainOptions() if options is None else options
        self._render = RenderOptions() if render is None else render
        self._stream = StreamOptions() if stream is None else stream
        require_kind("options", self._options, TrainOptions, "TrainOptions")
        require_kind("render", self._render, RenderOptions, "RenderOptions")
        require_kind("stream", self._stream, StreamOptions, "StreamOptions")
        views = checked_views("views", views)
        held = None if held is None else checked_views("held", held)
        self._target, self._start, self._sheet = target, start, sheet
        self._keep_voxels, self._colours_only = keep_voxels, colours_only
        self._told: Told = told or (lambda reading: None)
        self._tell: Progress = progress or (lambda step, done, total: None)
        beginning = Beginning.of(start, self._options)
        self._unit = TrainingUnit.of(beginning.volume)
        self._volume = self._unit.volume(beginning.volume)
        self._render = self._unit.options(self._render)
        self._refuse()
        # The scene is ours once it was written, or where a training of ours is resumed.
        self._replace = self._options.overwrite or self._options.resume
        learnt, back = map(self._unit.views, _divided(views, held, self._options.held))
        self._refuse_places(views, shows_any=len(back) > 0)
        budget = self._planned(beginning, learnt, back)
        budget.require(beginning.n_voxels, beginning.size)
        background = self._render.background_rgb
        self._photographs = Photographs.read(learnt, background, self._tell)
        self._resuming = Resuming(
            place=checkpoint_place(target),
            target=target,
            options=self._options,
            photographs=self._photographs,
            unit=self._unit,
            render=self._render,
            start=start,
            keep_voxels=keep_voxels,
            colours_only=colours_only,
        )
        self._held: HeldViews | None = None
        held_bytes = 0
        if back:
            photographs = Photographs.read(back, background, self._tell)
            self._held = HeldViews(photographs)
            held_bytes = photographs.nbytes
        self._budget = replace(
            budget, photographs_bytes=int(_REDUCED * self._photographs.nbytes) + held_bytes
        )
        self._views = Views(
            cameras=self._photographs.cameras,
            render=self._render,
            stream=self._stream,
            tell=self._tell,
        )

    def _refuse_places(self, views: Sequence[PicturedCamera], *, shows_any: bool) -> None:
        """Find out whether everything can be written that is to be, without harm to what is read."""
        local_scene(self._target)
        FolderStaging(self._target, overwrite=self._replace)
        if self._sheet is not None and not shows_any:
            raise InvalidInput(
                f"{self._sheet} is to show views that are held back, and there are none; say how many "
                "(held), or leave the sheet out"
            )
        beside = checkpoint_place(self._target)
        read = {f"photograph {view.name}": view.picture for view in views if view.picture}
        check_outputs(
            {"file of a training to go on with": beside, "picture": self._sheet},
            self._target,
            read,
            overwrite=True,
        )

    def _planned(
        self,
        beginning: Beginning,
        learnt: Sequence[PicturedCamera],
        back: Sequence[PicturedCamera],
    ) -> TrainBudget:
        """Memory by the headers of photographs that are learnt from, and held back."""
        (learnt_bytes, largest), (held_bytes, largest_held) = map(kept_pixels, (learnt, back))
        pixel_bytes = _PIXEL if self._sheet is None else _SHEET_PIXEL
        return TrainBudget(
            allowed_bytes=self._stream.host_bytes,
            photographs_bytes=int(_REDUCED * learnt_bytes) + held_bytes,
            batch_bytes=self._options.rays * _RAY + max(largest, largest_held) * pixel_bytes,
            columns=beginning.columns,
            squares=self._options.optimiser == "rmsprop",
            layers_bytes=beginning.layers_bytes(self._options),
        )

    def _refuse(self) -> None:
        check_step(self._volume, self._render.step_size)
        if self._start is None and (self._keep_voxels or self._colours_only):
            raise InvalidInput(
                "keep_voxels and colours_only are about a scene to begin with; say one (start)"
            )
        if isinstance(self._render.ndc, tuple):
            raise InvalidInput(
                "scenes in normalised device coordinates are not trained yet; leave ndc out, and the "
                "scene is one of the world"
            )
        if self._render.level != 0 or self._render.samples != 1:
            raise InvalidInput("training draws level 0, with one sample a pixel; leave both out")

    def _grid(self, size: int) -> GridSpec:
        """The volume in so many voxels along each axis."""
        return replace(self._volume, size=(size, size, size))

    def run(self, stop: Callable[[], bool] | None = None) -> TrainReport:
        """Train, and write the scene.

        `stop` is asked before each step: once it says so, the scene is written as it is, and a later
        training may resume.

        Raises
        ------
        BudgetError : what has to be kept does not fit the memory allowed. StoreNotFound, StoreError :
        nothing to resume, or of a training with other options; the scene cannot be written.
        DeviceError : the backend gives no derivatives, or the device failed. StoreFormat, BrickCorrupt :
        the scene to begin with cannot be read. InvalidInput : rates are so high that training diverges;
        no view sees anything.
        """
        stopped = stop or (lambda: False)
        stages = (self._options.size,) if self._start is not None else stages_of(self._options.size)
        course = Course(options=self._options, stages=stages)
        state = self._first_state(course)
        pace = Pace(course, state, self._held, self._told)
        for number, size in enumerate(stages):
            if number < state.stage:
                continue
            if number > state.stage:
                grid = self._grid(size)
                grown(state, grid, self._options, self._views, self._budget, dilation=_DILATION)
                state.stage = number
                self._resuming.save(state, pace.seconds)
            with self._stage(state) as stage:
                finished = self._train(state, stage, course, pace, stopped)
                pace.read(stage, whole=True)
                if not finished:
                    self._resuming.save(state, pace.seconds)
                    return self._written(state, stage, finished=False)
                if number + 1 < len(stages) or self._keep_voxels:
                    report = self._written(state, stage, finished=True)
        if not self._keep_voxels:
            pruned(state, self._options, self._views, dilation=_LAST_DILATION)
            with self._stage(state) as stage:
                pace.read(stage, whole=True)
                report = self._written(state, stage, finished=True)
        self._resuming.save(state, pace.seconds, ended=True)
        return report

    def _first_state(self, course: Course) -> TrainState:
        """All voxels, those of a scene, or how far an earlier run came."""
        options = self._options
        if options.resume:
            return self._resuming.load(course, self._budget)
        if self._start is None:
            grid = self._grid(course.stages[0])
            self._budget.require(grid.size[0] ** 3, grid.size)
            state = new_state(grid, options)
        else:
            state = started(self._start, self._budget, self._unit, squares=self._budget.squares)
            if not self._keep_voxels:
                resized(state, self._grid(options.size), options)
        state.exposures = self._resuming.exposures(None)
        if state.layers is None and options.background_layers:
            state.layers = TrainedLayers.new(
                options.background_resolution,
                options.background_layers,
                squares=self._budget.squares,
            )
        return state

    def _stage(self, state: TrainState) -> Stage:
        """A stage of the training; photographs are no finer than its voxels need, so that a tile of
        them covers several voxels: a step then learns of more."""
        size = state.voxel_set.grid.size
        self._budget.require(state.voxel_set.n_voxels, size)
        factor = max(self._photographs.largest_edge // (_PIXELS_A_VOXEL * max(size)), 1)
        return Stage(
            state,
            self._photographs.reduced(factor),
            self._options,
            self._render,
            self._stream,
            colours_only=self._colours_only,
        )

    def _train(
        self,
        state: TrainState,
        stage: Stage,
        course: Course,
        pace: Pace,
        stopped: Callable[[], bool],
    ) -> bool:
        """Step until the stage is over; false: it was stopped."""
        end = course.ends[state.stage]
        size = max(stage.voxel_set.grid.size)
        what = f"training {size}"
        saved = time.perf_counter()
        while (share := pace.share) < end:
            if stopped():
                return False
            loss = stage.step(state.step, course.rates(share, size), course.texel_rates(share))
            if not math.isfinite(loss):
                raise InvalidInput(
                    f"training has diverged: at step {state.step} the loss is {loss}. Begin anew with lower "
                    "rates (lr_sigma, lr_sh)"
                )
            pace.took(loss)
            state.step += 1
            self._tell(what, int(_SHARES * pace.share), _SHARES)
            if pace.is_due():
                pace.read(stage, whole=False)
            if time.perf_counter() - saved >= _SAVING_S:
                self._resuming.save(state, pace.seconds)
                saved = time.perf_counter()
        return True

    # What is written

    def _written(self, state: TrainState, stage: Stage, *, finished: bool) -> TrainReport:
        """Write the scene as it is, and say what it is."""
        voxel_set, walk = state.voxel_set, stage.walk
        spare = self._budget.require(voxel_set.n_voxels, voxel_set.grid.size)
        written = write_rows(
            self._target,
            voxel_set,
            state.rows,
            self._unit,
            name=f"{len(self._photographs)} photographs",
            host_memory=spare,
            overwrite=self._replace,
            progress=self._tell,
            layers=state.layers,
        )
        self._replace = True
        if self._held is not None and self._sheet is not None:
            self._held.write_sheet(walk, stage.behind, self._sheet, overwrite=True)
        return TrainReport(
            place=os.fspath(self._target),
            finished=finished,
            readings=list(state.readings),
            exposures=self._gains(state),
            scene_bytes=written.scene_bytes,
            planned_host_bytes=self._budget.planned_bytes(voxel_set.n_voxels, voxel_set.grid.size),
            allowed_host_bytes=self._budget.allowed_bytes,
            planned_device_bytes=walk.plan.n_bytes,
            allowed_device_bytes=walk.integrator.allowed_bytes,
            backend=walk.backend.name,
            precision=walk.integrator.precision,
        )

    def _gains(self, state: TrainState) -> list[Exposure]:
        if state.exposures is None:
            return []
        gains = state.exposures.gains().tolist()
        named = zip(self._photographs.names, gains, strict=True)
        return [Exposure(photograph=name, gain=tuple(gain)) for name, gain in named]


def _divided(
    views: Sequence[PicturedCamera], held: Sequence[PicturedCamera] | None, every: int
) -> tuple[Sequence[PicturedCamera], Sequence[PicturedCamera]]:
    """Views to learn from, and those that are held back."""
    if held is not None:
        return views, held
    if every == 0 or len(views) < 2:
        return views, []
    back = views[every // 2 :: every]
    return [view for number, view in enumerate(views) if number % every != every // 2 % every], back
