"""What a renderer is handed is checked before it is used, without a warning of NumPy's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.pictures import open_renderer

pytestmark = pytest.mark.usefixtures("each_backend")

VIEW = ps.look_at_camera((2.0, 1.0, 1.0), (0.0, 0.0, 0.0), size=(24, 16))
ORIGINS, DIRS = [[-3.0, 0.1, 0.2]], [[1.0, 0.01, 0.02]]
NO_RAYS = [
    [["a"]], "x", b"x", None, 0, {}, [], object(), [1.0, 2.0, 3.0], [[1.0, 2.0]], [[1, 2], [3]],
    [[None, 0, 1]], [[1j, 0, 1]], [[True, False, True]], [[np.nan, 0, 1]], [[np.inf, 0, 1]],
    [[10**400, 0, 1]], np.ma.masked_all((1, 3)), [[np.ma.masked, 0, 1]],
    np.array([["2020-01-01"] * 3], "M8[D]"),
]  # fmt: skip


@pytest.fixture(scope="module")
def scene(tiny: CheckpointArrays, make_scene: Any) -> Path:
    return make_scene(tiny)  # type: ignore[no-any-return]


@pytest.fixture
def renderer(scene: Path) -> Any:
    with open_renderer(scene) as made:
        yield made


@pytest.mark.one_backend
def test_what_is_no_table_of_numbers_is_no_rays(renderer: ps.Renderer) -> None:
    for value in NO_RAYS:
        with pytest.raises(ps.InvalidInput, match="^origins"):
            renderer.render_rays(value, DIRS)  # type: ignore[arg-type]
        with pytest.raises(ps.InvalidInput, match="^directions"):
            renderer.render_rays(ORIGINS, value)  # type: ignore[arg-type]


@pytest.mark.one_backend
def test_origin_beyond_float32_is_refused(renderer: ps.Renderer) -> None:
    with pytest.raises(ps.InvalidInput, match=r"origins of ray 1 .* up to 1e30"):
        renderer.render_rays([[0, 0, 0], [1e39, 0, 0]], [[1, 0, 0]] * 2)


@pytest.mark.parametrize("factor", [1e-300, 1e-30, 1e30, 1e300])
def test_length_of_a_direction_does_not_matter(renderer: ps.Renderer, factor: float) -> None:
    seen = renderer.render_rays(ORIGINS, np.array(DIRS) * factor)
    # The factor is no power of two: the direction itself is rounded.
    np.testing.assert_allclose(seen.rgb, renderer.render_rays(ORIGINS, DIRS).rgb, atol=1e-6)


def test_no_rays_have_no_colours(renderer: ps.Renderer) -> None:
    seen = renderer.render_rays(np.zeros((0, 3)), np.zeros((0, 3)))
    assert (seen.rgb.shape, seen.alpha.shape, seen.depth.shape) == ((0, 3), (0,), (0,))


@pytest.mark.one_backend
@pytest.mark.parametrize("camera", [None, "x", 3, object()], ids=lambda v: type(v).__name__)
def test_what_is_no_camera_is_refused(renderer: ps.Renderer, camera: Any) -> None:
    for ask in (renderer.render, renderer.plan):
        with pytest.raises(ps.InvalidInput, match="^camera is .* expected a Camera"):
            ask(camera)


@pytest.mark.one_backend
def test_what_is_no_scene_or_no_options_is_refused(scene: Path) -> None:
    for wrong in (None, "path", Path("path"), 3):
        with pytest.raises(ps.InvalidInput, match="^scene is "):
            ps.Renderer(wrong)
    with ps.open_scene(scene) as opened:
        with pytest.raises(ps.InvalidInput, match="^scene is "):
            ps.Renderer(opened.store)  # type: ignore[arg-type]
        with pytest.raises(ps.InvalidInput, match="^options is "):
            ps.convert("no.npz", "no", {"codec": "lz4"})  # type: ignore[arg-type]
        with pytest.raises(ps.InvalidInput, match="^options is "):
            ps.Renderer(opened, {})  # type: ignore[arg-type]
        with pytest.raises(ps.InvalidInput, match="^stream is "):
            ps.Renderer(opened, stream="8GB")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "camera",
    [
        ps.look_at_camera((1e30, -1e30, 1e30), (0, 0, 0), size=(8, 8)),
        ps.look_at_camera((1e-29, 0, 0), (0, 0, 0), size=(8, 8)),
        ps.look_at_camera((2, 1, 1), (0, 0, 0), fov_degrees=1e-3, size=(8, 8)),
        ps.look_at_camera((2, 1, 1), (0, 0, 0), fov_degrees=179.9, size=(8, 8)),
    ],
    ids=["far", "near", "narrow", "wide"],
)
def test_camera_at_the_limits_of_its_rules_gives_a_finite_picture(
    renderer: ps.Renderer, camera: ps.Camera
) -> None:
    picture = renderer.render(camera)
    assert np.isfinite(picture.rgb).all()
    assert np.isfinite(picture.depth).all()


@pytest.mark.cpu  # a GPU draws rays in one part, whatever the threads
@pytest.mark.one_backend  # names its own
@pytest.mark.parametrize(
    "memory",
    [
        pytest.param({}, id="default", marks=pytest.mark.slow),
        pytest.param({"host_memory": "64MB"}, id="host"),
        pytest.param({"device_memory": "32MB"}, id="device", marks=pytest.mark.slow),
    ],
)
def test_too_many_threads_are_told_how_many_would_do(scene: Path, memory: dict[str, Any]) -> None:
    with (
        pytest.raises(ps.BudgetError, match="threads or fewer") as refused,
        open_renderer(scene, backend="xla", n_threads=1000, **memory) as renderer,
    ):
        renderer.plan(VIEW)
    assert "smaller" not in str(refused.value).replace("too small", "")
    said = re.search(r"use (\d+) threads", str(refused.value))
    assert said is not None
    with open_renderer(scene, backend="xla", n_threads=int(said[1]), **memory) as renderer:
        renderer.plan(VIEW)
