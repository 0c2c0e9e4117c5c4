"""One picture whatever the way it is made: bricks, pools, waves, tiles, threads, caches, rays.

Two ways differ by at most 2e-5. The sample lattice and each sample's density and colour are the
same float32 numbers in all of them; what differs is the order in which samples are multiplied
and added up, since the boundaries of bricks and waves cut a ray in other places. The same
configuration twice gives the same bits, but with `xla` on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream.engine.session import Lot, Session
from plenostream.plan import CameraView
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.invariants import assert_same_picture, assert_sound
from plenostream.testing.pictures import crop, open_renderer, rays_of

pytestmark = pytest.mark.usefixtures("each_backend")

Scenes = Callable[..., Path]

SAME = 2e-5
SIZE = (104, 72)
VIEWS = {
    "whole": ps.look_at_camera((2.6, 1.1, 1.3), (0.0, 0.0, 0.0), fov_degrees=45.0, size=SIZE),
    "near": ps.look_at_camera((1.1, 0.3, -0.4), (0.0, 0.1, 0.0), fov_degrees=60.0, size=SIZE),
    "inside": ps.look_at_camera((0.1, -0.2, 0.1), (1.0, 0.4, 0.3), fov_degrees=80.0, size=SIZE),
}

ONE_FOR_ALL = [
    name if name == "near" else pytest.param(name, marks=pytest.mark.one_backend) for name in VIEWS
]
"""Every backend draws one view in each way, `native` all of them: what a view shows is the planner's."""


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Scenes) -> Path:
    return make_scene(gyroid)


@pytest.fixture(scope="module")
def plain(scene: Path, each_backend: str) -> dict[str, ps.RenderResult]:
    """Each view, everything resident, one wave."""
    pictures = {}
    for name, camera in VIEWS.items():
        with open_renderer(scene, n_threads=1) as renderer:
            pictures[name] = renderer.render(camera)
    return pictures


def budgets(scene: Path, camera: ps.Camera) -> dict[str, int]:
    """The smallest budget, one in which not every brick fits, and one in which all do."""
    with open_renderer(scene) as renderer:
        plan = renderer.plan(camera)
    smallest = plan.smallest_budget_bytes
    return {
        "smallest": smallest,
        "half": smallest + plan.working_set_bytes // 2,
        "ample": plan.planned_device_bytes,
    }


@pytest.mark.parametrize("view", VIEWS)
def test_picture_is_sound_and_shows_something(plain: dict[str, ps.RenderResult], view: str) -> None:
    picture = plain[view]
    assert_sound(picture.rgb, picture.alpha, picture.depth, background=1.0)
    assert picture.alpha.mean() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("view", ONE_FOR_ALL)
def test_same_configuration_twice_gives_the_same_bits(
    scene: Path, plain: dict[str, ps.RenderResult], view: str, same_bits: float
) -> None:
    with open_renderer(scene, n_threads=1) as renderer:
        again = renderer.render(VIEWS[view])
    assert_same_picture(again, plain[view], at_most=same_bits)


@pytest.mark.slow
@pytest.mark.parametrize("brick_size", [8, 32])
@pytest.mark.parametrize("view", ONE_FOR_ALL)
def test_brick_size_changes_nothing(
    gyroid: CheckpointArrays,
    make_scene: Scenes,
    plain: dict[str, ps.RenderResult],
    view: str,
    brick_size: int,
) -> None:
    with open_renderer(make_scene(gyroid, brick_size=brick_size)) as renderer:
        picture = renderer.render(VIEWS[view])
    assert_same_picture(picture, plain[view], at_most=SAME)


@pytest.mark.slow
@pytest.mark.parametrize(
    "budget", ["smallest", pytest.param("half", marks=pytest.mark.one_backend), "ample"]
)
@pytest.mark.parametrize("view", ONE_FOR_ALL)
def test_size_of_the_pool_changes_nothing(
    scene: Path, plain: dict[str, ps.RenderResult], view: str, budget: str
) -> None:
    allowed = budgets(scene, VIEWS[view])[budget]
    with open_renderer(scene, device_memory=allowed) as renderer:
        picture = renderer.render(VIEWS[view])
    assert_same_picture(picture, plain[view], at_most=SAME)


def test_small_pool_is_what_forces_a_frame_into_many_waves(scene: Path) -> None:
    smallest = budgets(scene, VIEWS["whole"])["smallest"]
    with open_renderer(scene, device_memory=smallest) as renderer:
        picture = renderer.render(VIEWS["whole"])
    # Seven shells at most (3 bricks an axis): more waves mean that a shell was split.
    assert picture.stats.waves > 7


FAR: dict[str, dict[str, Any]] = {
    "plain": {},
    "samples": {"samples": 2, "outputs": ("rgb", "alpha", "depth", "median-depth", "normals")},
}


@pytest.mark.parametrize("name", ["plain", pytest.param("samples", marks=pytest.mark.one_backend)])
def test_leaving_out_tiles_that_see_nothing_changes_no_bit(
    scene: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    draw = Session.draw

    def watched(session: Session, layout: Any, lots: Iterator[Lot], *more: Any) -> Any:
        waiting = list(lots)
        drawn.append(sum(lot.rays.n_tiles for lot in waiting))
        return draw(session, layout, iter(waiting), *more)

    monkeypatch.setattr(Session, "draw", watched)
    camera = ps.look_at_camera((9.0, 4.0, 4.0), (0.0, 0.0, 0.0), fov_degrees=50.0, size=SIZE)
    options = {"background": (0.3, 0.7, 0.1), **FAR[name]}
    with open_renderer(scene, options=options, n_threads=1) as renderer:
        few = renderer.render(camera)
        monkeypatch.setattr(CameraView, "tiles_seen", lambda view: np.ones(view.n_tiles, np.bool_))
        whole = renderer.render(camera)
    assert 0.01 < (whole.alpha > 0.0).mean() < 0.1
    assert drawn[0] < drawn[1] / 3
    assert_same_picture(few, whole, at_most=0.0)
    for output in set(FAR[name].get("outputs", ())) - {"rgb", "alpha", "depth"}:
        field = output.replace("-", "_")
        np.testing.assert_array_equal(getattr(few, field), getattr(whole, field))


@pytest.mark.slow
@pytest.mark.parametrize("n_threads", [2, 3])
@pytest.mark.parametrize("view", ONE_FOR_ALL)
def test_number_of_threads_changes_nothing(
    scene: Path, plain: dict[str, ps.RenderResult], view: str, n_threads: int
) -> None:
    with open_renderer(scene, n_threads=n_threads) as renderer:
        picture = renderer.render(VIEWS[view])
    assert_same_picture(picture, plain[view], at_most=SAME)


@pytest.mark.slow
@pytest.mark.parametrize("budget", ["smallest", "ample"])
def test_frames_rendered_before_change_nothing(
    scene: Path, plain: dict[str, ps.RenderResult], budget: str
) -> None:
    allowed = max(budgets(scene, camera)[budget] for camera in VIEWS.values())
    with open_renderer(scene, device_memory=allowed) as renderer:
        for name in ("whole", "near", "whole", "inside", "whole"):
            picture = renderer.render(VIEWS[name])
            assert_same_picture(picture, plain[name], at_most=SAME)


def test_small_host_cache_changes_nothing(scene: Path, plain: dict[str, ps.RenderResult]) -> None:
    with open_renderer(scene) as renderer:
        needed = renderer.plan(VIEWS["whole"]).planned_host_bytes
    with open_renderer(scene, host_memory=needed) as renderer:
        picture = renderer.render(VIEWS["whole"])
    assert_same_picture(picture, plain["whole"], at_most=SAME)


@pytest.mark.slow
def test_precision_changes_nothing_where_every_value_is_exact_in_float16(
    scene: Path, plain: dict[str, ps.RenderResult]
) -> None:
    with open_renderer(scene, precision="float32") as renderer:
        picture = renderer.render(VIEWS["whole"])
    assert_same_picture(picture, plain["whole"], at_most=SAME)


@pytest.mark.slow
@pytest.mark.parametrize("view", ONE_FOR_ALL)
def test_rays_of_a_camera_see_its_picture(
    scene: Path, plain: dict[str, ps.RenderResult], view: str
) -> None:
    origins, dirs = rays_of(VIEWS[view])
    with open_renderer(scene) as renderer:
        seen = renderer.render_rays(origins, dirs)
    picture = plain[view]
    np.testing.assert_allclose(seen.rgb, picture.rgb.reshape(-1, 3), rtol=0, atol=SAME)
    np.testing.assert_allclose(seen.alpha, picture.alpha.reshape(-1), rtol=0, atol=SAME)
    np.testing.assert_allclose(seen.depth, picture.depth.reshape(-1), rtol=0, atol=5 * SAME)


@pytest.mark.slow
def test_order_of_the_rays_changes_nothing(scene: Path) -> None:
    origins, dirs = rays_of(VIEWS["near"])
    shuffled = np.random.default_rng(0).permutation(len(origins))
    with open_renderer(scene) as renderer:
        straight = renderer.render_rays(origins, dirs)
        mixed = renderer.render_rays(origins[shuffled], dirs[shuffled])
    np.testing.assert_allclose(mixed.rgb, straight.rgb[shuffled], rtol=0, atol=SAME)
    np.testing.assert_allclose(mixed.alpha, straight.alpha[shuffled], rtol=0, atol=SAME)
    np.testing.assert_allclose(mixed.depth, straight.depth[shuffled], rtol=0, atol=5 * SAME)


@pytest.mark.parametrize(
    ("left", "top", "width", "height"),
    [(0, 0, 8, 8), (37, 21, 30, 19), (103, 71, 1, 1), (50, 0, 3, 72)],
)
def test_part_of_a_picture_is_the_picture_of_that_part(
    scene: Path,
    plain: dict[str, ps.RenderResult],
    left: int,
    top: int,
    width: int,
    height: int,
) -> None:
    with open_renderer(scene) as renderer:
        part = renderer.render(crop(VIEWS["whole"], left=left, top=top, width=width, height=height))
    whole = plain["whole"]
    rows, columns = slice(top, top + height), slice(left, left + width)
    np.testing.assert_allclose(part.rgb, whole.rgb[rows, columns], rtol=0, atol=SAME)
    np.testing.assert_allclose(part.alpha, whole.alpha[rows, columns], rtol=0, atol=SAME)
    np.testing.assert_allclose(part.depth, whole.depth[rows, columns], rtol=0, atol=5 * SAME)
