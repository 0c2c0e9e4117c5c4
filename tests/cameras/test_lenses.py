"""Lenses: every key is known to be harmless, proves a pinhole, or is refused by its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from camera_files import IDENTITY

from plenostream.cameras import Camera, load_cameras
from plenostream.errors import CameraError


def load(folder: Path, *, frame: dict[str, Any] | None = None, **top: Any) -> Camera:
    entry = {"file_path": "a", "transform_matrix": IDENTITY, **(frame or {})}
    document = {"fl_x": 50.0, "w": 40, "h": 20, **top, "frames": [entry]}
    path = folder / "transforms.json"
    path.write_text(json.dumps(document))
    return load_cameras(path)[0]


@pytest.mark.parametrize("place", ["file", "frame"])
class TestKeysOfLenses:
    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("k1", 0.05), ("k6", -1e-9), ("p1", 1e-3), ("k1", "0"), ("k1", False), ("k1", {}),
            ("distortion_params", [0.3, 0.1, 0, 0]), ("distortion_params", [0, "0"]),
            ("distortion_params", [[0]]), ("omega", 0.9), ("rolling_shutter", [0, 0, 1]),
            ("is_fisheye", True), ("is_fisheye", "true"), ("is_fisheye", "false"),
            ("is_fisheye", 1), ("latlong", 1), ("equirectangular", True), ("orthographic", [0]),
            ("from_mitsuba", True),
            ("camera_model", "OPENCV_FISHEYE"), ("camera_model", "EQUIRECTANGULAR"),
            ("camera_model", "SIMPLE_RADIAL"), ("camera_model", 1), ("camera_model", {"k1": 0}),
            ("camera_type", "fisheye"), ("camera_type", "omnidirectional"),
            ("ftheta_p0", 0.1), ("ftheta_p0", 0), ("fisheye_crop_radius", 100),
            ("ndc_coeffs", [1, 1]), ("transform_matrix_start", IDENTITY), ("lens", {"k1": 0.1}),
            ("fov", 40), ("a key that nobody has thought of", 0), ("K1", 0.1), ("", 1),
        ],
        ids=str,
    )  # fmt: skip
    def test_that_say_it_is_no_pinhole_or_are_not_known_are_refused_by_name(
        self, tmp_path: Path, place: str, key: str, value: object
    ) -> None:
        with pytest.raises(CameraError) as caught:
            load(tmp_path, **({key: value} if place == "file" else {"frame": {key: value}}))
        assert key in str(caught.value)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("k1", 0), ("k1", None), ("p2", 0.0), ("distortion_params", [0, 0.0]),
            ("distortion_params", []), ("rolling_shutter", [0, 0, 0, 0]),
            ("is_fisheye", False), ("latlong", None), ("equirectangular", 0),
            ("orthographic", None), ("camera_model", "OPENCV"), ("camera_model", "perspective"),
            ("camera_model", "PINHOLE"), ("camera_type", "perspective"), ("camera_model", None),
            ("ftheta_p0", None), ("a key that nobody has thought of", None),
        ],
        ids=str,
    )  # fmt: skip
    def test_whose_value_proves_a_pinhole_pass(
        self, tmp_path: Path, place: str, key: str, value: object
    ) -> None:
        changes: dict[str, Any] = {key: value} if place == "file" else {"frame": {key: value}}
        assert load(tmp_path, **changes).fx == 50

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("aabb_scale", 16), ("applied_transform", IDENTITY), ("sharpness", float("nan")),
            ("colmap_im_id", 3), ("ply_file_path", "sparse.ply"), ("time", 0.5),
            ("rotation", 0.01), ("up", [0, 0, 1]), ("from_na", True), ("n_extra_learnable_dims", 8),
        ],
        ids=str,
    )  # fmt: skip
    def test_known_to_say_nothing_about_it_pass(
        self, tmp_path: Path, place: str, key: str, value: object
    ) -> None:
        changes: dict[str, Any] = {key: value} if place == "file" else {"frame": {key: value}}
        assert load(tmp_path, **changes).fx == 50


def test_the_frame_of_a_refused_key_is_named_and_control_characters_are_escaped(
    tmp_path: Path,
) -> None:
    with pytest.raises(CameraError) as caught:
        load(tmp_path, frame={"file_path": "a\x1b[31m", "\x07": "\n\x1b"})
    assert "frame 0" in str(caught.value)
    assert str(caught.value).isprintable()
