"""What `plan` says is what `render` takes: for any camera, any size of picture and the smallest budgets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plenostream as ps
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.invariants import assert_same_picture
from plenostream.testing.pictures import open_renderer

pytestmark = pytest.mark.usefixtures("each_backend")

STEP = 100_000
"""Budgets are said in steps of 0.1 MB."""

SAME = 2e-5
"""The order of float32 sums differs with the waves."""

AXES = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""A camera that looks along x, every axis of it along one of the grid."""


def along_an_axis(turn: int, eye: tuple[float, float, float], size: tuple[int, int]) -> ps.Camera:
    """A camera with rows and columns of pixels whose rays run in parallel to faces of the grid."""
    width, height = size
    pose = np.column_stack([np.roll(AXES, turn, axis=0), np.roll(eye, turn)])
    return ps.Camera(
        c2w=pose, fx=30.0, fy=30.0, cx=width / 2, cy=height / 2, width=width, height=height
    )


SIZES = st.tuples(st.integers(1, 150), st.integers(1, 90))
NEAR_OR_FAR = st.sampled_from([-3.0, -1.5, -1.0, -0.4, 0.0, 0.2, 1.0, 1.5, 4.0])
ALONG_AXES = st.builds(
    along_an_axis, st.integers(0, 2), st.tuples(NEAR_OR_FAR, NEAR_OR_FAR, NEAR_OR_FAR), SIZES
)
SLANTED = st.builds(
    lambda eye, target, size: ps.look_at_camera(eye, target, size=size),
    st.tuples(st.floats(1.2, 3.0), st.floats(-2.0, 2.0), st.floats(-2.0, 2.0)),
    st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)),
    SIZES,
)


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(gyroid, brick_size=8)


BESIDE = along_an_axis(1, (-1.5, 0.2, 4.0), (107, 61))
"""One for every backend: others have it compile programs for pictures of another size."""


@pytest.mark.slow
@pytest.mark.one_backend
@given(camera=st.one_of(ALONG_AXES, SLANTED))
@settings(max_examples=12)
def test_smallest_budgets_that_plan_names_render_the_same_picture_for_any_camera(
    scene: Path, camera: ps.Camera
) -> None:
    check_smallest_budgets(scene, camera)


@pytest.mark.slow
def test_smallest_budgets_that_plan_names_render_the_same_picture(scene: Path) -> None:
    check_smallest_budgets(scene, BESIDE)


def check_smallest_budgets(scene: Path, camera: ps.Camera) -> None:
    with open_renderer(scene, device_memory="1GB", host_memory="1GB") as renderer:
        plan, ample = renderer.plan(camera), renderer.render(camera)
    least = {
        "device_memory": plan.smallest_budget_bytes,
        "host_memory": plan.smallest_host_bytes,
    }
    with open_renderer(scene, **least) as renderer:
        tight_plan, tight = renderer.plan(camera), renderer.render(camera)
    for said, picture in ((plan, ample), (tight_plan, tight)):
        stats = picture.stats
        assert stats.planned_device_bytes == said.planned_device_bytes
        assert stats.planned_host_bytes == said.planned_host_bytes
        assert stats.peak_device_bytes <= said.planned_device_bytes <= said.allowed_device_bytes
        assert stats.peak_host_bytes <= said.planned_host_bytes <= said.allowed_host_bytes
        assert stats.bands == said.n_bands
    assert_same_picture(tight, ample, at_most=SAME)


@pytest.mark.one_backend
@given(camera=st.one_of(ALONG_AXES, SLANTED), of=st.sampled_from(["device", "host"]))
@settings(max_examples=12)
def test_less_than_the_smallest_budget_is_refused_alike_by_plan_and_render_for_any_camera(
    scene: Path, camera: ps.Camera, of: str
) -> None:
    check_refusal(scene, camera, of)


@pytest.mark.parametrize("of", ["device", "host"])
def test_less_than_the_smallest_budget_is_refused_alike_by_plan_and_render(
    scene: Path, of: str
) -> None:
    check_refusal(scene, BESIDE, of)


def check_refusal(scene: Path, camera: ps.Camera, of: str) -> None:
    # Not both at once: a picture in smaller bands, for want of the one, takes less of the other.
    allowed: dict[str, Any] = {"device_memory": "1GB", "host_memory": "1GB"}
    with open_renderer(scene, **allowed) as renderer:
        plan = renderer.plan(camera)
    smallest = plan.smallest_budget_bytes if of == "device" else plan.smallest_host_bytes
    allowed[f"{of}_memory"] = smallest - STEP
    with open_renderer(scene, **allowed) as renderer:
        for use in (renderer.plan, renderer.render):
            with pytest.raises(ps.BudgetError, match=f"the {of} memory allowed") as refused:
                use(camera)
            assert refused.value.smallest_bytes == smallest
