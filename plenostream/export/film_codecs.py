"""Codecs of films: which file holds which, what each takes, and how good it is unless told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plenostream.errors import InvalidInput

__all__ = ["FILM_ENDINGS", "FilmCodec", "film_codec"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmCodec:
    """A codec of films, as FFmpeg has it."""

    name: str
    """As in `options.VideoCodec`."""
    encoder: str
    """FFmpeg's name of the encoder."""
    pixels: str
    """FFmpeg's name of the form of pixels that are stored."""
    transparent_pixels: str | None = None
    """The same with alpha; None: it has none."""
    bits: int = 8
    """Of a channel that frames are handed over with."""
    even: bool = False
    """Width and height must be even, since colour is stored for squares of two pixels."""
    least_edge: int = 1
    """Pixels of width and height from which on frames are taken."""
    crf: int | None = None
    """Constant quality unless told; None: it has no such number."""
    most_crf: int = 51
    tag: str | None = None
    """Name of the codec in the file, where players want another one than FFmpeg's."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """FFmpeg's options of the encoder."""

    def checked_crf(self, asked: int | None) -> int | None:
        """The constant quality that is used. Raises InvalidInput for one that the codec lacks."""
        if asked is None:
            return self.crf
        if self.crf is None:
            raise InvalidInput(f"crf does not go with {self.name}, whose quality is fixed")
        if asked > self.most_crf:
            raise InvalidInput(f"crf is {asked}; {self.name} takes 1 to {self.most_crf}")
        return asked


_H264 = FilmCodec(
    name="h264",
    encoder="libx264",
    pixels="yuv420p",
    even=True,
    crf=16,  # hardly to be told from the frames themselves; 23 is x264's default
    settings={"preset": "medium"},
)
_HEVC = FilmCodec(
    name="hevc",
    encoder="libx265",
    pixels="yuv420p",
    even=True,
    least_edge=64,  # x265 4.1 writes beyond its memory at 48x32, and does not take a few pixels
    crf=18,
    tag="hvc1",  # Apple's players know no other
    # Else x265 writes to standard error, which is ours.
    settings={"preset": "fast", "x265-params": "log-level=none"},
)
_PRORES = FilmCodec(
    name="prores",
    encoder="prores_ks",
    pixels="yuv444p10le",
    transparent_pixels="yuva444p10le",
    bits=16,
    settings={"profile": "4444", "vendor": "apl0", "alpha_bits": "16"},
)
_VP9 = FilmCodec(
    name="vp9",
    encoder="libvpx-vp9",
    pixels="yuv420p",
    transparent_pixels="yuva420p",
    crf=24,
    most_crf=63,
    # Without a bit rate of 0, crf is only a bound.
    settings={"b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
)
_HELD: dict[str, tuple[FilmCodec, ...]] = {
    "mp4": (_H264, _HEVC),
    "mov": (_PRORES, _H264, _HEVC),
    "webm": (_VP9,),
}
"""Codecs by the kind of file, the one that is taken unless told first."""
FILM_ENDINGS = tuple(f".{kind}" for kind in _HELD)


def film_codec(kind: str, asked: str | None) -> FilmCodec:
    """The codec of a film of that kind.

    Raises
    ------
    InvalidInput : such a file does not hold the codec that is asked for.
    """
    held = _HELD[kind]
    for codec in held:
        if asked in (None, codec.name):
            return codec
    others = [f".{kind}" for kind, codecs in _HELD.items() if asked in [c.name for c in codecs]]
    raise InvalidInput(
        f"a .{kind} film holds {' or '.join(codec.name for codec in held)}, not {asked}; name a "
        f"{' or '.join(others)}"
    )
