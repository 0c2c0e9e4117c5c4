"""Pixels whose rays run beside the grid: none is missed, and most pictures have none."""

from __future__ import annotations

import numpy as np
import pytest

from plenostream.cameras import Camera, look_at_camera
from plenostream.grid import GridSpec
from plenostream.render import sight
from plenostream.render.sight import parallel_pixels

GRID = GridSpec(size=(16, 16, 16))
ALONG_X = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def camera_at(eye: tuple[float, float, float], *, width: int = 31, height: int = 21) -> Camera:
    pose = np.column_stack([ALONG_X, eye])
    return Camera(
        c2w=pose, fx=30.0, fy=30.0, cx=width / 2, cy=height / 2, width=width, height=height
    )


@pytest.mark.parametrize("rows_at_once", [1, 4, 64])
def test_line_of_pixels_runs_beside_a_grid_that_the_eye_is_beside(
    rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sight, "_ROWS_AT_ONCE", rows_at_once)
    found = parallel_pixels(camera_at((-3.0, 1.5, 0.0)), GRID)
    assert found.tolist() == [row * 31 + 15 for row in range(21)]
    found = parallel_pixels(camera_at((-3.0, 0.0, -1.5)), GRID)
    assert found.tolist() == [10 * 31 + column for column in range(31)]


def test_pixel_on_both_lines_is_found_once() -> None:
    found = parallel_pixels(camera_at((-3.0, 1.5, 1.5)), GRID)
    assert len(found) == len(set(found.tolist())) == 31 + 21 - 1


@pytest.mark.parametrize(
    "camera",
    [
        pytest.param(camera_at((-3.0, 0.5, 0.5)), id="eye before the grid"),
        pytest.param(camera_at((-3.0, 1.5, 0.0), width=30), id="no pixel on the line"),
        pytest.param(
            look_at_camera((2.6, 1.1, 1.3), (0.0, 0.0, 0.0), size=(64, 48)), id="slanting"
        ),
    ],
)
def test_most_pictures_have_no_such_pixel(camera: Camera) -> None:
    assert len(parallel_pixels(camera, GRID)) == 0
