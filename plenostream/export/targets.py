"""Where pictures go: what a path stands for, and which files a render will make there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from plenostream.errors import InvalidInput, OutputError
from plenostream.export.film_codecs import FILM_ENDINGS, film_codec
from plenostream.files.paths import local_path, outside_scenes
from plenostream.options import OUTPUTS, FileOptions
from plenostream.results import RenderResult

__all__ = [
    "FrameFiles",
    "Target",
    "Writer",
    "check_sizes",
    "choose_target",
    "frame_files",
    "target_files",
]

_COLOURS = ("rgb", "alpha")
"""Outputs that go into one picture; the others are maps."""
_KINDS = {
    ".png": "png",
    ".jpg": "jpg",
    ".jpeg": "jpg",
    ".webp": "webp",
    ".exr": "exr",
    ".npy": "npy",
    ".npz": "npz",
    **{ending: ending[1:] for ending in FILM_ENDINGS},
}
_MOST_PIXELS = {"jpg": 65_500, "webp": 16_383}
"""Along an edge."""
_LIGHT = ("exr", "npy", "npz")
"""Kinds whose colours may be linear light: those with the values as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What an output path stands for."""

    path: Path
    kind: str
    """png, jpg, webp, exr, npy or npz; of a film mp4, mov or webm."""
    folder: bool
    """`path` is a folder of one picture a frame."""
    outputs: tuple[str, ...]
    """Chosen from `OUTPUTS`, in its order."""
    options: FileOptions = field(default_factory=FileOptions)

    @property
    def place(self) -> Path:
        """The folder that its files will be in."""
        return self.path if self.folder else self.path.parent

    @property
    def film(self) -> bool:
        """All frames go into one file."""
        return f".{self.kind}" in FILM_ENDINGS

    @property
    def colours(self) -> tuple[str, ...]:
        """Those of rgb and alpha that are wanted."""
        return tuple(name for name in self.outputs if name in _COLOURS)

    @property
    def maps(self) -> tuple[str, ...]:
        """The other outputs: depths, normals, cost."""
        return tuple(name for name in self.outputs if name not in _COLOURS)


class Writer(Protocol):
    """Takes frames one by one."""

    written: list[Path]
    """Finished files, in order."""

    def write(self, number: int, picture: RenderResult) -> None:
        """Write frame `number`."""

    def notes(self) -> list[str]:
        """What a reader of the files should know, a line each."""


def choose_target(
    path: str | Path,
    *,
    outputs: Sequence[str],
    n_frames: int,
    options: FileOptions | None = None,
) -> Target:
    """What `path` stands for: a picture (.png, .jpg, .webp, .exr, .npy, .npz), a film (.mp4, .mov,
    .webm) or a folder of pictures.

    Raises
    ------
    InvalidInput : no path or a URL, an ending that is not known, several frames into one picture, outputs that are
        not known or that such a file cannot hold, options of another kind of file.
    OutputError : a folder that is a scene or lies in one.
    """
    ordered = OUTPUTS.check("outputs", outputs)
    options = FileOptions() if options is None else options
    where = local_path(path, what="picture or film")
    ending = where.suffix.lower()
    folder = str(path).endswith("/") or os.path.isdir(where) or not ending
    if folder:
        outside_scenes(where, shown=path, error=OutputError)
    elif ending not in _KINDS:
        raise InvalidInput(
            f"{where} ends in {ending}; expected .png, .jpg, .webp, .exr, .npy or .npz for one "
            "frame, .mp4, .mov or .webm for a film, or a folder (no ending, or a slash at the end)"
        )
    kind = (options.format or "png") if folder else _KINDS[ending]
    target = Target(path=where, kind=kind, folder=folder, outputs=ordered, options=options)
    if n_frames > 1 and not folder and not target.film:
        raise InvalidInput(
            f"{n_frames} frames do not go into one {ending}; name a folder (no ending, or a slash "
            "at the end) or a film (.mp4, .mov, .webm)"
        )
    _check_outputs(target)
    _check_options(target)
    return target


def check_sizes(target: Target, sizes: Iterable[tuple[int, int]]) -> None:
    """Refuse (InvalidInput) frames of a width and height that such a file cannot have."""
    most = _MOST_PIXELS.get(target.kind)
    for width, height in sizes:
        if most is not None and max(width, height) > most:
            raise InvalidInput(
                f"a .{target.kind} has up to {most} pixels along an edge, and a frame {width}x{height}; "
                "name a .png"
            )


def _check_outputs(target: Target) -> None:
    """Refuse what such a file has no place for."""
    both = target.colours == _COLOURS
    if target.kind == "jpg" and both:
        raise InvalidInput(
            "JPEG has no transparency; leave alpha out, and --background none, or name a .png or .webp"
        )
    if not target.film:
        return
    if "rgb" not in target.outputs or target.maps:
        raise InvalidInput(
            f"a film holds rgb, with alpha where its codec can, not {', '.join(target.outputs)}; "
            "name a folder for the others"
        )
    codec = film_codec(target.kind, target.options.video_codec)
    if both and codec.transparent_pixels is None:
        raise InvalidInput(
            f"a film of {codec.name} has no transparency; name a .mov (ProRes 4444) or a .webm "
            "(VP9), or leave alpha out, and --background none"
        )


def _check_options(target: Target) -> None:
    """Refuse options that would do nothing."""
    options, kind = target.options, target.kind
    if target.film:
        film_codec(kind, options.video_codec).checked_crf(options.crf)
    stray = {
        f"--format {options.format} is for folders": options.format is not None
        and not target.folder
        and options.format != kind,
        "--png-bits 16 is for .png": options.png_bits == 16 and kind != "png",
        "--quality is for .jpg and .webp": options.quality is not None
        and kind not in ("jpg", "webp"),
        "--linear is for .exr, .npy and .npz": options.linear and kind not in _LIGHT,
        "--video-codec is for films": options.video_codec is not None and not target.film,
        "--crf is for films": options.crf is not None and not target.film,
    }
    for what, said in stray.items():
        if said:
            shown = "a folder" if target.folder else target.path.name
            raise InvalidInput(f"{what}, and {shown} is to hold {kind}; leave it out")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFiles:
    """The files of one frame."""

    main: Path | None
    """rgb with alpha where wanted, else alpha alone; of .exr and .npz everything. None: not wanted."""
    values: dict[str, Path]
    """float32 values (.npy) of maps, by output."""
    pictures: dict[str, Path]
    """Pictures of maps to look at, by output."""

    @property
    def all(self) -> list[Path]:
        """Those that will be written, in order."""
        main = [] if self.main is None else [self.main]
        return [*main, *self.values.values(), *self.pictures.values()]


def frame_files(target: Target, number: int) -> FrameFiles:
    """The files that frame `number` makes.

    An .exr or .npz holds all outputs. Else rgb, with alpha, has the path itself, and each map has a
    name that ends in an underscore and its output's: a picture in the format that was asked for,
    and beside a PNG its values as .npy. An output that is alone has the path itself.
    """
    name = f"frame_{number:04d}.{target.kind}"
    path = target.path / name if target.folder else target.path
    if target.kind in ("exr", "npz"):
        return FrameFiles(main=path, values={}, pictures={})
    alone = len(target.maps) == 1 and not target.colours

    def beside(output: str, ending: str) -> Path:
        return path.with_name(f"{path.stem}{'' if alone else f'_{output}'}{ending}")

    of_values = {"png": ".npy", "npy": path.suffix}.get(target.kind)
    of_pictures = None if target.kind == "npy" else path.suffix
    return FrameFiles(
        main=path if target.colours else None,
        values={m: beside(m, of_values) for m in target.maps if of_values},
        pictures={m: beside(m, of_pictures) for m in target.maps if of_pictures},
    )


def target_files(target: Target, numbers: Sequence[int]) -> list[Path]:
    """All files that the frames of these numbers make, in order."""
    if target.film:
        return [target.path]
    return [path for number in numbers for path in frame_files(target, number).all]
