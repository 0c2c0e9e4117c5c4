"""Films: H.264 in an MP4 that browsers play, written frame by frame."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from plenostream.errors import InvalidInput, OutputError
from plenostream.export.pixels import colour_8bit
from plenostream.export.targets import Target
from plenostream.files.atomic import AsideFile, atomic_file, made_folders, writing
from plenostream.options import FPS
from plenostream.results import RenderResult

__all__ = ["FilmWriter", "film_output"]

_QUALITY = {"crf": "16", "preset": "medium"}
"""Hardly to be told from the frames themselves; 23 is x264's default."""

_BT709 = 1
"""Code of ITU-R BT.709 for primaries, transfer and matrix: without it players guess."""


@contextlib.contextmanager
def film_output(
    target: Target, *, sizes: Sequence[tuple[int, int]], fps: float, overwrite: bool
) -> Iterator[FilmWriter]:
    """A writer of frames into one film, which is at its place once the `with` has ended well.

    Parameters
    ----------
    target : of kind mp4
    sizes : width and height of the frames that will come; all one, and even
    fps : frames per second of the film
    overwrite : replace a film that is there

    Raises
    ------
    InvalidInput : frames of odd or different sizes, frames per second that mean nothing.
    OutputError : the film is there and may not be replaced; what the system says against writing.
    """
    fps = FPS.check("fps", fps)
    width, height = _one_even_size(sizes)
    path = target.path
    with (
        made_folders(target.place),
        atomic_file(path, overwrite=overwrite, what="film") as aside,
    ):
        with _translated(path, aside):
            # The index goes to the front, so that a browser starts before it has everything.
            # FFmpeg opens what it wrote once more for that, which is why it is told how.
            container = av.open(
                aside,
                "w",
                format="mp4",
                options={"movflags": "+faststart"},
                io_open=lambda *_: open(aside.name, "rb"),
            )
        try:
            rate = Fraction(fps).limit_denominator(1001)
            stream = container.add_stream("libx264", rate=rate, options=_QUALITY)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            context = stream.codec_context
            context.color_primaries = context.color_trc = context.colorspace = _BT709
            context.color_range = ColorRange.MPEG
            writer = FilmWriter(path, aside, container, stream)
            yield writer
            with _translated(path, aside):
                container.mux(stream.encode())
                container.close()
        finally:
            # After an error, what more FFmpeg has to say hides why it is being closed.
            with contextlib.suppress(OSError, FFmpegError):
                container.close()
    writer.written.append(path)


class FilmWriter:
    """What `film_output` gives."""

    def __init__(
        self,
        path: Path,
        file: AsideFile,
        container: av.container.OutputContainer,
        stream: av.VideoStream,
    ) -> None:
        self.written: list[Path] = []
        self._path, self._file = path, file
        self._container, self._stream = container, stream

    def write(self, number: int, picture: RenderResult) -> None:
        """Append the colours of a frame; alpha and depth have no place in a film."""
        self.append(colour_8bit(picture.rgb))

    def append(self, pixels: NDArray[np.uint8]) -> None:
        """Append a frame [H, W, 3], red first."""
        colours = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame = colours.reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        with _translated(self._path, self._file):
            self._container.mux(self._stream.encode(frame))

    def notes(self) -> list[str]:
        """Nothing."""
        return []


@contextlib.contextmanager
def _translated(path: Path, file: AsideFile) -> Iterator[None]:
    """`writing`, for what FFmpeg says too, which is often less than the file knows."""
    try:
        with writing(path):
            yield
    except FFmpegError as error:
        with writing(path):
            file.settle()
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


def _one_even_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    distinct = sorted(set(sizes))
    if len(distinct) > 1:
        text = ", ".join(f"{width}x{height}" for width, height in distinct[:3])
        raise InvalidInput(
            f"a film has frames of one size, these have {len(distinct)} ({text}, ...); give all "
            "of them one with --size"
        )
    width, height = distinct[0]
    if width % 2 or height % 2:
        # H.264 as browsers play it stores colour for squares of two pixels.
        raise InvalidInput(
            f"a film needs an even width and height, these are {width}x{height}; "
            f"try --size {max(2, width - width % 2)}x{max(2, height - height % 2)}"
        )
    return width, height
