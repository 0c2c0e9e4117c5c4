"""Where pictures go: what a path stands for, and which files a render will make there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from plenostream.errors import InvalidInput, OutputError
from plenostream.files.paths import local_path, outside_scenes
from plenostream.options import OUTPUTS
from plenostream.results import RenderResult

__all__ = [
    "FrameFiles",
    "Target",
    "Writer",
    "choose_target",
    "frame_files",
    "target_files",
]

Kind = Literal["png", "npy", "exr", "mp4"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What an output path stands for."""

    path: Path
    kind: Kind
    folder: bool
    """`path` is a folder of one picture a frame."""
    outputs: tuple[str, ...]
    """Chosen from `OUTPUTS`, in its order."""

    @property
    def place(self) -> Path:
        """The folder that its files will be in."""
        return self.path if self.folder else self.path.parent


class Writer(Protocol):
    """Takes frames one by one."""

    written: list[Path]
    """Finished files, in order."""

    def write(self, number: int, picture: RenderResult) -> None:
        """Write frame `number`."""

    def notes(self) -> list[str]:
        """What a reader of the files should know, a line each."""


def choose_target(path: str | Path, *, outputs: Sequence[str], n_frames: int) -> Target:
    """What `path` stands for: a picture (.png, .npy, .exr), a film (.mp4) or a folder of PNGs.

    Raises
    ------
    InvalidInput : no path or a URL, an ending that is not known, several frames into one picture, outputs that are
        not known or that a film cannot hold.
    OutputError : a folder that is a scene or lies in one.
    """
    ordered = OUTPUTS.check("outputs", outputs)
    where = local_path(path, what="picture or film")
    ending = where.suffix.lower()
    if str(path).endswith("/") or os.path.isdir(where) or not ending:
        outside_scenes(where, shown=path, error=OutputError)
        return Target(path=where, kind="png", folder=True, outputs=ordered)
    if ending == ".mp4":
        if ordered != ("rgb",):
            raise InvalidInput(
                f"a film holds rgb only, not {', '.join(ordered)}; name a folder for the others"
            )
        return Target(path=where, kind="mp4", folder=False, outputs=ordered)
    kinds: dict[str, Kind] = {".png": "png", ".npy": "npy", ".exr": "exr"}
    if ending not in kinds:
        raise InvalidInput(
            f"{where} ends in {ending}; expected .png, .npy or .exr for one frame, .mp4 for a "
            "film, or a folder (no ending, or a slash at the end)"
        )
    if n_frames > 1:
        raise InvalidInput(
            f"{n_frames} frames do not go into one {ending}; name a folder (no ending, or a slash "
            "at the end) or an .mp4"
        )
    return Target(path=where, kind=kinds[ending], folder=False, outputs=ordered)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFiles:
    """The files of one frame; None: not wanted, or inside `main`."""

    main: Path | None
    """Colour, with alpha where wanted; else alpha alone. In an EXR, depth too."""
    depth_values: Path | None
    depth_picture: Path | None

    @property
    def all(self) -> list[Path]:
        """Those that will be written."""
        return [p for p in (self.main, self.depth_values, self.depth_picture) if p is not None]


def frame_files(target: Target, number: int) -> FrameFiles:
    """The files that frame `number` makes.

    The first of rgb (with alpha), alpha and depth has the path itself. Depth has two files, values
    (float32) and a coloured PNG to look at; beside another output its name ends in ``_depth``.
    """
    path = target.path / f"frame_{number:04d}.png" if target.folder else target.path
    if "depth" not in target.outputs:
        return FrameFiles(main=path, depth_values=None, depth_picture=None)
    alone = target.outputs == ("depth",)
    base = path.stem if alone else f"{path.stem}_depth"
    values, picture = path.with_name(f"{base}.npy"), path.with_name(f"{base}.png")
    if target.kind == "exr":
        return FrameFiles(main=path, depth_values=None, depth_picture=picture)
    if alone:
        values = path if target.kind == "npy" else values
        picture = path if target.kind == "png" else picture
    return FrameFiles(main=None if alone else path, depth_values=values, depth_picture=picture)


def target_files(target: Target, numbers: Sequence[int]) -> list[Path]:
    """All files that the frames of these numbers make, in order."""
    if target.kind == "mp4":
        return [target.path]
    return [path for number in numbers for path in frame_files(target, number).all]
