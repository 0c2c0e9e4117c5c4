"""Options of the picture, in the smallest budget and with other threads: the same picture, in the plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream.errors import BudgetError
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.invariants import assert_same_picture
from plenostream.testing.pictures import open_renderer

pytestmark = pytest.mark.usefixtures("each_backend")

SAME = 2e-5
SIZE = (56, 40)
INSIDE = ps.look_at_camera((0.1, -0.2, 0.1), (1.0, 0.4, 0.3), fov_degrees=80.0, size=SIZE)
OUTSIDE = ps.look_at_camera((2.4, 0.9, 0.8), (0.0, 0.0, 0.0), fov_degrees=50.0, size=SIZE)
NDC = {"ndc": (56, 40, 50, 45)}


def forward(x: float, y: float, z: float) -> ps.Camera:
    """A camera there that looks along +z."""
    return ps.Camera(np.column_stack([np.eye(3), (x, y, z)]), 50.0, 45.0, 28.0, 20.0, *SIZE)


CASES: dict[str, tuple[dict[str, Any], ps.Camera]] = {
    "ellipsoid, from inside": ({"spheric_clip": True}, INSIDE),
    "ellipsoid, from outside": ({"spheric_clip": True, "near_clip": 0.3}, OUTSIDE),
    "far cap": ({"far_cap": 63.3}, OUTSIDE),
    "opaque end": ({"last_sample_opaque": True}, INSIDE),
    "nvol": ({"model": "nvol"}, INSIDE),
    "ndc": (NDC, forward(-0.2, 0.1, 0.3)),
    "ndc, towards a point": (NDC, forward(0.1, 0.0, -0.2)),
    "ndc, from within": (NDC, forward(-0.2, 0.1, 1.6)),
}


ON_EVERY_BACKEND = ("ellipsoid, from inside", "nvol")
"""With other programs than a plain picture has; `native` draws all cases."""


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(gyroid)


@pytest.mark.parametrize(
    "name",
    [
        name if name in ON_EVERY_BACKEND else pytest.param(name, marks=pytest.mark.one_backend)
        for name in CASES
    ],
)
def test_smallest_budget_and_more_threads_change_nothing(scene: Path, name: str) -> None:
    options, camera = CASES[name]
    with open_renderer(scene, options=options, n_threads=1) as renderer:
        plan = renderer.plan(camera)
        whole = renderer.render(camera)
    smallest = plan.smallest_budget_bytes
    with open_renderer(scene, options=options, n_threads=1, device_memory=smallest) as renderer:
        again = renderer.plan(camera)
        small = renderer.render(camera)
    assert whole.alpha.max() > 0.5
    assert_same_picture(small, whole, at_most=SAME)
    assert small.stats.waves > whole.stats.waves
    assert again.bricks_visible == plan.bricks_visible >= whole.stats.bricks_read
    for picture in (whole, small):
        stats = picture.stats
        assert stats.peak_device_bytes <= stats.planned_device_bytes <= stats.allowed_device_bytes
        assert stats.peak_host_bytes <= stats.planned_host_bytes <= stats.allowed_host_bytes
    with open_renderer(scene, options=options, n_threads=3) as renderer:
        assert_same_picture(renderer.render(camera), whole, at_most=SAME)
    with (
        open_renderer(scene, options=options, device_memory=smallest // 2) as renderer,
        pytest.raises(BudgetError),
    ):
        renderer.render(camera)
