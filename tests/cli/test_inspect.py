"""`inspect`: a picture without a display, a window with one, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from paper import names, run

from plenostream.testing.checkpoints import CheckpointArrays

ORBIT = ("--orbit", 2, "--size", "32x24")


@pytest.fixture
def scene(
    tiny: CheckpointArrays,
    make_scene: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return make_scene(tiny)


def test_writes_a_picture_beside_you_where_there_is_no_display(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("inspect", scene, *ORBIT, "--pixel", "16,12") == 0
    assert names(tmp_path) == ["scene.inspect.png"]
    assert cv2.imread("scene.inspect.png").shape == (800, 1000, 3)
    told = capsys.readouterr()
    assert told.out.startswith("scene.inspect.png: drawn\n")
    assert "bricks occupied" in told.out
    assert "view 1, pixel 16,12: " in told.out
    assert "drawing: 100 %" in told.err
    assert run("inspect", scene) == 1
    assert "exists; name another place" in capsys.readouterr().err
    assert run("inspect", scene, "--overwrite", "-q") == 0
    assert capsys.readouterr() == ("", "")


def test_opens_a_window_where_there_is_a_display(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(
        "plenostream.sketch.window.show_sketch", lambda sketch, title: shown.extend(sketch.told)
    )
    assert run("inspect", scene, "-q") == 0
    assert len(shown) == 1
    assert names(tmp_path) == []
    assert run("inspect", scene, "--out", "a.png", "-q") == 0
    assert (len(shown), names(tmp_path)) == (1, ["a.png"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--pixel", "1,1"), "a pixel needs a camera"),
        (("--pixel", "1"), "--pixel is '1'; expected COLUMN,ROW"),
        ((*ORBIT, "--pixel", "32,0"), "32,0 is not inside a picture of 32x24"),
        (("--out", "a.jpg"), "--out is 'a.jpg'; expected a name that ends in .png"),
        (("--fov", 50), "there are no cameras"),
    ],
)
def test_what_means_nothing_is_refused(
    scene: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[object, ...],
    message: str,
) -> None:
    assert run("inspect", scene, *flags) == 2
    assert message in capsys.readouterr().err
    assert names(tmp_path) == []
