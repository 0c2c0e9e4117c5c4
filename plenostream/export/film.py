"""Films, written frame by frame through FFmpeg: one way for all codecs of `film_codecs`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import ArrayLike, NDArray

from plenostream.errors import InvalidInput, OutputError
from plenostream.export.film_codecs import FilmCodec, film_codec
from plenostream.export.painting import Painter
from plenostream.export.targets import Target
from plenostream.files.atomic import AsideFile, atomic_file, made_folders, writing
from plenostream.results import RenderResult

__all__ = ["DEFAULT_FPS", "FilmWriter", "film_output"]

DEFAULT_FPS = 30.0
_BT709 = 1
"""Code of ITU-R BT.709 for primaries, transfer and matrix: without it players guess."""

_HANDED = {(8, 3): "rgb24", (8, 4): "rgba", (16, 3): "rgb48le", (16, 4): "rgba64le"}
"""FFmpeg's names of the frames that it is handed, by bits and channels."""

_LONGEST_REORDERING_S = 10_000
"""Seconds between decoding and showing a frame, at most: at the slowest speed, a hundred frames."""


@contextlib.contextmanager
def film_output(
    target: Target,
    *,
    sizes: Sequence[tuple[int, int]],
    background: ArrayLike | str = 1.0,
    overwrite: bool,
) -> Iterator[FilmWriter]:
    """A writer of frames into one film, which is at its place once the `with` has ended well.

    Where the codec wants even edges, an odd one gets a pixel more: the last row or column again.

    Parameters
    ----------
    target : a film
    sizes : width and height of the frames that will come; all one
    background : that of the render, which a transparent film leaves out; "none" too
    overwrite : replace a film that is there

    Raises
    ------
    InvalidInput : frames of different sizes, or of one that the codec does not take.
    OutputError : the film is there and may not be replaced; what the system says against writing.
    """
    codec = film_codec(target.kind, target.options.video_codec)
    size = _one_size(sizes)
    if min(size) < codec.least_edge:
        raise InvalidInput(
            f"{codec.name} takes {codec.least_edge} pixels an edge and more, these frames are "
            f"{size[0]}x{size[1]}; say --video-codec h264"
        )
    with (
        made_folders(target.place),
        atomic_file(target.path, overwrite=overwrite, what="film") as aside,
    ):
        container = _opened_container(target, aside)
        try:
            stream = _added_stream(container, target, codec, size)
            behind = 0.0 if isinstance(background, str) else background
            writer = FilmWriter(target, codec, aside, container, stream, background=behind)
            yield writer
            with _translated(target.path, aside):
                container.mux(_timed(stream.encode()))
                container.close()
        finally:
            # After an error, what more FFmpeg has to say hides why it is being closed.
            with contextlib.suppress(OSError, FFmpegError):
                container.close()
    writer.written.append(target.path)


class FilmWriter:
    """What `film_output` gives."""

    def __init__(
        self,
        target: Target,
        codec: FilmCodec,
        file: AsideFile,
        container: av.container.OutputContainer,
        stream: av.VideoStream,
        *,
        background: ArrayLike,
    ) -> None:
        self.written: list[Path] = []
        self._target, self._codec, self._file = target, codec, file
        self._container, self._stream = container, stream
        # The stream's own are gone with the container.
        self._size, self._pixels = (stream.width, stream.height), stream.pix_fmt
        self._painter = Painter(background=background, options=target.options)
        self._padded = False

    def write(self, number: int, picture: RenderResult) -> None:
        """Append the colours of a frame, with alpha where the film is transparent."""
        self.append(self._painter.colours(picture, self._target.outputs, self._codec.bits))

    def append(self, pixels: NDArray[Any]) -> None:
        """Append a frame [H, W, 3] or [H, W, 4] of the codec's bits, red first, straight alpha."""
        form = _HANDED[self._codec.bits, pixels.shape[2]]
        frame = av.VideoFrame.from_ndarray(self._even(pixels), format=form).reformat(
            format=self._pixels,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        with _translated(self._target.path, self._file):
            self._container.mux(_timed(self._stream.encode(frame)))

    def notes(self) -> list[str]:
        """What was done to odd sizes, and how alpha is meant."""
        lines = []
        if self._padded:
            size = "{}x{}".format(*self._size)
            lines.append(f"film: {size}, the last row or column twice, since {self._codec.name} "
                         "takes even sizes")  # fmt: skip
        if "alpha" in self._target.outputs:
            lines.append("film: transparent, colours not multiplied by alpha (straight)")
        return lines

    def _even(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """A frame of the film's size."""
        height, width = pixels.shape[:2]
        more = ((0, self._size[1] - height), (0, self._size[0] - width), (0, 0))
        self._padded = any(after for _, after in more)
        return np.ascontiguousarray(np.pad(pixels, more, mode="edge") if self._padded else pixels)


def _opened_container(target: Target, aside: AsideFile) -> av.container.OutputContainer:
    if target.kind == "webm":
        with _translated(target.path, aside):
            return av.open(aside, "w", format="webm")
    with _translated(target.path, aside):
        # The index goes to the front, so that a browser starts before it has everything.
        # FFmpeg opens what it wrote once more for that, which is why it is told how.
        return av.open(
            aside,
            "w",
            format=target.kind,
            options={"movflags": "+faststart"},
            io_open=lambda *_: open(aside.name, "rb"),
        )


def _added_stream(
    container: av.container.OutputContainer, target: Target, codec: FilmCodec, size: tuple[int, int]
) -> av.VideoStream:
    crf = codec.checked_crf(target.options.crf)
    settings = dict(codec.settings) | ({} if crf is None else {"crf": str(crf)})
    rate = Fraction(target.options.fps or DEFAULT_FPS).limit_denominator(1001)
    stream = container.add_stream(codec.encoder, rate=rate, options=settings)
    assert isinstance(stream, av.VideoStream)
    stream.width, stream.height = (edge + edge % 2 if codec.even else edge for edge in size)
    transparent = "alpha" in target.outputs and codec.transparent_pixels is not None
    stream.pix_fmt = codec.transparent_pixels if transparent else codec.pixels
    context = stream.codec_context
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    context.color_range = ColorRange.MPEG
    if codec.tag is not None:
        context.codec_tag = codec.tag
    return stream


def _timed(packets: Iterable[av.Packet[Any]]) -> list[av.Packet[Any]]:
    """Packets with a time of decoding: x265 leaves in it what was in memory for films of one or two
    frames, which are decoded as they are shown."""
    told = []
    for packet in packets:
        if packet.pts is not None and packet.time_base is not None:
            early = None if packet.dts is None else (packet.pts - packet.dts) * packet.time_base
            if early is None or not 0 <= early <= _LONGEST_REORDERING_S:
                packet.dts = packet.pts
        told.append(packet)
    return told


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


def _one_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    distinct = sorted(set(sizes))
    if len(distinct) > 1:
        text = ", ".join(f"{width}x{height}" for width, height in distinct[:3])
        raise InvalidInput(
            f"a film has frames of one size, these have {len(distinct)} ({text}, ...); give all "
            "of them one with --size"
        )
    return distinct[0]
