"""Where pictures go: into which files, and which options go with those."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from written_frames import Frame, picture

from plenostream.errors import InvalidInput
from plenostream.export.stills import still_output
from plenostream.export.targets import choose_target, target_files
from plenostream.options import FileOptions


class TestTargets:
    @pytest.mark.parametrize(
        ("path", "n_frames", "kind", "folder"),
        [
            ("a.png", 1, "png", False),
            ("a.EXR", 1, "exr", False),
            ("a.npy", 1, "npy", False),
            ("a.jpeg", 1, "jpg", False),
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
            ("a.gif", ("rgb",), 1, r"ends in \.gif"),
            ("a.png", ("rgb",), 2, "2 frames do not go into one .png"),
            ("a.mp4", ("rgb", "depth"), 2, "a film holds rgb, with alpha where its codec can"),
            ("a.mp4", ("rgb", "alpha"), 2, "a film of h264 has no transparency; name a .mov"),
            ("a.png", ("rgb", "colour"), 1, "outputs is .'rgb', 'colour'"),
            ("a.png", ("rgb", "rgb"), 1, "each once"),
            ("a.png", (), 1, "outputs is ..;"),
        ],
    )
    def test_that_cannot_hold_the_frames_are_refused(
        self, path: str, outputs: tuple[str, ...], n_frames: int, message: str
    ) -> None:
        with pytest.raises(InvalidInput, match=message):
            choose_target(path, outputs=outputs, n_frames=n_frames)

    @pytest.mark.parametrize(
        ("path", "options", "message"),
        [
            ("a.png", {"quality": 50}, "--quality is for .jpg and .webp, and a.png is to hold png"),
            ("a.png", {"linear": True}, "--linear is for .exr"),
            ("a.jpg", {"png_bits": 16}, "--png-bits 16 is for .png"),
            ("a.png", {"format": "exr"}, "--format exr is for folders"),
            ("frames", {"crf": 20}, "--crf is for films, and a folder is to hold png"),
            ("a.png", {"video_codec": "hevc"}, "--video-codec is for films"),
            (
                "a.webm",
                {"video_codec": "prores"},
                r"a .webm film holds vp9, not prores; name a .mov",
            ),
            ("a.mp4", {"crf": 60}, "crf is 60; h264 takes 1 to 51"),
            ("a.mov", {"crf": 20}, "crf does not go with prores"),
        ],
    )
    def test_options_that_would_do_nothing_are_refused(
        self, path: str, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(InvalidInput, match=message):
            choose_target(path, outputs=("rgb",), n_frames=1, options=FileOptions(**options))

    def test_folders_have_frames_of_the_format_that_is_asked_for(
        self, tmp_path: Path, frame: Frame
    ) -> None:
        options = FileOptions(format="exr")
        target = choose_target(tmp_path, outputs=("rgb", "depth"), n_frames=2, options=options)
        assert [path.name for path in target_files(target, [3])] == ["frame_0003.exr"]

    def test_folders_have_files_named_by_frame_number(self, tmp_path: Path, frame: Frame) -> None:
        target = choose_target(tmp_path / "new" / "out", outputs=("rgb", "depth"), n_frames=2)
        with still_output(target, numbers=[3, 12], background=1.0, overwrite=False) as writer:
            writer.write(3, picture(frame))
            writer.write(12, picture(frame))
        assert sorted(p.name for p in (tmp_path / "new" / "out").iterdir()) == [
            "frame_0003.png", "frame_0003_depth.npy", "frame_0003_depth.png",
            "frame_0012.png", "frame_0012_depth.npy", "frame_0012_depth.png",
        ]  # fmt: skip
