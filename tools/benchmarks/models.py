"""The models that are measured: checkpoints, their views, and what has to be made for them first.

What is made lies in a folder inside the checkout that git ignores, and is used again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import plenostream as ps
from benchmarks.tiling import copy_offset, tile_checkpoint
from benchmarks.timing import Say

__all__ = ["TILED", "Folders", "Model", "prepare", "prepare_tiled", "present", "tiled_cameras"]

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
        """Models, recorded pictures and the baseline in C, beside the checkout; may be missing."""
        return self.root.parent / "shared"

    @property
    def baseline(self) -> Path:
        """The baseline in C's sources."""
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
        return ps.load_cameras(self.cameras, views=[frame], size=size)[0]


def _makers(folders: Folders) -> dict[str, tuple[Path, Path, list[Path | str] | None]]:
    """Of each model: checkpoint, cameras, and the script and arguments that make it, if any."""
    data, models = folders.root / "data", folders.shared / "models"
    still = data / "still_cameras.json"
    large, gyroid = folders.made / "still_512.npz", folders.made / "gyroid_512.npz"
    around = folders.made / "gyroid_cameras.json"
    make_512, make_gyroid = models / "make_512.py", folders.baseline / "gyroid.py"
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


def prepare(folders: Folders, name: str, say: Say) -> Model:
    """The model of this name, made if it is not there, and converted.

    It is converted anew each time: an older scene may be of an older converter.
    """
    checkpoint, cameras, make = _makers(folders)[name]
    if make is not None and not (checkpoint.is_file() and cameras.is_file()):
        say(f"making {checkpoint.name}")
        # numpy would end another name with .npz; a run that is cut off leaves no checkpoint.
        aside = checkpoint.with_name("unfinished.npz")
        command = [str(aside if part == checkpoint else part) for part in make]
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
        os.replace(aside, checkpoint)
    model = Model(name, checkpoint, cameras, folders.made / f"{name}.zarr")
    say("converting")
    ps.convert(model.checkpoint, model.scene, ps.ConvertOptions(levels=0, overwrite=True))
    return model


def prepare_tiled(folders: Folders, model: Model, say: Say) -> Path:
    """The scene of many copies, made if it is not there or not of the converter of `model`'s."""
    scene = folders.made / f"{TILED}.zarr"
    if not _is_of(model, scene):
        aside = folders.made / "unfinished.npz"
        say(f"making {scene.name}: {_COPIES**3} copies, 20 GB of which 8 stay, some minutes")
        try:
            tile_checkpoint(model.checkpoint, aside, copies=_COPIES)
            ps.convert(aside, scene, ps.ConvertOptions(levels=0, overwrite=True))
        finally:
            aside.unlink(missing_ok=True)
    return scene


def _is_of(model: Model, scene: Path) -> bool:
    """Whether `scene` is there, and made of copies of the model's scene by the same converter."""
    try:
        with ps.open_scene(model.scene) as one, ps.open_scene(scene) as many:
            found, expected = many.meta, one.meta
    except ps.StoreError:
        return False
    voxels = expected.n_voxels * _COPIES**3
    return (found.converter, found.n_voxels) == (expected.converter, voxels)


def tiled_cameras(model: Model, size: tuple[int, int]) -> tuple[ps.Camera, ps.Camera]:
    """The same view of the model and of its copy in the scene of many."""
    alone = model.camera(size, frame=_COPY_FRAME)
    with ps.open_scene(model.scene) as scene:
        offset = copy_offset(scene.grid.radius, _COPIES, _COPY)
    pose = alone.c2w.copy()
    pose[:, 3] += offset
    return alone, replace(alone, c2w=pose)
