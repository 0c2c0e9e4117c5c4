"""What a training leaves for a later one, and what that begins with."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InvalidInput, StoreError
from plenostream.files.paths import PathLike, scene_place
from plenostream.options import RenderOptions, TrainOptions
from plenostream.train.budget import TrainBudget
from plenostream.train.checkpoint import Checkpoint
from plenostream.train.exposure import Exposures
from plenostream.train.photographs import Photographs
from plenostream.train.report import Reading, time_text
from plenostream.train.schedule import Course
from plenostream.train.starting import contents_of, started
from plenostream.train.state import TrainState
from plenostream.train.unit import TrainingUnit

__all__ = ["Resuming"]

_MAY_CHANGE = ("steps", "time", "overwrite", "resume")
"""Options that a training that goes on need not have in common with the runs before."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resuming:
    """The checkpoints of a training."""

    place: Path
    target: PathLike
    """Its scene."""
    options: TrainOptions
    photographs: Photographs
    unit: TrainingUnit
    render: RenderOptions
    start: PathLike | None
    keep_voxels: bool
    colours_only: bool

    def save(self, state: TrainState, seconds: float, *, ended: bool = False) -> None:
        """Keep how far it is after so many `seconds`; raises OutputError."""
        voxel_set = state.voxel_set
        Checkpoint(
            identity=self.identity(),
            length=self._length(),
            stage=state.stage,
            step=state.step,
            seconds=seconds,
            history=[reading.to_dict() for reading in state.readings],
            grid=voxel_set.grid,
            brick_size=voxel_set.bricks.brick_size,
            places=voxel_set.places,
            rows=None if ended else state.rows,
            layers=state.layers,
            exposures=None if state.exposures is None else state.exposures.sums,
            scene=contents_of(self.target) if ended else "",
        ).save(self.place)

    def load(self, course: Course, budget: TrainBudget) -> TrainState:
        """How far an earlier run came; raises as `Trainer.run`."""
        found = Checkpoint.load(self.place, self.identity(), budget)
        ended, length = found.rows is None, self._length()
        if course.share(found.step, found.seconds) >= 1.0 and (ended or length != found.length):
            raise InvalidInput(
                f"the training at {self.place} has taken {found.step} steps, in "
                f"{time_text(found.seconds)}: nothing is left of it. Say more steps or time to go on with it"
            )
        if found.rows is None:
            if contents_of(self.target) != found.scene:
                raise StoreError(
                    f"{self.target} is not the scene that its training ended with any more; train from it "
                    "as it is (--start)"
                )
            state = started(self.target, budget, self.unit, squares=budget.squares)
        else:
            voxel_set = found.voxel_set()
            state = TrainState(voxel_set=voxel_set, rows=found.rows, layers=found.layers)
        state.stage, state.step, state.seconds = found.stage, found.step, found.seconds
        state.exposures = self.exposures(found.exposures)
        state.readings = [Reading(**told) for told in found.history]
        return state

    def exposures(self, sums: NDArray[np.float64] | None) -> Exposures | None:
        """Of the photographs, where they are learnt; `sums`: as an earlier run left them."""
        kind = self.options.exposure
        if kind == "none":
            return None
        return Exposures(len(self.photographs), by_channel=kind == "channels", sums=sums)

    def identity(self) -> dict[str, Any]:
        """What a training must have in common with the one that it goes on with."""
        options = asdict(self.options)
        options = {name: told for name, told in options.items() if name not in _MAY_CHANGE}
        others = {
            "render": asdict(self.render),
            "start": None if self.start is None else scene_place(self.start),
            "keep_voxels": self.keep_voxels,
            "colours_only": self.colours_only,
            "photographs": self.photographs.digest(),
        }
        # As a file gives it back, in which tuples are lists.
        identity: dict[str, Any] = json.loads(json.dumps(options | others))
        return identity

    def _length(self) -> dict[str, Any]:
        """What says when training ends."""
        return {"steps": self.options.steps, "time": self.options.time}
