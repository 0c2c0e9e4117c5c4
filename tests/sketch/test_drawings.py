"""Drawings of a scene: the surface of its bricks, where things are in the picture, and the window."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream.errors import InvalidInput, PlenostreamError
from plenostream.sketch.bricks import occupied_faces
from plenostream.sketch.content import Sketch, make_sketch
from plenostream.sketch.drawing import draw_sketch
from plenostream.sketch.window import show_sketch
from plenostream.testing.checkpoints import CheckpointArrays

CAMERA = ps.look_at_camera((2.4, 0.9, 0.8), (0.0, 0.0, 0.0), fov_degrees=50.0, size=(64, 48))
RED = (200, 20, 30)


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Iterator[ps.Scene]:
    with ps.open_scene(make_scene(gyroid, brick_size=8)) as opened:
        yield opened


@pytest.fixture(scope="module")
def sketch(scene: ps.Scene) -> Sketch:
    return make_sketch(scene.store, [(0, CAMERA)], (32, 24), ps.RenderOptions(), ndc=None)


def test_faces_are_those_between_an_occupied_brick_and_none(scene: ps.Scene) -> None:
    store = scene.store
    taken = {tuple(index) for index in store.tables.index[store.tables.occupied].tolist()}
    expected = set()
    for brick in taken:
        for axis in range(3):
            for sign in (-1, 1):
                beside = list(brick)
                beside[axis] += sign
                if tuple(beside) not in taken:
                    middle = np.array(brick) * 8.0 + 4
                    middle[axis] += 4 * sign
                    expected.add((*middle.tolist(), axis, sign))
    faces = occupied_faces(store)
    grid = scene.grid.world_to_grid(faces.corners.mean(axis=1))
    # The last brick of an axis is cut off where the voxels end: at 47 of 48.
    grid[np.isclose(grid, 47.0)] = 48.0
    grid[np.isclose(grid, 43.5)] = 44.0
    found = {
        (*np.round(middle, 6).tolist(), int(axis), int(sign))
        for middle, axis, sign in zip(grid, faces.axis, faces.sign, strict=True)
    }
    assert len(found) == len(faces.corners) == len(expected)
    assert found == expected


def test_drawing_shows_everything_and_dots_where_samples_contribute(sketch: Sketch) -> None:
    told: list[int] = []
    pixels = draw_sketch(sketch, lambda _, done, total: told.append(total - done))
    assert told[-1] == 0
    assert (pixels[:, [0, -1]] == 255).all()  # nothing reaches the borders left and right
    idle, working = (len(dots.places) for dots in sketch.dots)
    assert (idle > 0, working > 0) == (True, True)
    red = (pixels == RED).all(axis=-1)
    blue = pixels[..., 2].astype(int) - pixels[..., 0] > 80  # lines are smoothed
    assert red.any()
    assert blue.any()
    np.testing.assert_array_equal(draw_sketch(sketch), pixels)


def test_told_is_what_is_drawn(sketch: Sketch, scene: ps.Scene) -> None:
    n_occupied = int(scene.store.tables.occupied.sum())
    assert sketch.told[0] == f"scene.zarr: {n_occupied} of 216 bricks occupied, 8 cells an edge"
    assert sketch.told[1].startswith("view 0, pixel 32,24: ")
    assert f"{len(sketch.dots[1].places)} contribute" in sketch.told[1]


def test_cameras_have_no_place_in_device_coordinates_and_their_rays_do(scene: ps.Scene) -> None:
    forward = ps.Camera(np.eye(3, 4), 50.0, 50.0, 32.0, 24.0, 64, 48)
    ndc = (64.0, 48.0, 50.0, 50.0)
    made = make_sketch(scene.store, [(0, forward)], (32, 24), ps.RenderOptions(), ndc=ndc)
    assert made.told[1] == "normalised device coordinates, in which cameras have no place"
    assert len(made.lines) == 2  # the box and the ray
    assert len(made.dots[1].places) > 0


def test_pixel_without_a_camera_is_refused(scene: ps.Scene) -> None:
    with pytest.raises(InvalidInput, match="a pixel needs a camera"):
        make_sketch(scene.store, [], (1, 1), ps.RenderOptions(), ndc=None)


@pytest.mark.slow
def test_window_shows_the_same_lines_and_dots(
    sketch: Sketch, monkeypatch: pytest.MonkeyPatch
) -> None:
    open3d = pytest.importorskip("open3d", exc_type=ImportError)
    shown: list[Any] = []

    class Viewer:
        """Stands for a window, which nobody would close here."""

        opens = True

        def create_window(self, window_name: str) -> bool:
            return self.opens

        def add_geometry(self, geometry: Any) -> None:
            shown.append(geometry)

        def get_render_option(self) -> SimpleNamespace:
            return SimpleNamespace()

        def run(self) -> None:
            assert len(shown) == 1 + len(sketch.lines) + len(sketch.dots)

        def destroy_window(self) -> None:
            self.opens = False

    monkeypatch.setattr(open3d.visualization, "Visualizer", Viewer)
    show_sketch(sketch, title="a test")
    lines = [part for part in shown if isinstance(part, open3d.geometry.LineSet)]
    expected = [4 * len(sketch.faces.corners), *(len(each.ends) for each in sketch.lines)]
    assert [len(part.lines) for part in lines] == expected
    clouds = [part for part in shown if isinstance(part, open3d.geometry.PointCloud)]
    assert [len(cloud.points) for cloud in clouds] == [len(dots.places) for dots in sketch.dots]
    np.testing.assert_allclose(clouds[1].colors[0], np.array(RED) / 255)
    Viewer.opens = False
    with pytest.raises(PlenostreamError, match="no window can be opened here"):
        show_sketch(sketch, title="a test")


def test_window_without_open3d_says_what_brings_it(
    sketch: Sketch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(PlenostreamError, match=r"pip install 'plenostream\[inspect\]'"):
        show_sketch(sketch, title="a test")
