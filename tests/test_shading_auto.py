"""`shading="auto"` against exact pictures: within the tolerance from far, near and inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import plenostream as ps
from plenostream.stats import FrameStats
from plenostream.testing import checkpoints
from plenostream.testing.pictures import open_renderer

Scenes = Callable[..., Path]

DATA = Path(__file__).resolve().parents[1] / "data"
TOLERANCE = 1e-3
VIEWS = {
    "far": ps.look_at_camera((9.0, -7.0, 6.0), (0.0, 0.0, 0.0), fov_degrees=12.0, size=(120, 90)),
    "near": ps.look_at_camera((1.1, -0.9, 0.6), (0.0, 0.1, 0.0), fov_degrees=60.0, size=(120, 90)),
    "inside": ps.look_at_camera(
        (0.12, -0.31, 0.21), (0.5, 0.3, -0.1), fov_degrees=90.0, size=(120, 90)
    ),
}


@pytest.fixture(scope="module")
def still(make_scene: Scenes) -> Path:
    return make_scene(DATA / "still_128.npz")


@pytest.fixture(scope="module")
def colourful(make_scene: Scenes) -> Path:
    """Every voxel of another colour, and each colour another from every side."""
    return make_scene(checkpoints.random_checkpoint(4, size=(40, 33, 37), active_share=0.3))


def pictures(
    scene: Path, camera: ps.Camera, **options: float
) -> tuple[np.ndarray, np.ndarray, FrameStats]:
    """Exact and auto colours, and the counters of auto."""
    with open_renderer(scene) as renderer:
        exact = renderer.render(camera)
    with open_renderer(scene, options={"shading": "auto", **options}) as renderer:
        auto = renderer.render(camera)
    assert (auto.alpha == exact.alpha).all()
    assert (auto.depth == exact.depth).all()
    return exact.rgb, auto.rgb, auto.stats


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("scene", ["still", "colourful"])
def test_auto_stays_within_its_tolerance(
    scene: str, view: str, request: pytest.FixtureRequest
) -> None:
    exact, auto, _ = pictures(request.getfixturevalue(scene), VIEWS[view])
    assert np.abs(auto - exact).max() <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("view", VIEWS)
def test_auto_stays_within_its_tolerance_on_a_trained_model(
    shared: Path, make_scene: Scenes, view: str
) -> None:
    scene = make_scene(shared / "models" / "still_256.npz")
    exact, auto, stats = pictures(scene, VIEWS[view])
    assert np.abs(auto - exact).max() <= TOLERANCE
    if view == "far":
        assert stats.bricks_reduced > 0.8 * stats.bricks_visible


def test_most_bricks_of_the_sample_model_are_reduced_from_afar(still: Path) -> None:
    exact, auto, stats = pictures(still, VIEWS["far"])
    assert stats.bricks_reduced > 0.5 * stats.bricks_visible
    assert np.abs(auto - exact).max() > 0


def test_bricks_around_the_eye_are_shaded_exactly(still: Path) -> None:
    _, _, stats = pictures(still, VIEWS["inside"])
    assert 0 < stats.bricks_reduced < stats.bricks_visible


def test_tolerance_of_zero_is_exact(still: Path) -> None:
    exact, auto, stats = pictures(still, VIEWS["near"], shading_tolerance=0.0)
    assert stats.bricks_reduced == stats.rows_reduced == 0
    assert (auto == exact).all()


def test_wider_tolerance_reduces_more_bricks(colourful: Path) -> None:
    counts = [
        pictures(colourful, VIEWS["far"], shading_tolerance=tolerance)[2].bricks_reduced
        for tolerance in (1e-4, 4e-3, 1.0)
    ]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_rows_are_reduced_once_for_an_eye(still: Path) -> None:
    far, near = VIEWS["far"], VIEWS["near"]
    with open_renderer(still, options={"shading": "auto"}) as renderer:
        counts = [renderer.render(camera).stats.rows_reduced for camera in (far, far, near, near)]
    assert counts[0] > 0
    assert counts[2] > 0
    assert counts[1] == counts[3] == 0


def test_what_is_streamed_is_shaded_like_what_is_resident(still: Path) -> None:
    options = {"shading": "auto"}
    with open_renderer(still, options=options) as renderer:
        whole = renderer.render(VIEWS["near"])
        least = renderer.plan(VIEWS["near"]).smallest_budget_bytes
    with open_renderer(still, options=options, device_memory=least + 600_000) as renderer:
        streamed = renderer.render(VIEWS["near"])
    assert streamed.stats.waves > whole.stats.waves
    np.testing.assert_allclose(streamed.rgb, whole.rgb, rtol=0, atol=2e-5)


@pytest.mark.parametrize("basis_dim", [1, 4, 25])
def test_bases_that_gain_nothing_are_shaded_exactly(make_scene: Scenes, basis_dim: int) -> None:
    scene = make_scene(checkpoints.random_checkpoint(9, size=(20, 20, 20), basis_dim=basis_dim))
    exact, auto, stats = pictures(scene, VIEWS["far"])
    assert stats.bricks_reduced == 0
    assert (auto == exact).all()


def test_arbitrary_rays_are_shaded_exactly(colourful: Path) -> None:
    origins = np.repeat([[3.0, 0.2, 0.1]], 64, 0)
    directions = np.random.default_rng(3).normal(size=(64, 3)) * 0.2 + [-1.0, 0.0, 0.0]
    with open_renderer(colourful) as renderer:
        exact = renderer.render_rays(origins, directions).rgb
    with open_renderer(colourful, options={"shading": "auto"}) as renderer:
        auto = renderer.render_rays(origins, directions).rgb
    assert (auto == exact).all()
