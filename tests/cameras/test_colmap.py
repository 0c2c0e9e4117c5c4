"""COLMAP models: read as COLMAP's own library writes and projects them, or refused by name."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from camera_files import write_png_header
from colmap_models import PARAMETERS, write_model

import plenostream as ps
from plenostream.cameras import Asked, load_pictured, read_cameras
from plenostream.errors import CameraError, InvalidInput

POSES = {
    "b/2 two.png": ps.look_at_camera((2.0, 1.0, 1.5), (0.1, 0, 0)).c2w,
    "a.png": ps.look_at_camera((-2.0, 0.4, -0.5), (0, 0.3, 0)).c2w,
    "c.jpg": np.array([[0.0, 0, -1, 2.1], [1, 0, 0, 0.3], [0, -1, 0, 0.2]]),
}
REFUSED = {
    "FOV": (70.0, 70.0, 31.0, 25.0, 0.9),
    "THIN_PRISM_FISHEYE": (70.0, 70.0, 31.0, 25.0, *[0.0] * 8),
    "SIMPLE_DIVISION": (70.0, 31.0, 25.0, 0.1),
    "EUCM": (70.0, 70.0, 31.0, 25.0, 0.5, 1.0),
}


@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
@pytest.mark.parametrize("model", PARAMETERS)
def test_points_are_seen_where_colmap_sees_them(tmp_path: Path, model: str, text: bool) -> None:
    camera = write_model(tmp_path, model, PARAMETERS[model], POSES, text=text)
    points = np.random.default_rng(0).normal(size=(200, 3)) * 0.3
    for view in load_pictured(tmp_path):
        c2w = POSES[view.name]
        np.testing.assert_allclose(view.camera.c2w, c2w, atol=1e-12)
        seen = view.camera.project(points)
        inside = (seen > -20).all(-1) & (seen < 80).all(-1)
        assert inside.sum() > 60
        wanted = camera.img_from_cam((points - c2w[:, 3]) @ c2w[:, :3])
        np.testing.assert_allclose(seen[inside], wanted[inside], atol=1e-9)


def test_views_are_in_the_order_of_their_names_with_their_pictures(tmp_path: Path) -> None:
    write_model(tmp_path / "sparse" / "0", "OPENCV", PARAMETERS["OPENCV"], POSES)
    write_png_header(tmp_path / "images" / "b" / "2 two.png", 64, 48)
    found = read_cameras(tmp_path, Asked(views="1,0", size=(32, 24)))
    assert found.found == "COLMAP model (binary)"
    assert [(v.number, v.name) for v in found.views] == [(1, "b/2 two.png"), (0, "a.png")]
    assert found.views[0].picture == tmp_path / "images" / "b" / "2 two.png"
    assert found.views[1].picture is None
    assert (found.views[0].camera.width, found.views[0].camera.fx) == (32, 35)


def test_file_of_a_model_stands_for_it(tmp_path: Path) -> None:
    write_model(tmp_path, "PINHOLE", PARAMETERS["PINHOLE"], POSES)
    write_model(tmp_path, "PINHOLE", PARAMETERS["PINHOLE"], {"a": POSES["a.png"]}, text=True)
    assert len(ps.load_cameras(tmp_path / "images.bin")) == 3
    assert len(ps.load_cameras(tmp_path / "images.txt")) == 1


@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
@pytest.mark.parametrize("model", REFUSED)
def test_model_that_is_not_drawn_is_refused_by_name(tmp_path: Path, model: str, text: bool) -> None:
    write_model(tmp_path, model, REFUSED[model], POSES, text=text)
    with pytest.raises(CameraError, match=f"image 8 .'a.png'.: its camera has the model '{model}'"):
        ps.load_cameras(tmp_path)


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin"])
def test_file_cut_short_anywhere_or_with_more_behind_it_is_refused(
    tmp_path: Path, name: str
) -> None:
    write_model(tmp_path, "OPENCV", PARAMETERS["OPENCV"], POSES)
    path = tmp_path / name
    data = path.read_bytes()
    for n_bytes in range(len(data)):
        path.write_bytes(data[:n_bytes])
        with pytest.raises(CameraError, match=f"{name}.* (ends in the middle|has no end)"):
            ps.load_cameras(tmp_path)
    path.write_bytes(data + b"\0")
    with pytest.raises(CameraError, match=f"{name} has 1 bytes more"):
        ps.load_cameras(tmp_path)


def test_counts_beyond_all_measure_are_refused_at_once(tmp_path: Path) -> None:
    write_model(tmp_path, "OPENCV", PARAMETERS["OPENCV"], POSES)
    for name in ("cameras.bin", "images.bin"):
        kept = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(struct.pack("<Q", 2**64 - 1) + kept[8:])
        with pytest.raises(CameraError, match=name):
            ps.load_cameras(tmp_path)
        (tmp_path / name).write_bytes(kept)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("cameras.txt", "1 PINHOLE 64 48 nan 1 2 3", "cameras.txt, line 1: 'nan' is not a finite"),
        ("cameras.txt", "1 PINHOLE 64", "cameras.txt, line 1: .* is no camera"),
        ("cameras.txt", "1 PINHOLE 64 48 70 70 32", "3 parameters; PINHOLE has 4"),
        ("cameras.txt", "1 PINHOLE 64.5 48 1 1 1 1", "'64.5' is no whole number"),
        ("cameras.txt", "2 PINHOLE 64 48 70 70 32 24", "there is no camera 1"),
        ("cameras.txt", "1 PINHOLE 0 48 70 70 32 24", "width is 0"),
        ("images.txt", "1 1 0 0 0 0 0 3 1", "images.txt, line 1: .* is no image"),
        ("images.txt", "1 0 0 0 0 0 0 3 1 a.png", "expected a quaternion"),
        ("images.txt", "1 1 0 0 0 0 0 1e300 1 a.png", "expected a quaternion"),
        ("images.txt", "1 1 0 0 0 0 0 x 1 a.png", "'x' is not a finite number"),
        ("images.txt", "# none", "has no images with a pose"),
    ],
)
def test_line_that_is_none_of_colmaps_is_named(
    tmp_path: Path, name: str, line: str, message: str
) -> None:
    (tmp_path / "cameras.txt").write_text("# c\n1 PINHOLE 64 48 70 70 32 24\n")
    (tmp_path / "images.txt").write_text("1 1 0 0 0 0 0 3 1 a.png\n\n")
    assert ps.load_cameras(tmp_path)[0].eye_world.tolist() == [0, 0, -3]
    (tmp_path / name).write_text(line + "\n\n")
    with pytest.raises(CameraError, match=message):
        ps.load_cameras(tmp_path)


def test_option_that_it_would_not_listen_to_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path, "PINHOLE", PARAMETERS["PINHOLE"], POSES)
    for asked in ({"fov_degrees": 50}, {"camera_axes": "opengl-c2w"}, {"poses": "svox2-bbox"}):
        with pytest.raises(InvalidInput, match=next(iter(asked))):
            ps.load_cameras(tmp_path, **asked)


def test_part_of_a_model_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "a", "PINHOLE", PARAMETERS["PINHOLE"], POSES)
    (tmp_path / "b").mkdir()
    shutil.copy(tmp_path / "a" / "images.bin", tmp_path / "b")
    with pytest.raises(CameraError, match=r"b/cameras.bin is not there"):
        ps.load_cameras(tmp_path / "b")
