"""Fixtures of the tests of cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from camera_files import ANGLE, write_json


@pytest.fixture
def transforms(tmp_path: Path) -> Path:
    """A NeRF-synthetic file of 13 frames at x = 0, 3, 6, ..."""
    frames = []
    for number in range(13):
        matrix = np.eye(4)
        matrix[0, 3] = 3.0 * number
        frames.append({"file_path": f"./train/r_{number}", "transform_matrix": matrix.tolist()})
    return write_json(tmp_path / "transforms.json", {"camera_angle_x": ANGLE, "frames": frames})
