"""Budgets are contracts: measured <= planned <= allowed, or a refusal before anything is read."""

from __future__ import annotations

import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest

import plenostream as ps
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.invariants import assert_same_picture
from plenostream.testing.pictures import open_renderer, rays_around, rays_of

pytestmark = pytest.mark.usefixtures("each_backend")

Scenes = Callable[..., Path]

SAME = 2e-5
VIEW = ps.look_at_camera((2.6, 1.1, 1.3), (0.0, 0.0, 0.0), fov_degrees=45.0, size=(104, 72))


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Scenes) -> Path:
    return make_scene(gyroid)


@pytest.fixture(scope="module")
def unreadable(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same scene without a single chunk of rows: whoever reads one gets an error."""
    copy = tmp_path_factory.mktemp("unreadable") / "scene.zarr"
    shutil.copytree(scene, copy)
    for array in ("density", "sh"):
        shutil.rmtree(copy / "rows" / array / "c")
    return copy


def plan_of(scene: Path, camera: ps.Camera = VIEW, **stream) -> ps.RenderPlan:
    with open_renderer(scene, **stream) as renderer:
        return renderer.plan(camera)


def test_plan_adds_up_and_says_what_was_allowed(scene: Path) -> None:
    plan = plan_of(scene, device_memory="1GB", host_memory="500MB").to_dict()
    assert plan["allowed_device_bytes"] == 1_000_000_000
    assert plan["allowed_host_bytes"] == 500_000_000
    assert sum(plan["items"]["device"].values()) == plan["planned_device_bytes"]
    assert sum(plan["items"]["host"].values()) == plan["planned_host_bytes"]
    assert plan["smallest_budget_bytes"] <= plan["planned_device_bytes"] <= 1_000_000_000
    assert plan["planned_host_bytes"] <= 500_000_000


def test_plan_reads_no_chunk_and_allocates_nothing_on_the_device(unreadable: Path) -> None:
    before = {id(array) for array in jax.live_arrays()}
    plan_of(unreadable)
    assert [array.shape for array in jax.live_arrays() if id(array) not in before] == []


def test_plan_depends_on_the_view_and_not_on_what_was_rendered_before(scene: Path) -> None:
    with open_renderer(scene) as renderer:
        first = renderer.plan(VIEW).to_dict()
        renderer.render(VIEW)
        assert renderer.plan(VIEW).to_dict() == first


SHARES = {"smallest": 0.0, "a third more": 0.3, "planned": 1.0}
ON_EVERY_BACKEND = [("smallest", "float16"), ("a third more", "float32"), ("planned", "float16")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("share", "precision"),
    [
        pytest.param(
            SHARES[share],
            precision,
            id=f"{share}-{precision}",
            marks=() if (share, precision) in ON_EVERY_BACKEND else pytest.mark.one_backend,
        )
        for share in SHARES
        for precision in ("float16", "float32")
    ],
)
def test_measured_is_at_most_planned_and_planned_at_most_allowed(
    scene: Path, share: float, precision: str
) -> None:
    ample = plan_of(scene, precision=precision)
    smallest = ample.smallest_budget_bytes
    allowed = smallest + int(share * (ample.planned_device_bytes - smallest))
    with open_renderer(scene, precision=precision, device_memory=allowed) as renderer:
        plan = renderer.plan(VIEW)
        stats = renderer.render(VIEW).stats
        again = renderer.render(VIEW).stats
    assert plan.planned_device_bytes <= allowed
    for frame in (stats, again):
        assert 0 < frame.peak_device_bytes <= frame.planned_device_bytes <= allowed
        assert 0 < frame.peak_host_bytes <= frame.planned_host_bytes <= frame.allowed_host_bytes


@pytest.mark.slow
def test_budget_for_rays_is_kept_too(scene: Path) -> None:
    allowed = plan_of(scene).planned_device_bytes
    with open_renderer(scene, device_memory=allowed) as renderer:
        stats = renderer.render_rays(*rays_around(1, 2000)).stats
    assert stats.peak_device_bytes <= stats.planned_device_bytes <= allowed


@pytest.mark.parametrize(
    "precision",
    [
        "float16",
        pytest.param("float32", marks=[pytest.mark.slow, pytest.mark.one_backend]),
    ],
)
def test_one_byte_less_than_the_smallest_budget_is_refused_before_a_chunk_is_read(
    unreadable: Path, precision: str
) -> None:
    smallest = plan_of(unreadable, precision=precision).smallest_budget_bytes

    def render_with(device_memory: int) -> None:
        with open_renderer(
            unreadable, precision=precision, device_memory=device_memory
        ) as renderer:
            renderer.render(VIEW)

    with pytest.raises(ps.BudgetError) as refusal:
        render_with(smallest - 1)
    assert refusal.value.exit_code == 3
    assert refusal.value.allowed_bytes == smallest - 1
    assert refusal.value.smallest_bytes == smallest
    assert refusal.value.planned_bytes > smallest - 1
    # One byte more, and it gets as far as the chunks that are not there.
    with pytest.raises(ps.BrickCorrupt):
        render_with(smallest)


@pytest.mark.slow
def test_smallest_budget_works_and_gives_the_same_picture(scene: Path) -> None:
    with open_renderer(scene) as renderer:
        ample = renderer.render(VIEW)
        smallest = renderer.plan(VIEW).smallest_budget_bytes
    with open_renderer(scene, device_memory=smallest) as renderer:
        picture = renderer.render(VIEW)
    assert_same_picture(picture, ample, at_most=SAME)


@pytest.mark.slow
def test_smallest_budget_does_not_grow_with_the_image(scene: Path) -> None:
    # Its ray state alone is sixteen times as large: it is rendered in tiles of rows.
    small = plan_of(scene, VIEW).smallest_budget_bytes
    large = plan_of(scene, VIEW.resized(VIEW.width, 16 * VIEW.height)).smallest_budget_bytes
    assert large <= 1.1 * small


def test_host_memory_that_cannot_hold_one_chunk_is_refused(unreadable: Path) -> None:
    with (
        pytest.raises(ps.BudgetError) as refusal,
        open_renderer(unreadable, host_memory=10_000) as renderer,
    ):
        renderer.render(VIEW)
    assert refusal.value.allowed_bytes == 10_000
    assert refusal.value.smallest_bytes > 10_000


def test_smallest_host_memory_named_in_the_refusal_works(scene: Path) -> None:
    with (
        pytest.raises(ps.BudgetError) as refusal,
        open_renderer(scene, host_memory=10_000) as renderer,
    ):
        renderer.render(VIEW)
    with open_renderer(scene) as renderer:
        ample = renderer.render(VIEW)
    with open_renderer(scene, host_memory=refusal.value.smallest_bytes) as renderer:
        picture = renderer.render(VIEW)
    assert_same_picture(picture, ample, at_most=SAME)


def wide(camera: ps.Camera, width: int) -> ps.Camera:
    return camera.resized(width, 24)


@pytest.mark.slow
@pytest.mark.one_backend  # what gives way, and when, is the planner's
def test_pool_gives_way_to_a_later_picture_that_needs_its_memory(scene: Path) -> None:
    # The first picture leaves all but its few rays to the pool.
    narrow, broad = wide(VIEW, 32), wide(VIEW, 1500)
    allowed = plan_of(scene, broad).smallest_budget_bytes
    with open_renderer(scene) as renderer:
        expected = renderer.render(broad)
    with open_renderer(scene, device_memory=allowed) as renderer:
        first = renderer.render(narrow)
        then = renderer.render(broad)
        rays = renderer.render_rays(*rays_around(1, 200))
    assert_same_picture(then, expected, at_most=SAME)
    for stats in (first.stats, then.stats, rays.stats):
        assert stats.peak_device_bytes <= stats.planned_device_bytes <= allowed


@pytest.mark.slow
@pytest.mark.one_backend  # the cache is the host's
def test_cache_gives_way_to_a_later_picture_that_needs_its_memory(scene: Path) -> None:
    small, large = VIEW.resized(8, 8), VIEW.resized(400, 400)
    with open_renderer(scene) as renderer:
        expected = renderer.render(large)
    with pytest.raises(ps.BudgetError) as refusal:
        plan_of(scene, large, host_memory=10_000)
    allowed = refusal.value.smallest_bytes
    with open_renderer(scene, host_memory=allowed) as renderer:
        frames = [renderer.render(small), renderer.render(large), renderer.render(small)]
    assert_same_picture(frames[1], expected, at_most=SAME)
    for frame in frames:
        stats = frame.stats
        assert stats.peak_host_bytes <= stats.planned_host_bytes <= allowed
    assert frames[0].stats.bytes_read > 0


def smallest_host_memory(render: Callable[[ps.Renderer], object], scene: Path) -> int:
    with pytest.raises(ps.BudgetError) as refusal, open_renderer(scene, host_memory=1) as renderer:
        render(renderer)
    return refusal.value.smallest_bytes


@pytest.mark.slow
@pytest.mark.parametrize("what", ["picture", "rays"])
@pytest.mark.parametrize(
    "ample",
    [
        pytest.param(True, id="ample", marks=pytest.mark.one_backend),
        pytest.param(False, id="smallest"),
    ],
)
def test_numpy_allocates_no_more_than_the_host_plan(scene: Path, what: str, ample: bool) -> None:
    rays = rays_around(3, 20_000)

    def render(renderer: ps.Renderer) -> ps.RenderResult | ps.RayResult:
        return renderer.render(VIEW) if what == "picture" else renderer.render_rays(*rays)

    smallest = smallest_host_memory(render, scene)
    stream = {} if ample else {"host_memory": smallest}
    with open_renderer(scene, **stream) as renderer:
        render(renderer)  # compiles, which takes memory of another kind
    tracemalloc.start(1)
    try:
        with open_renderer(scene, **stream) as renderer:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            stats = render(renderer).stats
            allocated = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    planned = stats.planned_host_bytes
    if stats.backend == "native":  # NumPy allocates its pool and its rays as well
        planned += stats.planned_device_bytes
    assert allocated <= planned
    assert stats.planned_host_bytes <= stats.allowed_host_bytes
    assert ample or stats.allowed_host_bytes == smallest


def test_host_memory_a_byte_below_the_smallest_is_refused(scene: Path) -> None:
    smallest = smallest_host_memory(lambda renderer: renderer.plan(VIEW), scene)
    plan_of(scene, host_memory=smallest)
    with pytest.raises(ps.BudgetError) as refusal:
        plan_of(scene, host_memory=smallest - 1)
    assert refusal.value.smallest_bytes == smallest


def still_cameras(shared: Path, n: int, size: tuple[int, int]) -> list[ps.Camera]:
    return list(
        ps.load_cameras(shared / "models" / "still_cameras.json", views=range(n), size=size)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "share"),
    [
        ("still_128", 0.25),
        pytest.param("still_256", 0.6, marks=pytest.mark.one_backend),
    ],
)
def test_trained_model_renders_in_less_than_its_working_set(
    shared: Path, make_scene: Scenes, model: str, share: float
) -> None:
    scene = make_scene(shared / "models" / f"{model}.npz")
    cameras = still_cameras(shared, 3, (160, 160))
    with open_renderer(scene) as renderer:
        plan = renderer.plan(cameras[0])
        resident = [renderer.render(camera) for camera in cameras]
    smallest = plan.smallest_budget_bytes
    if os.environ["JAX_PLATFORMS"] != "cpu" and smallest >= plan.working_set_bytes:
        pytest.skip("what kernels take of a GPU is more than this model does")
    allowed = smallest + int(share * (plan.working_set_bytes - smallest))
    assert smallest <= allowed < plan.working_set_bytes
    with open_renderer(scene, device_memory=allowed) as renderer:
        streamed = [renderer.render(camera) for camera in cameras]
    for one, other in zip(streamed, resident, strict=True):
        assert_same_picture(one, other, at_most=SAME)
        assert one.stats.peak_device_bytes <= one.stats.planned_device_bytes <= allowed
    assert sum(frame.stats.bricks_evicted for frame in streamed) > 0
    assert sum(frame.stats.bricks_evicted for frame in resident) == 0


@pytest.mark.slow
def test_rays_of_a_camera_fit_the_same_small_budget(scene: Path) -> None:
    smallest = plan_of(scene).smallest_budget_bytes
    origins, dirs = rays_of(VIEW)
    with open_renderer(scene) as renderer:
        ample = renderer.render_rays(origins, dirs)
    with open_renderer(scene, device_memory=2 * smallest) as renderer:
        streamed = renderer.render_rays(origins, dirs)
    np.testing.assert_allclose(streamed.rgb, ample.rgb, rtol=0, atol=SAME)
    assert streamed.stats.peak_device_bytes <= 2 * smallest
