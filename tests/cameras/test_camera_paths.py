"""Paths between views: they pass where they should, smoothly, and look where they should."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import plenostream as ps
from plenostream.cameras import interpolated_cameras, spiral_cameras
from plenostream.cameras.lenses import Fisheye
from plenostream.cameras.quaternions import course_of_rotations, quaternion_of, rotation_of
from plenostream.errors import CameraError, InvalidInput

Float64 = NDArray[np.float64]

KEYS = [
    ps.look_at_camera(eye, (0.1, 0, 0.2), size=(64, 48))
    for eye in [(3, 0, 1), (2, 2.5, 0.5), (-1, 3, 2), (-3, 0.2, 1), (-2, -2, 0.1)]
]


def turned(degrees: float, axis: int = 2) -> Float64:
    """A rotation about an axis."""
    half = math.radians(degrees) / 2
    return rotation_of(np.append(np.eye(3)[axis] * math.sin(half), math.cos(half)))


def angles(course: Float64) -> Float64:
    """Degrees from each rotation to the next."""
    steps = course[1:] @ course[:-1].swapaxes(1, 2)
    cosine = (np.trace(steps, axis1=1, axis2=2) - 1) / 2
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


components = st.floats(-1, 1, allow_nan=False)


class TestQuaternions:
    @given(st.tuples(components, components, components, components))
    def test_rotation_and_quaternion_are_the_same(self, parts: tuple[float, ...]) -> None:
        quaternion = np.array(parts)
        if np.linalg.norm(quaternion) < 0.1:
            return
        rotation = rotation_of(quaternion)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
        np.testing.assert_allclose(rotation_of(quaternion_of(rotation)), rotation, atol=1e-12)

    def test_quarter_turn_about_z_brings_x_to_y(self) -> None:
        np.testing.assert_allclose(turned(90)[:, 0], [0, 1, 0], atol=1e-12)

    def test_even_turn_about_one_axis_goes_on_evenly(self) -> None:
        keys = np.stack([turned(50.0 * i) for i in range(9)])  # more than once around
        course = course_of_rotations(keys, np.linspace(0, 8, 81))
        np.testing.assert_allclose(angles(course), 5.0, atol=1e-6)

    def test_course_passes_its_keys_without_a_jerk(self) -> None:
        keys = np.stack([turned(0), turned(80), turned(80) @ turned(70, 0), turned(-30, 1)])
        np.testing.assert_allclose(course_of_rotations(keys, np.arange(4.0)), keys, atol=1e-9)
        step = 1e-4
        for key in (1, 2):
            around = course_of_rotations(keys, np.array([key - step, key, key + step]))
            before, after = (around[i + 1] @ around[i].T for i in (0, 1))
            speed = np.linalg.norm(before - np.eye(3))
            assert speed > 0.5 * step
            assert np.linalg.norm(after - before) < 0.01 * speed

    def test_course_takes_the_shorter_way_round(self) -> None:
        course = course_of_rotations(np.stack([turned(170), turned(-170)]), np.linspace(0, 1, 21))
        assert angles(course).sum() == pytest.approx(20, abs=1e-6)


class TestInterpolated:
    def test_course_passes_every_view_in_equal_times(self) -> None:
        path = interpolated_cameras(KEYS, 41)
        assert len(path) == 41
        for number, key in enumerate(KEYS):
            np.testing.assert_allclose(path[10 * number].c2w, key.c2w, atol=1e-9)

    def test_positions_have_no_jumps_up_to_the_second_derivative(self) -> None:
        eyes = np.stack([camera.eye_world for camera in interpolated_cameras(KEYS, 4001)])
        second = np.diff(eyes, n=2, axis=0) * 1000**2
        assert np.abs(second).max() > 1
        assert np.abs(np.diff(second, axis=0)).max() < 0.05
        assert np.abs(second[[0, -1]]).max() < 0.05  # it ends straight

    def test_cameras_on_a_line_are_passed_on_it_evenly(self) -> None:
        pose = KEYS[0].c2w[:, :3]
        keys = [ps.Camera(np.column_stack([pose, (i, 2 * i, 0)]), 50 + i, 50, 32, 24, 64, 48)
                for i in range(4)]  # fmt: skip
        for number, camera in enumerate(interpolated_cameras(keys, 13)):
            at = number / 4
            np.testing.assert_allclose(camera.eye_world, (at, 2 * at, 0), atol=1e-12)
            assert camera.fx == pytest.approx(50 + at)

    def test_two_views_are_enough(self) -> None:
        path = interpolated_cameras(KEYS[:2], 3)
        middle = (KEYS[0].eye_world + KEYS[1].eye_world) / 2
        np.testing.assert_allclose(path[1].eye_world, middle, atol=1e-12)

    @pytest.mark.parametrize(
        ("keys", "message"),
        [
            (KEYS[:1], "one view only"),
            ([KEYS[0], KEYS[1].resized(32, 24)], "views 0 and 1 .* 64x48 and 32x24"),
            (
                [*KEYS[:2], ps.Camera(KEYS[0].c2w, 50, 50, 32, 24, 64, 48, Fisheye())],
                "views 0 and 2 of the path have different lenses",
            ),
        ],
    )
    def test_views_that_no_path_joins_are_refused(self, keys: Any, message: str) -> None:
        with pytest.raises(InvalidInput, match=message):
            interpolated_cameras(keys, 10)


class TestSpiral:
    def square(self) -> list[ps.Camera]:
        """Side by side, looking along z, y down."""
        eyes = [(x, y, z) for x in (-0.3, 0.3) for y in (-0.2, 0.2) for z in (-0.1, 0.1)]
        poses = [np.column_stack([np.eye(3), np.array(eye) + (5, 6, 7)]) for eye in eyes]
        return [ps.Camera(pose, 50, 50, 32, 24, 64, 48) for pose in poses]

    def test_turns_twice_within_the_views_and_looks_at_one_point(self) -> None:
        path = spiral_cameras(self.square(), 80, focus=4.0)
        eyes = np.stack([camera.eye_world for camera in path]) - (5, 6, 7)
        np.testing.assert_allclose(np.abs(eyes).max(0), (0.3, 0.2, 0.1), atol=1e-12)
        wanted = [(0.3, 0, 0), (0, 0.2, 0.1 * math.sqrt(0.5)), (-0.3, 0, 0.1)]
        np.testing.assert_allclose(eyes[[0, 10, 20]], wanted, atol=1e-12)
        np.testing.assert_allclose(eyes[40], (0.3, 0, 0), atol=1e-12)  # once around
        for camera in path:
            np.testing.assert_allclose(camera.project([(5, 6, 11)]), [(32, 24)], atol=1e-9)
            assert camera.c2w[1, 1] > 0.99  # upright

    def test_point_that_is_not_before_the_views_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="is not before them"):
            spiral_cameras(self.square(), 10, focus=-1.0)

    def test_views_that_look_all_around_have_no_middle(self) -> None:
        around = [ps.look_at_camera((math.cos(a), math.sin(a), 0), (0, 0, 0))
                  for a in np.arange(4) * math.pi / 2]  # fmt: skip
        with pytest.raises(CameraError, match="no mean direction"):
            spiral_cameras(around, 10, focus=1.0)
