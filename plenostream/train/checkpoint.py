"""What a training goes on from: one file beside the scene, whole or not there.

Of a training that was cut off it holds all that there is; of one that has ended, whose voxels the scene
holds, it says which scene that is, and how far it came.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import StoreError, StoreNotFound
from plenostream.field.grid import GridSpec
from plenostream.files.atomic import atomic_file, writing
from plenostream.files.paths import PathLike, input_file, local_path
from plenostream.train.budget import TrainBudget
from plenostream.train.layers import TrainedLayers
from plenostream.train.rows import TrainedRows
from plenostream.train.voxel_set import VoxelSet

__all__ = ["Checkpoint", "checkpoint_place"]

_VERSION = 3
_ROWS = ("density", "sh")
_LAYERS, _LAYER_SQUARES = ("links", "texels", "seen"), "squares"
_SQUARES = ("density_square", "sh_square")


def checkpoint_place(target: PathLike) -> Path:
    """The file of the training of a scene."""
    place = Path(os.path.realpath(local_path(target, what="scene")))
    return place.with_name(f".{place.name}.training")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """How far a training is."""

    identity: dict[str, Any]
    """What it goes on with only if it is the same: JSON values."""
    length: dict[str, Any]
    """What said when it ends, which may be another when it goes on: JSON values."""
    stage: int
    step: int
    seconds: float
    """Spent so far."""
    history: list[dict[str, Any]]
    """Readings so far."""
    grid: GridSpec
    brick_size: int
    places: NDArray[np.int64]
    rows: TrainedRows | None
    """None: it has ended, and they are the scene's."""
    layers: TrainedLayers | None
    exposures: NDArray[np.float64] | None
    """`Exposures.sums`."""
    scene: str = ""
    """What the scene that it ended with says of itself, `contents_of`."""

    def voxel_set(self) -> VoxelSet:
        """Its voxels, of one that was cut off."""
        active = np.zeros(self.grid.size, np.bool_)
        active.reshape(-1)[self.places] = True
        return VoxelSet.of(active, self.grid, self.brick_size)

    def save(self, place: Path) -> None:
        """Write it to `place`, in place of an earlier one.

        Raises
        ------
        OutputError : what the system says.
        """
        arrays: dict[str, Any] = {"places": self.places} if self.rows is not None else {}
        for name in (*_ROWS, *_SQUARES):
            if (array := getattr(self.rows, name, None)) is not None:
                arrays[name] = array
        if self.rows is not None and self.layers is not None:
            for name in (*_LAYERS, _LAYER_SQUARES):
                if (array := getattr(self.layers, name)) is not None:
                    arrays[f"layers_{name}"] = array
        if self.exposures is not None:
            arrays["exposures"] = self.exposures
        grid = self.grid
        told = {
            "version": _VERSION,
            "identity": self.identity,
            "length": self.length,
            "scene": self.scene,
            "stage": self.stage,
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "grid": [list(grid.size), list(grid.radius), list(grid.center)],
            "brick_size": self.brick_size,
        }
        with atomic_file(place, overwrite=True, what="checkpoint") as file, writing(place):
            np.savez(file, told=np.array(json.dumps(told)), **arrays)

    @classmethod
    def load(cls, place: Path, identity: dict[str, Any], budget: TrainBudget) -> Checkpoint:
        """The one at `place`.

        Raises
        ------
        StoreNotFound : there is none. StoreError : it is damaged, or of a training with other options.
        BudgetError : its voxels do not fit.
        """
        try:
            input_file(place, what="training to go on with", error=StoreNotFound)
        except StoreNotFound as error:
            raise StoreNotFound(f"{error}; train without --resume") from None
        try:
            with place.open("rb") as file, zipfile.ZipFile(file):
                file.seek(0)
                with np.load(file, allow_pickle=False) as arrays:
                    told = dict(json.loads(str(arrays["told"])))
                    _require_same(told, identity, place)
                    return cls._of(told, arrays, budget)
        except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise StoreError(f"{place} is damaged ({error}); train without --resume") from error

    @classmethod
    def _of(
        cls, told: dict[str, Any], arrays: Mapping[str, Any], budget: TrainBudget
    ) -> Checkpoint:
        """What a file tells; only what fits the budget is read."""
        size, radius, center = (tuple(values) for values in told["grid"])
        places = np.empty(0, np.int64) if told["scene"] else arrays["places"]
        budget.require(len(places), size)
        rows = layers = None
        if not told["scene"]:
            rows = TrainedRows(
                density=arrays["density"],
                sh=arrays["sh"],
                density_square=arrays.get("density_square"),
                sh_square=arrays.get("sh_square"),
            )
        if "layers_texels" in arrays:
            layers = TrainedLayers(
                **{name: arrays[f"layers_{name}"] for name in _LAYERS},
                squares=arrays.get(f"layers_{_LAYER_SQUARES}"),
            )
        return cls(
            identity=told["identity"],
            length=told["length"],
            scene=told["scene"],
            stage=told["stage"],
            step=told["step"],
            seconds=told["seconds"],
            history=told["history"],
            grid=GridSpec(size=size, radius=radius, center=center),
            brick_size=told["brick_size"],
            places=places,
            rows=rows,
            layers=layers,
            exposures=arrays.get("exposures"),
        )


def _require_same(told: dict[str, Any], identity: dict[str, Any], place: Path) -> None:
    """Refuse to go on with a training of other options."""
    if told.get("version") != _VERSION or told["identity"] != identity:
        other = [
            key for key, value in identity.items() if told.get("identity", {}).get(key) != value
        ]
        raise StoreError(
            f"the training at {place} had other options or photographs "
            f"({', '.join(other) or 'another version'}), and goes on with the same alone, but for steps "
            "and time; train without --resume to start anew, or from its scene (--start)"
        )
