"""The models that are measured: checkpoints, their views, and what has to be made for them first.

What is made lies in a folder inside the checkout that git ignores, and is used again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import plenostream as ps
from plenostream.bench.tile_scene import copy_offset, tile_scene

__all__ = ["TILED", "Folders", "Model", "Tiled", "prepare", "prepare_tiled", "present"]

TILED = "tiled_2048"
_TILED_FROM = "still_512"
_COPIES = 4
_COPY = (3, 3, 3)
_COPY_FRAME = 4
"""From this view's direction nothing but the copy at this corner is in the picture."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where things are."""

    root: Path
    """The checkout."""
    made: Path
    """What is made for the benchmark."""

    @property
    def shared(self) -> Path:
        """Models and the native baseline, beside the checkout; may be missing."""
        return self.root.parent / "shared"

    @property
    def native(self) -> Path:
        """The native baseline's sources."""
        return self.shared / "bench" / "native"


@dataclass(frozen=True, slots=True)
class Model:
    """A checkpoint and where to look at it from."""

    name: str
    checkpoint: Path
    cameras: Path
    scene: Path
    """Where it is converted to."""

    def camera(self, size: tuple[int, int], *, frame: int = 0) -> ps.Camera:
        """A view of the model's camera file."""
        return ps.load_cameras(self.cameras, frames=[frame], size=size)[0]


@dataclass(frozen=True, slots=True)
class Tiled:
    """A scene of many copies of a model, and a view of one copy."""

    model: Model
    scene: Path

    def cameras(self, size: tuple[int, int]) -> tuple[ps.Camera, ps.Camera]:
        """The same view of the model and of its copy."""
        alone = self.model.camera(size, frame=_COPY_FRAME)
        with ps.open_scene(self.model.scene) as scene:
            offset = copy_offset(scene.grid, _COPIES, _COPY)
        pose = alone.c2w.copy()
        pose[:, 3] += offset
        return alone, replace(alone, c2w=pose)


def _makers(folders: Folders) -> dict[str, tuple[Path, Path, list[Path | str] | None]]:
    """Of each model: checkpoint, cameras, and the script and arguments that make it, if any."""
    data, models = folders.root / "data", folders.shared / "models"
    still = data / "still_cameras.json"
    large, gyroid = folders.made / "still_512.npz", folders.made / "gyroid_512.npz"
    around = folders.made / "gyroid_cameras.json"
    make_512, make_gyroid = models / "make_512.py", folders.native / "gyroid.py"
    return {
        "still_128": (data / "still_128.npz", still, None),
        "still_256": (models / "still_256.npz", still, None),
        "still_512": (large, still, [make_512, models / "still_256.npz", large]),
        "gyroid_512": (gyroid, around, [make_gyroid, "--size", "512", "--cameras", around, gyroid]),
    }


def present(folders: Folders) -> list[str]:
    """Names of the models that are here or can be made."""
    found = []
    for name, (checkpoint, _, make) in _makers(folders).items():
        if checkpoint.is_file() or (make is not None and Path(make[0]).is_file()):
            found.append(name)
    return [*found, TILED] if _TILED_FROM in found else found


def prepare(folders: Folders, name: str, say: Callable[[str], None]) -> Model:
    """The model of this name, made if it is not there; not converted."""
    checkpoint, cameras, make = _makers(folders)[name]
    if make is not None and not (checkpoint.is_file() and cameras.is_file()):
        say(f"making {checkpoint.name}")
        # numpy would end another name with .npz; a run that is cut off leaves no checkpoint.
        aside = checkpoint.with_name("unfinished.npz")
        command = [str(aside if part == checkpoint else part) for part in make]
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
        os.replace(aside, checkpoint)
    return Model(name, checkpoint, cameras, folders.made / f"{name}.zarr")


def convert(model: Model, say: Callable[[str], None]) -> None:
    """Convert the model anew: an older scene may be of an older converter."""
    say("converting")
    ps.convert(model.checkpoint, model.scene, ps.ConvertOptions(overwrite=True))


def prepare_tiled(folders: Folders, say: Callable[[str], None]) -> Tiled:
    """The scene of many copies, made if it is not there or not of the model's present scene."""
    model = prepare(folders, _TILED_FROM, say)
    tiled = Tiled(model, folders.made / f"{TILED}.zarr")
    convert(model, say)
    if not _is_of(tiled):
        shutil.rmtree(tiled.scene, ignore_errors=True)
        say(f"making {tiled.scene.name}: {_COPIES**3} copies, about 8 GB, some minutes")
        n_threads = len(os.sched_getaffinity(0))
        tile_scene(model.scene, tiled.scene, copies=_COPIES, n_threads=n_threads)
    return tiled


def _is_of(tiled: Tiled) -> bool:
    """Whether the tiled scene is there, and of the model's present scene."""
    try:
        with ps.open_scene(tiled.model.scene) as one, ps.open_scene(tiled.scene) as many:
            found, expected = many.meta, one.meta
    except ps.StoreError:
        return False
    return (found.source_digest, found.converter, found.n_rows) == (
        expected.source_digest,
        expected.converter,
        expected.n_rows * _COPIES**3,
    )
