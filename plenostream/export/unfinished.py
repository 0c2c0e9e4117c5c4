"""Renders that were cut off: which frames are there already, and films that go on.

A finished still is whole, so one that is there need not be drawn again. Of a film that was cut off
nothing is left; one that may have to go on keeps its frames beside it, in ``FILM.frames``, until it
is whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from plenostream.errors import InvalidInput, OutputError, printable
from plenostream.export.film import FilmWriter, film_output
from plenostream.export.film_codecs import film_codec
from plenostream.export.frame_sizes import found_pixels, pixels_in_words
from plenostream.export.picture_files import LAYERS
from plenostream.export.stills import StillWriter, still_output
from plenostream.export.targets import Target, frame_files
from plenostream.options import FileOptions
from plenostream.results import RenderResult

__all__ = ["ResumedFilm", "kept_frames", "missing_frames", "resumed_film"]

_CHANNELS = {("rgb",): 3, ("rgb", "alpha"): 4, ("alpha",): 1}
"""Of a PNG, by its outputs."""
Sizes = Mapping[int, tuple[int, int]]
"""Width and height of each frame, by its number, in the order of the film."""


def kept_frames(target: Target) -> Target:
    """Where the frames of a target are while it is unfinished: stills in a folder.

    Raises
    ------
    InvalidInput : a target that no frames are kept of.
    """
    if target.film:
        place = target.path.with_name(f"{target.path.name}.frames")
        bits = film_codec(target.kind, target.options.video_codec).bits
        return Target(
            path=place,
            kind="png",
            folder=True,
            outputs=target.outputs,
            options=FileOptions(png_bits=bits),
        )
    if not target.folder:
        raise InvalidInput(
            f"{target.path} is a single picture, of which nothing can be there already; --resume is "
            "for a folder or a film"
        )
    if len(frame_files(target, 0).all) > 1:
        raise InvalidInput(
            "--resume goes on with frames of one file each, and these have several; leave "
            f"{target.maps[0]} out of --outputs, or say --format exr or npz, which hold everything"
        )
    ranged = [name for name in target.maps if name != "normals"]
    if ranged and target.kind not in ("exr", "npy", "npz"):
        raise InvalidInput(
            f"--resume cannot go on with coloured {ranged[0]}, whose colours mean the same in "
            "all frames of one render; say --format exr, npy or npz"
        )
    return target


def missing_frames(target: Target, sizes: Sizes) -> list[int]:
    """Numbers of the frames that are not there yet.

    Raises
    ------
    InvalidInput : as for `kept_frames`.
    OutputError : a frame that is there is no picture of its size and pixels, cut short, or without one
        of the outputs: it is of another render.
    """
    kept = kept_frames(target)
    missing = []
    for number, size in sizes.items():
        (path,) = frame_files(kept, number).all
        if not path.exists():
            missing.append(number)
            continue
        found, asked = found_pixels(path), _asked_pixels(kept, size)
        if found != asked:
            what = f"has {found}" if found else "is no picture"
            raise OutputError(
                f"{printable(str(path))} {what}, and the frame has {asked}: it is of another render; "
                "name another place, or remove it"
            )
    return missing


def _asked_pixels(kept: Target, size: tuple[int, int]) -> str:
    """What `found_pixels` says of a frame of this size."""
    if kept.kind == "exr":
        return pixels_in_words(*size, held=[c for name in kept.outputs for c in LAYERS[name]])
    if kept.kind == "npz":
        return pixels_in_words(*size, held=kept.outputs)
    if kept.kind != "png":
        return pixels_in_words(*size)
    return pixels_in_words(*size, bits=kept.options.png_bits, channels=_CHANNELS[kept.colours])


class ResumedFilm:
    """What `resumed_film` gives: takes the frames that are missing."""

    def __init__(self, film: FilmWriter, stills: StillWriter) -> None:
        self.written = film.written
        """The film, once it is whole."""
        self._film = film
        self._stills = stills

    def write(self, number: int, picture: RenderResult) -> None:
        """Keep a frame."""
        self._stills.write(number, picture)

    def notes(self) -> list[str]:
        """Those of the film."""
        return self._film.notes()


@contextlib.contextmanager
def resumed_film(
    target: Target,
    *,
    sizes: Sizes,
    missing: Sequence[int],
    background: ArrayLike | str = 1.0,
    overwrite: bool,
) -> Iterator[ResumedFilm]:
    """A writer of the `missing` frames of a film, which is made of all once the `with` has ended well.

    Raises
    ------
    InvalidInput, OutputError : as for `film.film_output` and `stills.still_output`.
    """
    kept = kept_frames(target)
    with film_output(target, sizes=list(sizes.values()), overwrite=overwrite) as film:
        with still_output(kept, numbers=missing, background=background, overwrite=False) as stills:
            yield ResumedFilm(film, stills)
        files = [frame_files(kept, number).all[0] for number in sizes]
        for path in files:
            film.append(_pixels(path))
    for path in files:
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # something else lies there
        kept.path.rmdir()


def _pixels(path: Path) -> NDArray[Any]:
    """A picture [H, W, 3] or [H, W, 4] of 8 or 16 bits, red first."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise OutputError(f"{printable(str(path))} cannot be read again; remove it")
    return np.ascontiguousarray(pixels[..., [2, 1, 0, 3][: pixels.shape[2]]])
