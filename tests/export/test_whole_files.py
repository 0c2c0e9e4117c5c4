"""What is there is never replaced unasked, and no half of a picture is left."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from written_frames import Frame, picture, read_png, render_to

from plenostream.errors import InvalidInput, OutputError
from plenostream.export.film import film_output
from plenostream.export.stills import still_output
from plenostream.export.targets import Writer, choose_target


@pytest.fixture
def full_disk() -> Iterator[Callable[[], None]]:
    """Call it: from then on no file grows beyond 20 kB, which fails as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


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
            choose_target(path, outputs=("rgb",), n_frames=1), sizes=[(32, 24)], overwrite=False
        )  # fmt: skip
        with pytest.raises(OutputError, match="exists"):
            write_one_and_then(lambda: path.write_text("theirs"), output, frame)
        assert path.read_text() == "theirs"
        assert list(tmp_path.iterdir()) == [path]


class TestInterruption:
    """What stays behind when the work stops half way."""

    @pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, InvalidInput])
    def test_of_a_film_leaves_nothing_and_passes_the_error_on(
        self, tmp_path: Path, frame: Frame, error: type[BaseException]
    ) -> None:
        target = choose_target(tmp_path / "new" / "a.mp4", outputs=("rgb",), n_frames=9)
        output = film_output(target, sizes=[(32, 24)], overwrite=False)
        with pytest.raises(error, match="stop here"):
            write_one_and_then(raising(error("stop here")), output, frame)
        assert list(tmp_path.iterdir()) == []

    def test_of_a_film_keeps_the_one_that_was_to_be_replaced(
        self, tmp_path: Path, frame: Frame
    ) -> None:
        path = tmp_path / "a.mp4"
        path.write_text("old")
        target = choose_target(path, outputs=("rgb",), n_frames=9)
        output = film_output(target, sizes=[(32, 24)], overwrite=True)
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
        self, tmp_path: Path, frame: Frame, full_disk: Callable[[], None]
    ) -> None:
        frame["rgb"] = np.random.default_rng(1).random((256, 256, 3), np.float32)
        target = choose_target(tmp_path / "a.mp4", outputs=("rgb",), n_frames=3)
        output = film_output(target, sizes=[(256, 256)], overwrite=False)
        full_disk()
        with pytest.raises(OutputError, match="a.mp4 cannot be written: File too large"):
            write_one_and_then(lambda: None, output, frame)
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
