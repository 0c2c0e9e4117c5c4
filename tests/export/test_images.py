"""Pictures and films: what is in the files, where they go, and that no half of one is ever left."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import av
import cv2
import numpy as np
import OpenEXR
import pytest
from numpy.typing import NDArray

from plenostream.errors import InvalidInput, OutputError
from plenostream.export.film import film_output
from plenostream.export.pixels import colour_8bit
from plenostream.export.stills import still_output
from plenostream.export.targets import Writer, choose_target
from plenostream.results import FrameStats, RenderResult

Frame = dict[str, NDArray[np.float32]]


def picture(frame: Frame) -> RenderResult:
    return RenderResult(**frame, stats=FrameStats())


@pytest.fixture
def frame() -> Frame:
    """A disc of colours before grey (0.25), opaque in the middle: rgb, alpha, depth of 24 x 32."""
    rows, columns = np.mgrid[-1:1:24j, -1:1:32j]
    alpha = np.clip(1.5 - 2 * np.hypot(rows, columns), 0, 1).astype(np.float32)
    colour = np.stack([rows + 1, columns + 1, np.ones_like(rows)], -1).astype(np.float32) / 2
    rgb = alpha[..., None] * colour + (1 - alpha[..., None]) * np.float32(0.25)
    depth = alpha * (2 + columns).astype(np.float32)
    return {"rgb": rgb, "alpha": alpha, "depth": depth}


@pytest.fixture
def full_disk() -> Iterator[Callable[[], None]]:
    """Call it: from then on no file grows beyond 20 kB, which fails as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def render_to(
    path: Path | str, frame: Frame, *outputs: str, overwrite: bool = False, background: float = 0.25
) -> list[str]:
    """Write one frame; the names of the files made."""
    target = choose_target(path, outputs=outputs, n_frames=1)
    with still_output(
        target, numbers=[0], background=background, overwrite=overwrite
    ) as writer:  # fmt: skip
        writer.write(0, picture(frame))
    return [path.name for path in writer.written]


def raising(error: BaseException) -> Callable[[], None]:
    def stop() -> None:
        raise error

    return stop


def write_one_and_then(
    happen: Callable[[], object], output: AbstractContextManager[Writer], frame: Frame
) -> None:
    with output as writer:
        writer.write(0, picture(frame))
        happen()


def read_png(path: Path) -> NDArray[np.uint8]:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    if pixels.ndim == 2:
        return pixels
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


class TestPng:
    def test_of_rgb_has_the_rounded_colours(self, tmp_path: Path, frame: Frame) -> None:
        assert render_to(tmp_path / "a.png", frame, "rgb") == ["a.png"]
        np.testing.assert_array_equal(read_png(tmp_path / "a.png"), colour_8bit(frame["rgb"]))

    def test_cuts_off_what_is_brighter_than_white(self) -> None:
        values = np.array([-0.1, 0.0, 0.5, 1.0, 1.7], np.float32)
        np.testing.assert_array_equal(colour_8bit(values), [0, 0, 128, 255, 255])

    @pytest.mark.parametrize("behind", [0.0, 0.25, 1.0])
    def test_of_rgba_laid_over_a_brightness_shows_what_would_be_seen_before_it(
        self, tmp_path: Path, frame: Frame, behind: float
    ) -> None:
        assert render_to(tmp_path / "a.png", frame, "alpha", "rgb") == ["a.png"]
        pixels = read_png(tmp_path / "a.png") / 255.0
        assert pixels.shape == (24, 32, 4)
        laid_over = pixels[..., :3] * pixels[..., 3:] + (1 - pixels[..., 3:]) * behind
        transparency = 1 - frame["alpha"][..., None]
        expected = frame["rgb"] + transparency * (behind - 0.25)
        np.testing.assert_allclose(laid_over, expected, atol=1.2 / 255)

    def test_of_alpha_is_grey(self, tmp_path: Path, frame: Frame) -> None:
        assert render_to(tmp_path / "a.png", frame, "alpha") == ["a.png"]
        np.testing.assert_array_equal(read_png(tmp_path / "a.png"), colour_8bit(frame["alpha"]))

    def test_of_depth_comes_with_its_values(self, tmp_path: Path, frame: Frame) -> None:
        assert render_to(tmp_path / "a.png", frame, "depth") == ["a.npy", "a.png"]
        np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), frame["depth"])
        assert read_png(tmp_path / "a.png").shape == (24, 32, 3)

    def test_beside_depth_keeps_the_name(self, tmp_path: Path, frame: Frame) -> None:
        names = render_to(tmp_path / "a.png", frame, "rgb", "alpha", "depth")
        assert names == ["a.png", "a_depth.npy", "a_depth.png"]


class TestFloatFiles:
    @pytest.mark.parametrize(
        ("outputs", "shape"),
        [(("rgb",), (24, 32, 3)), (("rgb", "alpha"), (24, 32, 4)), (("alpha",), (24, 32))],
        ids=["rgb", "rgba", "alpha"],
    )
    def test_npy_has_the_values_as_they_are(
        self, tmp_path: Path, frame: Frame, outputs: tuple[str, ...], shape: tuple[int, ...]
    ) -> None:
        frame["rgb"] *= 3  # brighter than white is right
        assert render_to(tmp_path / "a.npy", frame, *outputs) == ["a.npy"]
        values = np.load(tmp_path / "a.npy")
        assert values.shape == shape
        assert values.dtype == np.float32
        channels = [frame[name].reshape(24, 32, -1) for name in outputs]
        np.testing.assert_array_equal(values.reshape(24, 32, -1), np.concatenate(channels, -1))

    def test_npy_of_depth_has_a_picture_beside_it(self, tmp_path: Path, frame: Frame) -> None:
        assert render_to(tmp_path / "a.npy", frame, "depth") == ["a.npy", "a.png"]
        np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), frame["depth"])

    def test_exr_has_all_channels_as_float32(self, tmp_path: Path, frame: Frame) -> None:
        names = render_to(tmp_path / "a.exr", frame, "rgb", "alpha", "depth")
        assert names == ["a.exr", "a_depth.png"]
        file = OpenEXR.File(str(tmp_path / "a.exr"), separate_channels=True)
        channels = {name: channel.pixels for name, channel in file.channels().items()}
        expected = dict(zip("RGB", np.moveaxis(frame["rgb"], -1, 0), strict=True))
        expected |= {"A": frame["alpha"], "Z": frame["depth"]}
        assert set(channels) == set(expected)
        for name, values in expected.items():
            assert channels[name].dtype == np.float32
            np.testing.assert_array_equal(channels[name], values)


def test_depth_colours_mean_the_same_depth_in_all_frames(tmp_path: Path, frame: Frame) -> None:
    target = choose_target(tmp_path / "out", outputs=("depth",), n_frames=2)
    farther = {**frame, "depth": frame["depth"] + frame["alpha"]}
    with still_output(target, numbers=[0, 1], background=1.0, overwrite=False) as writer:
        writer.write(0, picture(frame))
        span = writer.depth_span
        writer.write(1, picture(farther))
    assert span is not None
    assert writer.depth_span == span


class TestTargets:
    @pytest.mark.parametrize(
        ("path", "n_frames", "kind", "folder"),
        [
            ("a.png", 1, "png", False),
            ("a.EXR", 1, "exr", False),
            ("a.npy", 1, "npy", False),
            ("a.mp4", 1, "mp4", False),
            ("a.mp4", 9, "mp4", False),
            ("frames", 1, "png", True),
            ("frames", 9, "png", True),
            ("frames.v2/", 9, "png", True),
        ],
    )
    def test_follow_the_ending(self, path: str, n_frames: int, kind: str, folder: bool) -> None:
        target = choose_target(path, outputs=("rgb",), n_frames=n_frames)
        assert (target.kind, target.folder) == (kind, folder)

    def test_that_are_there_as_folders_are_folders(self, tmp_path: Path) -> None:
        (tmp_path / "shot.01").mkdir()
        assert choose_target(tmp_path / "shot.01", outputs=("rgb",), n_frames=2).folder

    @pytest.mark.parametrize(
        ("path", "outputs", "n_frames", "message"),
        [
            ("a.jpg", ("rgb",), 1, r"ends in \.jpg"),
            ("a.png", ("rgb",), 2, "2 frames do not go into one .png"),
            ("a.mp4", ("rgb", "depth"), 2, "a film holds rgb only"),
            ("a.png", ("rgb", "shadow"), 1, "outputs is .'rgb', 'shadow'"),
            ("a.png", ("rgb", "rgb"), 1, "each once"),
            ("a.png", (), 1, "outputs is ..;"),
        ],
    )
    def test_that_cannot_hold_the_frames_are_refused(
        self, path: str, outputs: tuple[str, ...], n_frames: int, message: str
    ) -> None:
        with pytest.raises(InvalidInput, match=message):
            choose_target(path, outputs=outputs, n_frames=n_frames)

    def test_folders_have_files_named_by_frame_number(self, tmp_path: Path, frame: Frame) -> None:
        target = choose_target(tmp_path / "new" / "out", outputs=("rgb", "depth"), n_frames=2)
        with still_output(target, numbers=[3, 12], background=1.0, overwrite=False) as writer:
            writer.write(3, picture(frame))
            writer.write(12, picture(frame))
        assert sorted(p.name for p in (tmp_path / "new" / "out").iterdir()) == [
            "frame_0003.png", "frame_0003_depth.npy", "frame_0003_depth.png",
            "frame_0012.png", "frame_0012_depth.npy", "frame_0012_depth.png",
        ]  # fmt: skip


class TestExistingFiles:
    @pytest.mark.parametrize("present", ["a.png", "a_depth.npy", "a_depth.png"])
    def test_are_found_before_anything_is_written(
        self, tmp_path: Path, frame: Frame, present: str
    ) -> None:
        (tmp_path / present).write_text("mine")
        with pytest.raises(OutputError, match=f"{present} exists; .* --overwrite"):
            render_to(tmp_path / "a.png", frame, "rgb", "depth")
        assert [p.name for p in tmp_path.iterdir()] == [present]
        assert (tmp_path / present).read_text() == "mine"

    def test_are_replaced_when_asked_for(self, tmp_path: Path, frame: Frame) -> None:
        (tmp_path / "a.png").write_text("old")
        render_to(tmp_path / "a.png", frame, "rgb", overwrite=True)
        assert read_png(tmp_path / "a.png").shape == (24, 32, 3)

    def test_that_are_no_plain_files_are_never_replaced(self, tmp_path: Path, frame: Frame) -> None:
        os.mkfifo(tmp_path / "a.png")
        with pytest.raises(OutputError, match="not a plain file"):
            render_to(tmp_path / "a.png", frame, "rgb", overwrite=True)

    def test_that_appear_while_writing_are_kept(self, tmp_path: Path, frame: Frame) -> None:
        path = tmp_path / "a.mp4"
        output = film_output(
            choose_target(path, outputs=("rgb",), n_frames=1), sizes=[(32, 24)], fps=25,
            overwrite=False,
        )  # fmt: skip
        with pytest.raises(OutputError, match="exists"):
            write_one_and_then(lambda: path.write_text("theirs"), output, frame)
        assert path.read_text() == "theirs"
        assert list(tmp_path.iterdir()) == [path]


class TestFilm:
    @staticmethod
    def make(path: Path, frames: list[NDArray[np.float32]], *, fps: float = 25) -> None:
        target = choose_target(path, outputs=("rgb",), n_frames=len(frames))
        size = (frames[0].shape[1], frames[0].shape[0])
        nothing = np.zeros(frames[0].shape[:2], np.float32)
        with film_output(
            target, sizes=[size] * len(frames), fps=fps, overwrite=False
        ) as writer:  # fmt: skip
            for number, rgb in enumerate(frames):
                writer.write(number, picture({"rgb": rgb, "alpha": nothing, "depth": nothing}))
        assert writer.written == [path]

    def test_is_h264_that_browsers_play_with_its_index_in_front(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mp4"
        self.make(path, [np.full((32, 48, 3), v / 10, np.float32) for v in range(10)])
        with av.open(str(path)) as film:
            stream = film.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert stream.codec_context.pix_fmt == "yuv420p"
            assert (stream.width, stream.height, stream.average_rate) == (48, 32, 25)
            assert sum(1 for _ in film.decode(stream)) == 10
        content = path.read_bytes()
        assert content.index(b"moov") < content.index(b"mdat")

    @pytest.mark.parametrize("rgb", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (0.2, 0.4, 0.6)])
    def test_keeps_colours(self, tmp_path: Path, rgb: tuple[float, ...]) -> None:
        path = tmp_path / "a.mp4"
        self.make(path, [np.tile(np.float32(rgb), (32, 32, 1))] * 3)
        with av.open(str(path)) as film:
            shown = next(film.decode(video=0)).to_ndarray(format="rgb24")
        np.testing.assert_allclose(shown[16, 16] / 255, rgb, atol=3 / 255)

    @pytest.mark.parametrize(
        ("sizes", "message"),
        [
            ([(33, 32)], "33x32; try --size 32x32"),
            ([(1, 1)], "try --size 2x2"),
            ([(32, 32), (64, 32)], "frames of one size"),
        ],
        ids=["odd", "one pixel", "two sizes"],
    )
    def test_of_sizes_that_it_cannot_have_is_refused(
        self, tmp_path: Path, sizes: list[tuple[int, int]], message: str
    ) -> None:
        target = choose_target(tmp_path / "a.mp4", outputs=("rgb",), n_frames=2)
        with (
            pytest.raises(InvalidInput, match=message),
            film_output(target, sizes=sizes, fps=25, overwrite=False),
        ):
            pass

    @pytest.mark.parametrize("fps", [0, -1.0, float("nan"), 5000])
    def test_of_a_speed_that_means_nothing_is_refused(self, tmp_path: Path, fps: float) -> None:
        with pytest.raises(InvalidInput, match="fps is"):
            self.make(tmp_path / "a.mp4", [np.zeros((2, 2, 3), np.float32)], fps=fps)

    def test_at_a_fractional_speed_keeps_it(self, tmp_path: Path) -> None:
        self.make(tmp_path / "a.mp4", [np.zeros((16, 16, 3), np.float32)] * 4, fps=30000 / 1001)
        with av.open(str(tmp_path / "a.mp4")) as film:
            rate = film.streams.video[0].average_rate
        assert rate is not None
        assert (rate.numerator, rate.denominator) == (30000, 1001)


class TestInterruption:
    """What stays behind when the work stops half way."""

    @pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, InvalidInput])
    def test_of_a_film_leaves_nothing_and_passes_the_error_on(
        self, tmp_path: Path, frame: Frame, error: type[BaseException]
    ) -> None:
        target = choose_target(tmp_path / "new" / "a.mp4", outputs=("rgb",), n_frames=9)
        output = film_output(target, sizes=[(32, 24)], fps=25, overwrite=False)
        with pytest.raises(error, match="stop here"):
            write_one_and_then(raising(error("stop here")), output, frame)
        assert list(tmp_path.iterdir()) == []

    def test_of_a_film_keeps_the_one_that_was_to_be_replaced(
        self, tmp_path: Path, frame: Frame
    ) -> None:
        path = tmp_path / "a.mp4"
        path.write_text("old")
        target = choose_target(path, outputs=("rgb",), n_frames=9)
        output = film_output(target, sizes=[(32, 24)], fps=25, overwrite=True)
        with pytest.raises(KeyboardInterrupt):
            write_one_and_then(raising(KeyboardInterrupt()), output, frame)
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    def test_of_a_folder_keeps_finished_frames_only(self, tmp_path: Path, frame: Frame) -> None:
        target = choose_target(tmp_path / "out", outputs=("rgb",), n_frames=9)
        output = still_output(target, numbers=range(9), background=1, overwrite=False)
        with pytest.raises(KeyboardInterrupt):
            write_one_and_then(raising(KeyboardInterrupt()), output, frame)
        assert [p.name for p in (tmp_path / "out").iterdir()] == ["frame_0000.png"]

    def test_of_a_film_by_a_full_disk_is_an_output_error_and_leaves_nothing(
        self, tmp_path: Path, full_disk: Callable[[], None]
    ) -> None:
        noise = np.random.default_rng(1).random((256, 256, 3), np.float32)
        full_disk()
        with pytest.raises(OutputError, match="a.mp4 cannot be written: File too large"):
            TestFilm.make(tmp_path / "a.mp4", [noise] * 3)
        assert list(tmp_path.iterdir()) == []

    def test_before_the_first_frame_removes_the_folders_that_were_made(
        self, tmp_path: Path
    ) -> None:
        target = choose_target(tmp_path / "new" / "out", outputs=("rgb",), n_frames=9)
        with (
            pytest.raises(KeyboardInterrupt),
            still_output(target, numbers=range(9), background=1, overwrite=False),
        ):
            raise KeyboardInterrupt
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("ending", ["png", "npy", "exr"])
    def test_by_a_full_disk_is_an_output_error_and_leaves_nothing(
        self, tmp_path: Path, frame: Frame, ending: str, full_disk: Callable[[], None]
    ) -> None:
        frame["rgb"] = np.random.default_rng(1).random((200, 300, 3), np.float32)
        full_disk()
        with pytest.raises(OutputError, match=f"a.{ending} cannot be written"):
            render_to(tmp_path / f"a.{ending}", frame, "rgb")
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path, frame: Frame) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        render_to(tmp_path / "file" / "a.png", frame, "rgb")
