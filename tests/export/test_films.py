"""Films: what is in them is what was drawn, for every codec, and sizes and options that they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from plenostream.errors import InvalidInput
from plenostream.export.film import FilmWriter, film_output
from plenostream.export.targets import choose_target
from plenostream.options import FileOptions
from plenostream.results import FrameStats, RenderResult

Pixels = NDArray[np.float32]

CODECS = {
    # name: ending, options, transparent, codec as FFmpeg names it, largest mean difference of 255
    "h264": (".mp4", {}, False, "h264", 3),
    "hevc": (".mp4", {"video_codec": "hevc"}, False, "hevc", 3),
    "hevc in mov": (".mov", {"video_codec": "hevc"}, False, "hevc", 3),
    "prores": (".mov", {}, False, "prores", 1),
    "transparent prores": (".mov", {}, True, "prores", 1),
    "vp9": (".webm", {}, False, "vp9", 3),
    "transparent vp9": (".webm", {}, True, "vp9", 3),
}


def frames_of(width: int, height: int, n_frames: int = 4) -> list[RenderResult]:
    """A soft disc of colours that moves, before grey (0.25)."""
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    drawn = []
    for number in range(n_frames):
        alpha = np.clip(1.5 - 1.5 * np.hypot(rows, columns - 0.2 * number), 0, 1)
        colour = np.stack([0.5 + rows / 2, 0.5 + columns / 2, np.full_like(rows, 0.4)], -1)
        rgb = alpha[..., None] * colour + (1 - alpha[..., None]) * 0.25
        drawn.append(
            RenderResult(
                rgb=rgb.astype(np.float32),
                alpha=alpha.astype(np.float32),
                depth=np.zeros((height, width), np.float32),
                stats=FrameStats(),
            )
        )
    return drawn


def make(
    path: Path, drawn: Sequence[RenderResult], *, transparent: bool = False, **options: Any
) -> FilmWriter:
    outputs = ("rgb", "alpha") if transparent else ("rgb",)
    made = FileOptions(**options)
    target = choose_target(path, outputs=outputs, n_frames=len(drawn), options=made)
    height, width = drawn[0].alpha.shape
    with film_output(
        target, sizes=[(width, height)] * len(drawn), background=0.25, overwrite=False
    ) as writer:
        for number, picture in enumerate(drawn):
            writer.write(number, picture)
    assert writer.written == [path]
    return writer


@dataclass
class Film:
    """What a file holds: a stream of a container that is closed must not be asked."""

    codec: str
    tag: str
    form: str
    size: tuple[int, int]
    rate: Fraction | None
    metadata: dict[str, str]
    frames: list[Pixels]
    """[H, W, 3 or 4], 0 to 1, straight alpha."""


def read(path: Path, *, transparent: bool = False) -> Film:
    form = "rgba" if transparent else "rgb24"
    with av.open(str(path)) as opened:
        stream = opened.streams.video[0]
        context = stream.codec_context
        # FFmpeg's own decoder of VP9 drops alpha.
        decoder = av.CodecContext.create("libvpx-vp9", "r") if path.suffix == ".webm" else context
        decoded = [frame for packet in opened.demux(stream) for frame in decoder.decode(packet)]
        return Film(
            codec=context.name,
            tag=context.codec_tag,
            form=str(context.pix_fmt),
            size=(stream.width, stream.height),
            rate=stream.average_rate,
            metadata=dict(stream.metadata),
            frames=[np.float32(f.to_ndarray(format=form)) / np.float32(255) for f in decoded],
        )


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("size", [(80, 64), (79, 65)], ids=["even", "odd"])
def test_film_shows_what_was_drawn(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    ending, options, transparent, codec, most = CODECS[name]
    path, (width, height) = tmp_path / f"a{ending}", size
    drawn = frames_of(*size)
    writer = make(path, drawn, transparent=transparent, **options)
    film = read(path, transparent=transparent)
    assert (film.codec, film.rate, len(film.frames)) == (codec, 30, len(drawn))
    padded = codec in ("h264", "hevc") and size == (79, 65)
    assert film.size == ((80, 66) if padded else size)
    assert any("80x66, the last row or column twice" in line for line in writer.notes()) == padded
    for picture, pixels in zip(drawn, film.frames, strict=True):
        part = pixels[:height, :width]
        rgb, opacity = part[..., :3], part[..., 3:] if transparent else np.float32(1)
        laid_over = rgb * opacity + (1 - opacity) * np.float32(0.25)
        assert np.abs(laid_over - picture.rgb).mean() * 255 < most
        if transparent:
            assert np.abs(part[..., 3] - picture.alpha).mean() * 255 < most


def test_film_is_read_by_opencv_too(tmp_path: Path) -> None:
    drawn = frames_of(80, 64)
    for name in ("h264", "hevc"):
        make(tmp_path / f"{name}.mp4", drawn, video_codec=name)
        film = cv2.VideoCapture(str(tmp_path / f"{name}.mp4"))
        found, pixels = film.read()
        assert found
        assert film.get(cv2.CAP_PROP_FPS) == 30
        assert np.abs(pixels[..., ::-1] / 255 - drawn[0].rgb).mean() < 2 / 255


def test_h264_is_what_browsers_play_with_its_index_in_front(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    make(path, frames_of(48, 32))
    assert read(path).form == "yuv420p"
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_hevc_has_the_tag_that_apple_knows_and_says_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "a.mp4", frames_of(80, 64), video_codec="hevc")
    assert read(tmp_path / "a.mp4").tag == "hvc1"
    assert capfd.readouterr() == ("", "")


def test_vp9_with_alpha_says_so_in_its_header(tmp_path: Path) -> None:
    make(tmp_path / "a.webm", frames_of(48, 32), transparent=True)
    assert read(tmp_path / "a.webm").metadata["alpha_mode"] == "1"


@pytest.mark.parametrize("rgb", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (0.2, 0.4, 0.6)])
def test_h264_keeps_colours(tmp_path: Path, rgb: tuple[float, ...]) -> None:
    plane = np.zeros((32, 32), np.float32)
    plain = np.tile(np.float32(rgb), (32, 32, 1))
    make(
        tmp_path / "a.mp4", [RenderResult(rgb=plain, alpha=plane, depth=plane, stats=FrameStats())]
    )
    shown = read(tmp_path / "a.mp4").frames[0]
    np.testing.assert_allclose(shown[16, 16], rgb, atol=3 / 255)


@pytest.mark.parametrize(
    ("ending", "options"),
    [(".mp4", {}), (".mp4", {"video_codec": "hevc"}), (".webm", {})],
    ids=["h264", "hevc", "vp9"],
)
def test_lower_crf_is_larger_and_better(
    tmp_path: Path, ending: str, options: dict[str, Any]
) -> None:
    noise = np.random.default_rng(3).random((64, 80, 3), np.float32)
    plane = np.zeros((64, 80), np.float32)
    drawn = [RenderResult(rgb=noise, alpha=plane, depth=plane, stats=FrameStats())] * 2
    sizes, errors = [], []
    for crf in (5, 45):
        path = tmp_path / f"{crf}{ending}"
        make(path, drawn, crf=crf, **options)
        sizes.append(path.stat().st_size)
        errors.append(float(np.abs(read(path).frames[0] - noise).mean()))
    assert sizes[0] > 1.5 * sizes[1]
    assert errors[0] < errors[1]


def test_film_at_a_fractional_speed_keeps_it(tmp_path: Path) -> None:
    make(tmp_path / "a.mp4", frames_of(16, 16), fps=30000 / 1001)
    rate = read(tmp_path / "a.mp4").rate
    assert rate is not None
    assert (rate.numerator, rate.denominator) == (30000, 1001)


@pytest.mark.parametrize("fps", [0, -1.0, float("nan"), 5000])
def test_speed_that_means_nothing_is_refused(fps: float) -> None:
    with pytest.raises(InvalidInput, match="fps is"):
        FileOptions(fps=fps)


def test_film_of_one_pixel_is_padded(tmp_path: Path) -> None:
    make(tmp_path / "a.mp4", frames_of(1, 1))
    assert read(tmp_path / "a.mp4").frames[0].shape == (2, 2, 3)


def test_frames_that_are_too_small_for_a_codec_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="hevc takes 64 pixels an edge and more"):
        make(tmp_path / "a.mp4", frames_of(64, 48), video_codec="hevc")


def test_frames_of_two_sizes_are_refused(tmp_path: Path) -> None:
    target = choose_target(tmp_path / "a.mp4", outputs=("rgb",), n_frames=2)
    with (
        pytest.raises(InvalidInput, match="frames of one size, these have 2"),
        film_output(target, sizes=[(32, 32), (64, 32)], overwrite=False),
    ):
        pass
