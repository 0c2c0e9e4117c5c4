"""`render --resume`: only what is missing is drawn, and a film is the one that was begun."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from paper import Paper, names, run

from plenostream.cameras import Camera
from plenostream.errors import StoreError
from plenostream.results import RenderResult


@pytest.fixture
def drawn(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> Paper:
    """Paper whose pictures tell where the camera stands."""
    plain = paper.render

    def render(camera: Camera, **told: object) -> RenderResult:
        picture = plain(camera)
        picture.rgb[:] = (0.5 + camera.eye_world / 20).clip(0, 1)
        return replace(picture, normals=picture.rgb)

    monkeypatch.setattr(paper, "render", render)
    return paper


@pytest.fixture
def views(tmp_path: Path) -> Path:
    """Three views that interpolation leads through."""
    frames = []
    for number in range(3):
        matrix = np.eye(4)
        matrix[:3, 3] = (number, number * number, 1.0)
        frames.append({"transform_matrix": matrix.tolist()})
    path = tmp_path / "transforms.json"
    keyframes = [{"R": [0, 0, 0, 1], "T": [n, n * n, 1], "fov": 50} for n in range(3)]
    (tmp_path / "keyframes.json").write_text(json.dumps({"path": keyframes}))
    pictures = [{"camera_to_world": frame["transform_matrix"], "fov": 50} for frame in frames]
    document = {"camera_path": pictures, "render_width": 32, "render_height": 24, "fps": 24}
    (tmp_path / "path.json").write_text(json.dumps(document))
    path.write_text(json.dumps({"fl_x": 50, "w": 32, "h": 24, "frames": frames}))
    return path


def pictures(folder: Path) -> list[Any]:
    return [cv2.imread(str(path)) for path in sorted(folder.iterdir())]


WAYS = {
    "orbit": ("--orbit", 7, "--size", "32x24"),
    "interpolate": ("--cameras", "transforms.json", "--path", "interpolate", "--frames", 7),
    "spiral": ("--cameras", "transforms.json", "--path", "spiral", "--frames", 7),
    "path file": ("--path", "path.json"),
    "keyframes": ("--path", "keyframes.json", "--frames", 7, "--size", "32x24"),
    "views": ("--cameras", "transforms.json", "--views", "2,0,1"),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("out", ["out", "out.mp4"])
def test_render_that_was_cut_off_goes_on(
    drawn: Paper,
    views: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: tuple[object, ...],
    out: str,
) -> None:
    monkeypatch.chdir(views.parent)
    asked = ("-q", "render", "s", out, "--resume", *way)
    assert run("-q", "render", "s", f"whole/{out}", *way) == 0
    n_frames = len(drawn.cameras)
    drawn.cameras.clear()
    drawn.error, drawn.fails_at = StoreError("cut off"), 2
    assert run(*asked) == 1
    assert not Path("out.mp4").exists()
    drawn.error = None
    drawn.cameras.clear()
    assert run(*asked) == 0
    assert len(drawn.cameras) == n_frames - 2
    if out == "out.mp4":
        assert Path(out).read_bytes() == Path("whole", out).read_bytes()
        assert not Path("out.mp4.frames").exists()
    else:
        assert names(Path(out)) == names(Path("whole", out))
        assert all(map(np.array_equal, pictures(Path(out)), pictures(Path("whole", out))))


@pytest.mark.parametrize(
    "asked",
    [
        ("out", "--format", "exr", "--outputs", "rgb,alpha,depth"),
        ("out", "--format", "npz", "--outputs", "rgb,depth"),
        ("out", "--format", "npy"),
        ("out", "--format", "webp", "--background", "none"),
        ("out", "--format", "jpg"),
        ("out", "--format", "webp", "--outputs", "normals"),
        ("out.mov", "--background", "none"),
        ("out.webm", "--background", "none"),
    ],
    ids=" ".join,
)
def test_render_to_any_format_goes_on(
    drawn: Paper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ("-q", "--orbit", 3, "--size", "32x24")
    assert run("render", "s", f"whole/{asked[0]}", *asked[1:], *flags) == 0
    drawn.cameras.clear()
    drawn.error, drawn.fails_at = StoreError("cut off"), 1
    assert run("render", "s", *asked, *flags, "--resume") == 1
    drawn.error = None
    drawn.cameras.clear()
    assert run("render", "s", *asked, *flags, "--resume") == 0
    assert len(drawn.cameras) == 2
    made, whole = Path(asked[0]), Path("whole", asked[0])
    if asked[0] == "out":
        assert names(made) == names(whole)
        assert all(one.read_bytes() == (whole / one.name).read_bytes() for one in made.iterdir())
    elif asked[0] == "out.mov":
        assert made.read_bytes() == whole.read_bytes()
    else:  # a WebM has an identity of its own
        assert abs(made.stat().st_size - whole.stat().st_size) < 64


def test_nothing_is_drawn_where_all_is_there(
    drawn: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("render", "s", tmp_path / "out", "--orbit", 3, "--size", "32x24", "--resume")
    assert run(*asked) == 0
    drawn.cameras.clear()
    capsys.readouterr()
    assert run(*asked, "--stats", tmp_path / "stats.json") == 0
    assert drawn.cameras == []
    assert capsys.readouterr().out == "3 of 3 frames were there\n"
    assert json.loads((tmp_path / "stats.json").read_text()) == {"frames": []}


def test_film_is_made_of_frames_that_are_all_there(
    drawn: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("--orbit", 3, "--size", "32x24")
    assert run("render", "s", f"{tmp_path}/a.mp4.frames/", *place) == 0
    drawn.cameras.clear()
    capsys.readouterr()
    assert run("render", "s", tmp_path / "a.mp4", "--resume", *place) == 0
    assert drawn.cameras == []
    assert f"{tmp_path / 'a.mp4'}: made of them" in capsys.readouterr().out
    assert names(tmp_path) == ["a.mp4"]


def test_frame_of_another_render_is_refused(
    drawn: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("render", "s", tmp_path / "out", "--orbit", 3, "--size", "32x24") == 0
    asked = ("render", "s", tmp_path / "out", "--orbit", 3, "--resume", "--size")
    assert run(*asked, "16x16") == 1
    assert (
        "frame_0000.png has 32x24 pixels of 3 x 8 bits, and the frame has 16x16"
        in capsys.readouterr().err
    )
    (tmp_path / "out" / "frame_0001.png").write_bytes(b"")
    assert run(*asked, "32x24") == 1
    assert "frame_0001.png is no picture" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["exr", "npz"])
def test_frame_that_does_not_open_or_lacks_an_output_is_refused(
    drawn: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    asked = ("render", "s", tmp_path / "out", "--orbit", 2, "--size", "32x24", "--format", kind)
    assert run(*asked, "--outputs", "rgb,depth") == 0
    drawn.cameras.clear()
    assert run(*asked, "--outputs", "rgb,alpha,depth", "--resume") == 1
    assert f"frame_0000.{kind} has 32x24 pixels (" in capsys.readouterr().err
    frame = tmp_path / "out" / f"frame_0001.{kind}"
    whole = frame.read_bytes()
    frame.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    assert run(*asked, "--outputs", "rgb,depth", "--resume") == 1
    assert f"frame_0001.{kind} is no picture" in capsys.readouterr().err
    assert drawn.cameras == []


@pytest.mark.parametrize(
    ("film", "flags", "message"),
    [
        ("a.mov", (), "has 32x24 pixels of 3 x 8 bits, and the frame has 32x24 pixels of 3 x 16"),
        (
            "a.webm",
            ("--background", "none"),
            "of 3 x 8 bits, and the frame has 32x24 pixels of 4 x",
        ),
    ],
)
def test_frame_of_other_pixels_is_refused(
    drawn: Paper,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    film: str,
    flags: tuple[str, ...],
    message: str,
) -> None:
    place = ("--orbit", 3, "--size", "32x24")
    assert run("render", "s", f"{tmp_path}/{film}.frames/", *place) == 0
    drawn.cameras.clear()
    assert run("render", "s", tmp_path / film, "--resume", *place, *flags) == 1
    assert message in capsys.readouterr().err
    assert drawn.cameras == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("o.png", "--orbit", 1), "is a single picture"),
        (("o", "--orbit", 2, "--outputs", "rgb,depth"), "leave depth out"),
        (("o", "--orbit", 2, "--format", "jpg", "--outputs", "depth"), "coloured depth"),
        (("o", "--orbit", 2, "--overwrite"), "and --overwrite does not"),
    ],
)
def test_what_cannot_go_on_is_refused(
    paper: Paper,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[object, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("render", "s", *flags, "--resume") == 2
    assert message in capsys.readouterr().err
    assert paper.cameras == []
