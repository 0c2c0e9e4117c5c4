"""Files that hold no cameras, and files made to do harm."""

from __future__ import annotations

import contextlib
import math
import os
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from camera_files import IDENTITY, write_json

from plenostream.cameras import document, load_cameras
from plenostream.errors import CameraError, InvalidInput


class TestViews:
    def test_of_the_recorded_cases_load_as_they_are(self, shared: Path) -> None:
        cameras = load_cameras(shared / "reference" / "26_camera" / "cameras.json")
        assert [(c.width, c.height) for c in cameras] == [(48, 32), (32, 40), (24, 24)]
        assert (cameras[0].fx, cameras[0].fy, cameras[0].cx, cameras[0].cy) == (55, 47, 22.3, 17.9)
        np.testing.assert_allclose(cameras[1].eye_world, [-0.4, -2.9, 0.3], atol=1e-6)


class TestBadFiles:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is not JSON"),
            ("{", "is not JSON"),
            ("[" * 100_000, "is not JSON"),
            ('{"frames": [' + "9" * 5000 + "]}", "is not JSON"),
            ("[]", "holds no JSON object, but a list"),
            ("{}", "neither `frames`"),
            ('{"frames": []}', "at least one"),
            ('{"frames": 5}', "at least one"),
            ('{"frames": [5]}', "frame 0 is no JSON object, but a number"),
            (
                '{"camera_angle_x": 4, "frames": [{"transform_matrix": [[1,0,0,0],[0,1,0,0],[0,0,1,0]]}]}',
                "0 to pi",
            ),
            (
                '{"frames": [{"transform_matrix": [[1,0,0,0],[0,1,0,0],[0,0,1,0]]}]}',
                "neither `fl_x` nor",
            ),
            ('{"views": [{"c2w": [[1,0,0,0],[0,1,0,0],[0,0,1,0]]}]}', "there is no `fx`"),
        ],
    )
    def test_that_hold_no_cameras_are_refused(
        self, tmp_path: Path, text: str, message: str
    ) -> None:
        path = tmp_path / "cameras.json"
        path.write_text(text)
        with pytest.raises(CameraError, match=message):
            load_cameras(path)

    def test_that_are_not_text_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "cameras.json"
        path.write_bytes(b"\xff\xfe\x00\x80" * 10)
        with pytest.raises(CameraError, match="is not JSON"):
            load_cameras(path)

    def test_that_are_not_there_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(CameraError, match="is not there"):
            load_cameras(tmp_path / "none.json")

    def test_that_are_pipes_are_refused_without_waiting(self, tmp_path: Path) -> None:
        for name in ("pipe", "poses_bounds.npy", "cameras.bin", "a.txt"):
            os.mkfifo(tmp_path / name)
            with pytest.raises(CameraError, match="is not a file"):
                load_cameras(tmp_path / name)

    def test_that_are_folders_of_something_else_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(CameraError, match="holds no cameras that are known"):
            load_cameras(tmp_path)

    def test_pictures_named_by_a_file_are_never_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.png")
        entry = {"file_path": "pipe", "transform_matrix": IDENTITY}
        path = write_json(tmp_path / "t.json", {"camera_angle_x": 1, "frames": [entry]})
        with pytest.raises(CameraError, match="'pipe' is no PNG or JPEG picture"):
            load_cameras(path)

    @pytest.mark.parametrize(
        "scale", [0, -1.0, math.nan, math.inf, "2/3", True, None, np.eye(3)], ids=str
    )
    def test_a_scale_that_means_nothing_is_refused(self, transforms: Path, scale: Any) -> None:
        with pytest.raises(InvalidInput, match="scene_scale"):
            load_cameras(transforms, scene_scale=scale)

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
    def test_in_any_encoding_of_unicode_are_read(self, transforms: Path, encoding: str) -> None:
        transforms.write_bytes(transforms.read_text().encode(encoding))
        assert len(load_cameras(transforms, size=(8, 8))) == 13

    @pytest.mark.parametrize(
        "text", ['{"k1": 1, "k1": 0, "frames": [{}]}', '{"frames": [{"w":1,"w":2}]}']
    )
    def test_that_say_one_thing_twice_are_refused(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "cameras.json"
        path.write_text(text)
        with pytest.raises(CameraError, match="twice"):
            load_cameras(path)

    @pytest.mark.parametrize(
        "piece",
        [
            "[],",
            "{},",
            '{"a":1},',
            "1.5,",
            '"ab",',
            "[[[[]]]],",
            '"\N{GRINNING FACE}",',
            '"\\ud83d\\ude00' + "a" * 400_000 + '",',
        ],
    )
    @pytest.mark.parametrize("n_bytes", [500_000, 3_000_000, 20_000_000])
    def test_take_no_more_memory_than_four_times_their_size_or_64_megabytes(
        self, tmp_path: Path, piece: str, n_bytes: int
    ) -> None:
        path = tmp_path / "cameras.json"
        path.write_text('{"frames": [' + (piece * (n_bytes // len(piece)))[:-1] + "]}")
        tracemalloc.start()
        try:
            with pytest.raises(CameraError):
                load_cameras(path)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak <= max(64e6, 4 * path.stat().st_size)

    @pytest.mark.parametrize("kind", ["npy", "rows", "words", "images.bin", "images.txt"])
    @pytest.mark.parametrize("n_views", [1_500, 15_000])
    def test_of_other_formats_take_no_more_memory_either(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, n_views: int
    ) -> None:
        monkeypatch.setattr(document, "MEMORY", 3_000_000)
        path = tmp_path / {"npy": "m.npy", "rows": "m.txt", "words": "m.txt"}.get(kind, kind)
        if kind == "npy":
            np.save(path, np.tile(np.eye(3, 4, dtype=np.float32), (n_views, 1, 1)))
        elif path.suffix == ".txt":
            (tmp_path / "cameras.txt").write_text("1 PINHOLE 8 6 9 9 4 3\n")
            line = {
                "rows": "1 0 0 0 0 1 0 0 0 0 1 0\n",
                "words": "1 " * 12,
                "images.txt": "5 1 0 0 0 0 0 3 1 a\n\n",
            }[kind]
            path.write_text(line * n_views)
        else:
            camera = struct.pack("<QIiQQ4d", 1, 1, 1, 8, 6, 9, 9, 4, 3)
            (tmp_path / "cameras.bin").write_bytes(camera)
            image = struct.pack("<I7dI", 5, 1, 0, 0, 0, 0, 0, 3, 1) + b"a\0" + bytes(8)
            path.write_bytes(struct.pack("<Q", n_views) + image * n_views)
        refused = n_views > 1_500 or kind == "words"
        tracemalloc.start()
        try:
            with pytest.raises(CameraError) if refused else contextlib.nullcontext():
                load_cameras(path, camera_axes="opencv-c2w" if path.stem == "m" else None)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak <= max(3e6, 4 * path.stat().st_size)

    @pytest.mark.parametrize("path", [5, None, b"a"], ids=str)
    def test_that_are_no_path_are_refused(self, path: Any) -> None:
        with pytest.raises(InvalidInput):
            load_cameras(path)

    def test_that_never_end_are_refused(self) -> None:
        with pytest.raises(CameraError, match="is not a file"):
            load_cameras("/dev/zero")
