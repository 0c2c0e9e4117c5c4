"""Single pictures: a writer of frames, each into the files that `targets.frame_files` names."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plenostream.export.light import linear_colours
from plenostream.export.painting import Painter
from plenostream.export.picture_files import (
    write_exr,
    write_npy,
    write_npz,
    write_png,
    write_preview,
)
from plenostream.export.targets import Target, choose_target, frame_files, target_files
from plenostream.files.atomic import checked_output, made_folders, try_place
from plenostream.options import FileOptions, RenderOptions
from plenostream.results import RenderResult

__all__ = ["StillWriter", "still_output", "write_picture"]

_PREVIEW_QUALITY = 90


def write_picture(
    path: str | Path,
    picture: RenderResult,
    outputs: Sequence[str] = ("rgb",),
    options: FileOptions | None = None,
    *,
    background: float | tuple[float, float, float] | str = 1.0,
    overwrite: bool = False,
) -> list[Path]:
    """Write a picture to `path`, and what does not go into that file beside it; the files made.

    Parameters
    ----------
    path : .png, .jpg, .webp, .exr, .npy or .npz
    outputs : of `options.OUTPUTS`, those that the picture has
    background : that of the `RenderOptions` it was rendered with; "none" too

    Raises
    ------
    InvalidInput : an ending that is not known, outputs that the picture or the file cannot have.
    OutputError : a file is there and may not be replaced; what the system says against writing.
    """
    options = FileOptions() if options is None else options
    target = choose_target(path, outputs=outputs, n_frames=1, options=options)
    behind = RenderOptions(background=background)  # type: ignore[arg-type]
    with still_output(
        target, numbers=[0], background=behind.background, overwrite=overwrite
    ) as writer:
        writer.write(0, picture)
    return writer.written


@contextlib.contextmanager
def still_output(
    target: Target,
    *,
    numbers: Sequence[int],
    background: ArrayLike | str,
    overwrite: bool,
) -> Iterator[StillWriter]:
    """A writer of each frame to files of its own, named as `frame_files` says.

    Parameters
    ----------
    target : no film
    numbers : of the frames that will come; their files are checked before any is made
    background : colour behind everything, one number or [3], which an RGBA picture leaves out; or
        "none"
    overwrite : replace files that are there

    Raises
    ------
    OutputError : a file is there and may not be replaced; what the system says against writing.
    """
    for path in target_files(target, numbers):
        checked_output(path, overwrite=overwrite, what="picture")
    with made_folders(target.place):
        try_place(target.place / "picture", what="picture")
        yield StillWriter(target, background=background, overwrite=overwrite)


class StillWriter:
    """What `still_output` gives. Files are finished one by one: after an error they stay."""

    def __init__(self, target: Target, *, background: ArrayLike | str, overwrite: bool) -> None:
        self.written: list[Path] = []
        self._transparent = isinstance(background, str)
        behind = 0.0 if isinstance(background, str) else background
        self._painter = Painter(background=behind, options=target.options)
        self._target, self._overwrite = target, overwrite

    def write(self, number: int, picture: RenderResult) -> None:
        """Write frame `number`."""
        files = frame_files(self._target, number)
        if files.main is not None:
            self._write_main(files.main, picture)
        for name, path in files.values.items():
            self._save(write_npy, path, picture.channel(name))
        for name, path in files.pictures.items():
            self._save_pixels(path, self._painter.map_of(picture, name))

    def notes(self) -> list[str]:
        """What colours of depth stand for, and what was done to colours that tools take for light."""
        lines = self._painter.notes()
        if "rgb" in self._target.outputs and self._target.kind in ("exr", "npy", "npz"):
            done = "converted from sRGB to linear light"
            kept = "sRGB as the model has them, not converted to linear light (--linear does)"
            lines.append(f"colours: {done if self._target.options.linear else kept}")
        return lines

    def _write_main(self, path: Path, picture: RenderResult) -> None:
        kind, outputs = self._target.kind, self._target.outputs
        if kind == "exr":
            linear = self._target.options.linear
            self._save(write_exr, path, self._values(picture, outputs), linear=linear)
        elif kind == "npz":
            self._save(write_npz, path, self._values(picture, outputs))
        elif kind == "npy":
            self._save(write_npy, path, _stacked(self._values(picture, self._target.colours)))
        else:
            self._save_pixels(path, self._painter.colours(picture, outputs))

    def _values(
        self, picture: RenderResult, outputs: Sequence[str]
    ) -> dict[str, NDArray[np.float32]]:
        """Outputs by name, colours as light where that is asked for."""
        shown = {name: picture.channel(name) for name in outputs}
        if "rgb" in shown and self._target.options.linear:
            alpha = picture.alpha if self._transparent else None
            shown["rgb"] = linear_colours(shown["rgb"], alpha)
        return shown

    def _save_pixels(self, path: Path, pixels: NDArray[Any]) -> None:
        if self._target.kind in ("jpg", "webp"):
            quality = self._target.options.quality or _PREVIEW_QUALITY
            ending = f".{self._target.kind}"
            self._save(write_preview, path, pixels, ending=ending, quality=quality)
        else:
            self._save(write_png, path, pixels)

    def _save(self, write: Callable[..., None], path: Path, content: Any, **how: Any) -> None:
        write(path, content, overwrite=self._overwrite, **how)
        self.written.append(path)


def _stacked(shown: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """rgb [H, W, 3], rgb with alpha [H, W, 4], or the one output there is as it is."""
    first, *others = shown.values()
    if not others:
        return first
    return np.concatenate([first, others[0][..., None]], axis=-1)
