"""Cameras placed by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from plenostream.cameras import Camera, look_at_camera, orbit_cameras
from plenostream.errors import InvalidInput
from plenostream.field.grid import GridSpec


def project(camera: Camera, point_world: NDArray[np.float64]) -> tuple[float, float, float]:
    """Column, row and depth of a point in the picture, by the definition in `Camera`."""
    x, y, z = camera.c2w[:, :3].T @ (point_world - camera.eye_world)
    return camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy, z


class TestPlacement:
    @given(st.tuples(*[st.floats(-10, 10)] * 3), st.tuples(*[st.floats(-10, 10)] * 3))
    def test_look_at_puts_the_target_in_the_middle_and_up_up(
        self, eye: tuple[float, float, float], target: tuple[float, float, float]
    ) -> None:
        gap = np.subtract(target, eye)
        if math.hypot(*gap) < 1e-3:
            return
        camera = look_at_camera(eye, target, size=(64, 48))
        column, row, depth = project(camera, np.asarray(target))
        np.testing.assert_allclose([column, row], [32.0, 24.0], atol=1e-6)
        np.testing.assert_allclose(depth, math.hypot(*gap), rtol=1e-9)
        if math.hypot(gap[0], gap[1]) > 1e-3 * abs(gap[2]):
            _, row_above, _ = project(camera, np.asarray(target) + np.array([0, 0, 1e-4 * depth]))
            assert row_above < row

    def test_look_at_straight_down_has_y_at_the_top(self) -> None:
        camera = look_at_camera((0, 0, 3), (0, 0, 0), size=(64, 64))
        column, row, _ = project(camera, np.array([0.1, 0.2, 0.0]))
        assert column > 32 > row

    def test_field_of_view_is_horizontal(self) -> None:
        camera = look_at_camera((0, -1, 0), (0, 0, 0), fov_degrees=90, size=(200, 100))
        column, _, _ = project(camera, np.array([1.0, 0.0, 0.0]))
        assert column == pytest.approx(200)
        assert camera.fx == camera.fy == pytest.approx(100)

    def test_a_picture_of_unknown_size_is_800_by_800(self) -> None:
        camera = look_at_camera((1, 2, 3), (0, 0, 0))
        assert (camera.width, camera.height) == (800, 800)

    @pytest.mark.parametrize("elevation", [-90.0, -40.0, 0.0, 30.0, 75.0, 90.0])
    @pytest.mark.parametrize("size", [(100, 100), (300, 80), (60, 200)], ids=str)
    def test_orbit_shows_the_whole_box_from_every_side(
        self, elevation: float, size: tuple[int, int]
    ) -> None:
        grid = GridSpec(size=(4, 5, 6), radius=(1.0, 2.5, 0.4), center=(3.0, -1.0, 2.0))
        corners = np.array(grid.center) + np.array(grid.radius) * (
            np.stack(np.meshgrid(*[[-1, 1]] * 3), -1).reshape(-1, 3)
        )
        cameras = orbit_cameras(grid, 36, elevation_degrees=elevation, fov_degrees=50, size=size)
        for camera in cameras:
            for corner in corners:
                column, row, depth = project(camera, corner)
                assert depth > 0
                assert -1e-9 <= column <= size[0] + 1e-9
                assert -1e-9 <= row <= size[1] + 1e-9

    def test_orbit_default_distance_is_the_nearest_that_shows_a_column_whole(self) -> None:
        # Seen level, the cylinder around the box touches the picture's left and right edges.
        grid = GridSpec(size=(4, 4, 4), radius=(1.0, 1.0, 1e-3))
        (camera,) = orbit_cameras(grid, 1, elevation_degrees=0, fov_degrees=60)
        assert math.hypot(*camera.eye_world) == pytest.approx(math.sqrt(2) / math.sin(math.pi / 6))

    def test_orbit_goes_round_counter_clockwise_from_plus_x_at_the_distance_asked_for(self) -> None:
        grid = GridSpec(size=(4, 4, 4), center=(0.0, 0.0, 5.0))
        cameras = orbit_cameras(grid, 4, elevation_degrees=0, distance=3.0)
        eyes = np.array([camera.eye_world for camera in cameras])
        expected = [(3, 0, 5), (0, 3, 5), (-3, 0, 5), (0, -3, 5)]
        np.testing.assert_allclose(eyes, expected, atol=1e-12)

    @pytest.mark.parametrize(
        ("up", "axis", "first"),
        [
            *(
                ("x", (1, 0, 0), (0, 1, 0)),
                ("y", (0, 1, 0), (0, 0, 1)),
                ("z", (0, 0, 1), (1, 0, 0)),
            ),
            *(("-x", (-1, 0, 0), (0, 1, 0)), ("-y", (0, -1, 0), (0, 0, -1))),
            ("-z", (0, 0, -1), (1, 0, 0)),
        ],
        ids=str,
    )
    def test_any_axis_may_point_up(
        self, up: str, axis: tuple[int, ...], first: tuple[int, ...]
    ) -> None:
        grid = GridSpec(size=(4, 4, 4), radius=(0.4, 1.0, 2.5), center=(3.0, -1.0, 2.0))
        middle, above = np.array(grid.center), np.array(axis)
        four = orbit_cameras(grid, 4, up=up, elevation_degrees=20, size=(90, 60))
        before, beside = (camera.eye_world - middle for camera in four[:2])
        assert np.dot(np.cross(before, beside), above) > 0  # counter-clockwise from above
        np.testing.assert_allclose(
            before / math.hypot(*before),
            math.cos(math.radians(20)) * np.array(first) + math.sin(math.radians(20)) * above,
        )
        corners = middle + np.array(grid.radius) * [
            [x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)
        ]
        for camera in [*four, look_at_camera(four[0].eye_world, middle, up=up, size=(90, 60))]:
            column, row, _ = project(camera, middle + 0.1 * above)
            assert (round(column, 9), row < 30) == (45, True)
            assert all(0 <= project(camera, corner)[1] <= 60 for corner in corners)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"n": 0}, "n is 0"),
            ({"elevation_degrees": 91.0}, "elevation_degrees is 91"),
            ({"elevation_degrees": math.nan}, "elevation_degrees is nan"),
            ({"distance": -1.0}, "distance is -1"),
            ({"fov_degrees": 180.0}, "fov_degrees is 180"),
            ({"size": (0, 5)}, "size is"),
            ({"size": 5}, "size is 5"),
            ({"size": ("a", 5)}, "size is"),
            ({"size": (5.0, 5)}, "size is"),
            ({"fov_degrees": 1e-300}, "fov_degrees is 1e-300"),
            ({"fov_degrees": None}, "fov_degrees is None"),
            ({"fov_degrees": 1j}, "fov_degrees is 1j"),
            ({"elevation_degrees": "30"}, "elevation_degrees is '30'"),
            ({"distance": 1e300}, "distance is 1e"),
            ({"distance": 10**400}, "distance is 1000"),
            ({"n": 2.0}, "n is 2.0"),
            ({"grid": None}, "the grid is None"),
            ({"up": "up"}, "up is 'up'; expected one of x, y, z, -x, -y, -z"),
        ],
        ids=lambda value: None if isinstance(value, dict) else value,
    )
    def test_orbit_refuses_what_cannot_be(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidInput, match=message):
            orbit_cameras(**{"grid": GridSpec(size=(2, 2, 2)), "n": 3, **changes})

    @pytest.mark.parametrize(
        "target",
        [(1, 2, 3), (1, 2), (1, 2, math.inf), ("a", 1, 2), [["a"]], None, (1j, 2, 3), (1e39, 0, 0)],
        ids=str,
    )
    def test_look_at_refuses_a_target_that_gives_no_direction(self, target: Any) -> None:
        with pytest.raises(InvalidInput):
            look_at_camera((1, 2, 3), target)
