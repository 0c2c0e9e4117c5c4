"""The camera itself: what it takes, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from plenostream.cameras import Camera, look_at_camera
from plenostream.errors import CameraError, InvalidInput


def make_camera(**changes: Any) -> Camera:
    values: dict[str, Any] = {
        "c2w": np.eye(4), "fx": 50.0, "fy": 60.0, "cx": 20.0, "cy": 10.0, "width": 40, "height": 20,
    }  # fmt: skip
    return Camera(**{**values, **changes})


def project(camera: Camera, point_world: NDArray[np.float64]) -> tuple[float, float, float]:
    """Column, row and depth of a point in the picture, by the definition in `Camera`."""
    x, y, z = camera.c2w[:, :3].T @ (point_world - camera.eye_world)
    return camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy, z


class TestCamera:
    @pytest.mark.parametrize("shape", [(3, 4), (4, 4)], ids=str)
    def test_takes_a_matrix_of_three_or_four_rows(self, shape: tuple[int, int]) -> None:
        assert make_camera(c2w=np.eye(4)[: shape[0]]).c2w.shape == (3, 4)

    def test_keeps_its_own_read_only_copy_of_the_matrix(self) -> None:
        matrix = np.eye(4)
        camera = make_camera(c2w=matrix)
        matrix[0, 3] = 7.0
        assert camera.eye_world[0] == 0.0
        with pytest.raises(ValueError, match="read-only"):
            camera.c2w[0, 3] = 1.0

    def test_accepts_rotations_rounded_to_three_decimals(self) -> None:
        rounded = np.round(look_at_camera((3.0, -2.0, 1.5), (0.1, 0.2, 0.3)).c2w, 3)
        np.testing.assert_array_equal(make_camera(c2w=rounded).c2w, rounded)

    @pytest.mark.parametrize(
        ("c2w", "message"),
        [
            (5.0, "a single number"),
            ([[1, 0], [0, 1]], "is 2x2"),
            (np.eye(5), "is 5x5"),
            ([[1, 0, 0, 0], [0, 1, 0], [0, 0, 1, 0]], "not a table"),
            ([["a"] * 4] * 4, "not a table"),
            (np.diag([1, math.nan, 1, 1]), "holds nan in row 1, column 1"),
            (np.diag([1, 1, 1, 2]), "ends in the row 0 0 0 2"),
            (np.diag([2, 2, 2, 1]), "lengths 2, 2, 2"),
            (np.diag([1e300, 1, 1, 1]), r"lengths 1e\+300, 1, 1"),
            (np.zeros((3, 4)), "lengths 0, 0, 0"),
            ([[1, 0.6, 0, 0], [0, 0.8, 0, 0], [0, 0, 1, 0]], "right angles"),
            (np.diag([1, 1, -1, 1]), "mirrors"),
            (np.eye(4) * (1 + 0j), "complex128"),
            (np.eye(4, dtype=bool), "bool"),
            ([["1", "0", "0", "0"]] * 3, "not a table"),
            (None, "it holds None"),
            ([[1, 0, 0, 1e39], [0, 1, 0, 0], [0, 0, 1, 0]], "position of 1e[+]39"),
            ([[10**400] * 4] * 4, "too large"),
        ],
    )
    def test_refuses_matrices_that_are_no_pose(self, c2w: object, message: str) -> None:
        with pytest.raises(CameraError, match=message):
            make_camera(c2w=c2w)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"fx": 0.0}, "fx is 0.0"),
            ({"fy": -1.0}, "fy is -1.0"),
            ({"cx": math.inf}, "cx is inf"),
            ({"cy": math.nan}, "cy is nan"),
            ({"fx": "50"}, "fx is '50'"),
            ({"fx": 10**400}, "fx is 1000"),
            ({"cx": 1e39}, "cx is 1e[+]39; expected at most"),
            ({"fx": 1e-300}, "at least"),
            ({"fx": 1j}, "expected a number"),
            ({"fy": None}, "fy is None"),
            ({"width": "40"}, "width is '40'"),
            ({"width": 0}, "width is 0"),
            ({"height": 70_000}, "height is 70000"),
            ({"width": 40.0}, "width is 40.0"),
            ({"height": True}, "height is True"),
        ],
        ids=lambda value: None if isinstance(value, dict) else value,
    )
    def test_refuses_intrinsics_that_cannot_be(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(CameraError, match=message):
            make_camera(**changes)

    def test_resizing_keeps_every_ray_through_the_same_part_of_the_picture(self) -> None:
        camera = make_camera()
        wide = camera.resized(120, 30)
        assert (wide.width, wide.height) == (120, 30)
        column, row, _ = project(camera, np.array([0.3, -0.2, 2.0]))
        column_wide, row_wide, _ = project(wide, np.array([0.3, -0.2, 2.0]))
        np.testing.assert_allclose([column_wide / 3, row_wide / 1.5], [column, row], rtol=1e-12)

    @pytest.mark.parametrize("edge", [0, "40", None, 2.5, True, 70_000], ids=str)
    def test_is_not_resized_to_what_is_no_number_of_pixels(self, edge: Any) -> None:
        with pytest.raises(InvalidInput, match="size is"):
            make_camera().resized(edge, 20)
