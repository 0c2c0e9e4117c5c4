"""Keys of lenses: each says which lens it is, is known to be harmless, or is refused by name."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from camera_files import IDENTITY, write_json

from plenostream.cameras import Camera, load_cameras
from plenostream.cameras.lenses import (
    Equirectangular,
    Fisheye,
    FTheta,
    Lens,
    Orthographic,
    Pinhole,
    RadialTangential,
)
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
            ("k4", -1e-9), ("k7", 0.1), ("p3", 1e-3), ("k1", "0"), ("k1", False), ("k1", {}),
            ("distortion_params", [0.3, 0.1, 0, 0]), ("distortion_params", [0, "0"]),
            ("distortion_params", [[0]]),
            ("distortion_coefficients", [0.1] * 3), ("distortion", [0.1] * 5),
            ("omega", 0.9), ("rolling_shutter", [0, 0, 1]),
            ("is_fisheye", "true"), ("is_fisheye", "false"), ("latlong", 2), ("orthographic", [0]),
            ("from_mitsuba", True), ("enable_ray_loading", True),
            ("camera_model", "THIN_PRISM_FISHEYE"), ("camera_model", "FOV"), ("camera_model", 1),
            ("camera_model", {"k1": 0}), ("camera_type", "omnidirectional"),
            ("ftheta_p0", "0"), ("ftheta_p5", 1), ("fisheye_crop_radius", 100),
            ("ndc_coeffs", [1, 1]), ("transform_matrix_start", IDENTITY), ("lens", {"k1": 0.1}),
            ("fov", 40), ("a key that nobody has thought of", 0), ("K1", 0.1), ("", 1),
        ],
        ids=str,
    )  # fmt: skip
    def test_of_lenses_that_are_not_read_or_not_known_are_refused_by_name(
        self, tmp_path: Path, place: str, key: str, value: object
    ) -> None:
        with pytest.raises(CameraError) as caught:
            load(tmp_path, **({key: value} if place == "file" else {"frame": {key: value}}))
        assert key in str(caught.value)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("k1", 0), ("k1", None), ("k4", 0), ("k8", 0), ("p2", 0.0), ("distortion_params", [0, 0.0]),
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
        camera = load(tmp_path, **changes)
        assert (camera.fx, camera.lens) == (50, Pinhole())

    @pytest.mark.parametrize(
        ("keys", "lens"),
        [
            ({"k1": 0.1, "p2": 0.2}, RadialTangential(k=(0.1, 0, 0, 0, 0, 0), p=(0, 0.2))),
            ({"camera_model": "OPENCV", "k3": 0.1}, RadialTangential(k=(0, 0, 0.1, 0, 0, 0))),
            (
                {"camera_model": "FULL_OPENCV", "k1": 1, "k4": 4},
                RadialTangential(k=(1, 0, 0, 4, 0, 0)),
            ),
            ({"k6": 6}, RadialTangential(k=(0, 0, 0, 0, 0, 6))),
            (
                {"distortion_params": [0.3, 0.1, 0, 0, 0, 5]},
                RadialTangential(k=(0.3, 0.1, 0, 0, 0, 0), p=(0, 5)),
            ),
            (
                {"distortion_coefficients": [1, 2, 3, 4, 5]},
                RadialTangential(k=(1, 2, 5, 0, 0, 0), p=(3, 4)),
            ),
            ({"is_fisheye": True, "k4": 0.4}, Fisheye(k=(0, 0, 0, 0.4))),
            ({"camera_model": "OPENCV_FISHEYE"}, Fisheye()),
            ({"camera_model": "OPENCV", "is_fisheye": True, "k1": 1}, Fisheye(k=(1, 0, 0, 0))),
            (
                {"camera_type": "fisheye", "distortion_params": [1, 2, 3, 4]},
                Fisheye(k=(1, 2, 3, 4)),
            ),
        ],
        ids=str,
    )
    def test_of_distortion_are_read(
        self, tmp_path: Path, place: str, keys: dict[str, Any], lens: Lens
    ) -> None:
        camera = load(tmp_path, **(keys if place == "file" else {"frame": keys}))
        assert camera.lens == lens
        assert (camera.fx, camera.fy, camera.cx, camera.cy) == (50, 50, 20, 10)

    @pytest.mark.parametrize(
        ("keys", "named"),
        [
            ({"is_fisheye": True, "latlong": True}, "latlong"),
            ({"ftheta_p0": 0, "orthographic": True}, "ftheta_p0"),
            ({"camera_model": "PINHOLE", "k1": 0.1}, "k1"),
            ({"distortion_params": [0.1] * 6}, "k4"),
            ({"is_fisheye": True, "p1": 0.1}, "p1"),
            ({"latlong": True, "k1": 0.1}, "k1"),
            ({"k1": 0.1, "distortion_params": [0.1, 0, 0, 0, 0, 0]}, "distortion_params"),
        ],
        ids=str,
    )
    def test_that_contradict_each_other_are_refused(
        self, tmp_path: Path, place: str, keys: dict[str, Any], named: str
    ) -> None:
        with pytest.raises(CameraError, match=named):
            load(tmp_path, **(keys if place == "file" else {"frame": keys}))

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


def test_panorama_of_instant_ngp_is_whole_whatever_the_focal_length(tmp_path: Path) -> None:
    camera = load(tmp_path, latlong=True, cx=3)
    assert camera.lens == Equirectangular()
    found = (camera.fx, camera.fy, camera.cx, camera.cy)
    assert found == (40 / (2 * math.pi), 20 / math.pi, 20, 10)


def test_panorama_of_nerfstudio_has_pixels_per_half_turn(tmp_path: Path) -> None:
    camera = load(tmp_path, camera_model="EQUIRECTANGULAR", fl_x=20, fl_y=30, cx=3)
    found = (camera.fx, camera.fy, camera.cx, camera.cy)
    assert found == (20 / math.pi, 30 / math.pi, 3, 10)


def test_polynomial_of_f_theta_is_one_of_pixels(tmp_path: Path) -> None:
    camera = load(tmp_path, ftheta_p1=0.02, ftheta_p4=1e-9)
    assert camera.lens == FTheta(p=(0, 0.02, 0, 0, 1e-9))
    assert (camera.fx, camera.fy, camera.cx) == (1, 1, 20)


def test_orthographic_camera_has_pixels_per_unit_of_the_file(tmp_path: Path) -> None:
    camera = load(tmp_path, orthographic=True, scene_scale=2)
    assert camera.lens == Orthographic()
    assert camera.fx == 25
    path = write_json(
        tmp_path / "no_focal.json",
        {
            "orthographic": True, "camera_angle_x": 0.7, "w": 4, "h": 4,
            "frames": [{"transform_matrix": IDENTITY}],
        },
    )  # fmt: skip
    with pytest.raises(CameraError, match="fl_x"):
        load_cameras(path)


@pytest.mark.parametrize(
    ("name", "lens"),
    [
        ("distortion_params", RadialTangential(k=(0.3, 0.1, 0, 0, 0, 0))),
        ("ftheta", FTheta(p=(0.1, 1.0, 0, 0, 0))),
        ("latlong", Equirectangular()),
        ("orthographic", Orthographic()),
    ],
)
def test_reported_file_has_its_lens(shared: Path, name: str, lens: Lens) -> None:
    (camera,) = load_cameras(shared / "bugs" / f"cam_{name}.json")
    assert camera.lens == lens
    assert (camera.width, camera.height) == (200, 200)


def test_the_frame_of_a_refused_key_is_named_and_control_characters_are_escaped(
    tmp_path: Path,
) -> None:
    with pytest.raises(CameraError) as caught:
        load(tmp_path, frame={"file_path": "a\x1b[31m", "\x07": "\n\x1b"})
    assert "frame 0" in str(caught.value)
    assert str(caught.value).isprintable()
