"""Scenes with background layers and learned bases look as the oracle sees them, within their budgets."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream import reference
from plenostream.engine import backdrop
from plenostream.field.background import BackgroundLayers, OutwardRays
from plenostream.testing.checkpoints import random_checkpoint
from plenostream.testing.extras import layer_arrays, network_arrays, save_with, texture_arrays
from plenostream.testing.invariants import assert_same_picture
from plenostream.testing.pictures import (
    fragile_rays,
    model_of,
    open_renderer,
    rays_around,
    rays_of,
)

pytestmark = pytest.mark.usefixtures("each_backend")

FLOAT32 = 2e-5
SAME = 2e-5
"""The order of float32 sums differs with the waves."""
SIZE = (20, 18, 17)
CAMERA = ps.look_at_camera((2.1, 1.3, 0.8), (0.0, 0.0, 0.0), size=(43, 29), fov_degrees=75.0)
OPTIONS: dict[str, Any] = {"background": (0.5, 0.25, 1.0), "near_clip": 0.2}
EXTRAS = {
    "layers": layer_arrays(1, height=11, layers=4),
    "texture": texture_arrays(2, resolution=7, dim=7),
    "network": network_arrays(3, dim=12),
    "layers and texture": layer_arrays(4, layers=3) | texture_arrays(5, resolution=5, dim=2),
}


ONE_FOR_ALL = [
    name if name == "layers and texture" else pytest.param(name, marks=pytest.mark.one_backend)
    for name in EXTRAS
]
"""Every backend draws one scene that has both; each alone is among the recorded cases, too."""


def checkpoint_of(extras: dict[str, Any]) -> Any:
    dims = [a.shape[-1] for name, a in extras.items() if name in ("basis_data", LAST_BIAS)]
    return random_checkpoint(4, size=SIZE, basis_dim=dims[0] if dims else 4, active_share=0.1)


LAST_BIAS = "pt__basis_mlp__6__bias"


@pytest.fixture(scope="module")
def scene_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("extras")

    def scene_of(name: str) -> Path:
        path = folder / f"{name}.zarr"
        if not path.exists():
            source = folder / f"{name}.npz"
            ps.convert(save_with(source, checkpoint_of(EXTRAS[name]), **EXTRAS[name]), path)
        return path

    return scene_of


def as_seen(
    name: str, rays: tuple[np.ndarray, np.ndarray], **more: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Colour, alpha and depth [n, 5] by the oracle, and rays [n] that turn on rounding."""
    checkpoint = checkpoint_of(EXTRAS[name])
    seen = reference.render_rays(model_of(checkpoint, EXTRAS[name]), *rays, **OPTIONS | more)
    columns = [seen.rgb, 1.0 - seen.trans[:, None], seen.depth[:, None]]
    return np.concatenate(columns, -1), fragile_rays(checkpoint.grid, *rays)


@pytest.mark.parametrize("name", ONE_FOR_ALL)
def test_pictures_are_the_oracles(name: str, scene_of: Callable[[str], Path]) -> None:
    want, fragile = as_seen(name, rays_of(CAMERA))
    with open_renderer(scene_of(name), options=OPTIONS, precision="float32") as renderer:
        picture = renderer.render(CAMERA)
    planes = [picture.rgb, picture.alpha[..., None], picture.depth[..., None]]
    got = np.concatenate(planes, -1).reshape(-1, 5)
    np.testing.assert_allclose(got[~fragile], want[~fragile], rtol=0, atol=FLOAT32)
    if "layers" in name:
        assert (want[:, 3] > 0.1).mean() > 0.8, "most rays see a layer"


@pytest.mark.parametrize("name", ONE_FOR_ALL)
def test_rays_are_the_oracles_also_where_they_miss_the_volume(
    name: str, scene_of: Callable[[str], Path]
) -> None:
    rays = rays_around(3, 700, radius=2.0)
    want, fragile = as_seen(name, rays)
    with open_renderer(scene_of(name), options=OPTIONS, precision="float32") as renderer:
        seen = renderer.render_rays(*rays)
    got = np.concatenate([seen.rgb, seen.alpha[:, None], seen.depth[:, None]], -1)
    np.testing.assert_allclose(got[~fragile], want[~fragile], rtol=0, atol=FLOAT32)
    assert (want[:, 4] == 0.0).mean() > 0.3, "many rays miss"


@pytest.mark.one_backend
def test_layers_are_seen_in_the_light_that_nvol_leaves(scene_of: Callable[[str], Path]) -> None:
    want, fragile = as_seen("layers", rays_of(CAMERA), model="nvol")
    options = OPTIONS | {"model": "nvol"}
    with open_renderer(scene_of("layers"), options=options, precision="float32") as renderer:
        got = renderer.render(CAMERA).rgb.reshape(-1, 3)
    np.testing.assert_allclose(got[~fragile], want[~fragile, :3], rtol=0, atol=FLOAT32)
    usual, _ = as_seen("layers", rays_of(CAMERA))
    assert (np.abs(want - usual) > 1e-3).any(axis=1).mean() > 0.1, "many rays see another picture"


@pytest.mark.parametrize("what", ["picture", "rays"])
@pytest.mark.parametrize("name", ONE_FOR_ALL)
def test_smallest_budgets_are_kept_and_draw_the_same(
    name: str, what: str, scene_of: Callable[[str], Path]
) -> None:
    rays = rays_around(3, 400)

    def draw(renderer: ps.Renderer) -> Any:
        return renderer.render(CAMERA) if what == "picture" else renderer.render_rays(*rays)

    scene = scene_of(name)
    with open_renderer(scene, options=OPTIONS) as renderer:
        ample, plan = draw(renderer), renderer.plan(CAMERA)
    assert ("background layers" in plan.host_items) == ("layers" in name)
    least = {}
    for of in ("device_memory", "host_memory"):
        with (
            pytest.raises(ps.BudgetError) as refusal,
            open_renderer(scene, options=OPTIONS, **{of: 50_000}) as renderer,
        ):
            draw(renderer)
        # Temporaries of a program that is compiled once more may differ a little (xla).
        least[of] = refusal.value.smallest_bytes * (105 if of == "device_memory" else 100) // 100
    with open_renderer(scene, options=OPTIONS, **least) as renderer:
        tight = draw(renderer)
    for stats in (ample.stats, tight.stats):
        assert stats.peak_device_bytes <= stats.planned_device_bytes
        assert stats.peak_host_bytes <= stats.planned_host_bytes <= stats.allowed_host_bytes
    assert tight.stats.allowed_host_bytes == least["host_memory"]
    if what == "picture":
        assert_same_picture(tight, ample, at_most=SAME)
    else:
        np.testing.assert_allclose(tight.rgb, ample.rgb, rtol=0, atol=SAME)


def test_numpy_allocates_no_more_than_the_plans(scene_of: Callable[[str], Path]) -> None:
    scene = scene_of("layers and texture")
    camera = CAMERA.resized(160, 120)
    with open_renderer(scene, options=OPTIONS) as renderer:
        renderer.render(camera)  # compiles, which takes memory of another kind
    tracemalloc.start(1)
    try:
        with open_renderer(scene, options=OPTIONS) as renderer:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            stats = renderer.render(camera).stats
            allocated = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    planned = stats.planned_host_bytes
    if stats.backend == "native":  # NumPy allocates its pool and its rays as well
        planned += stats.planned_device_bytes
    assert allocated <= planned


@pytest.mark.parametrize("each_backend", ["native"], indirect=True)
def test_layers_larger_than_the_memory_for_them_are_read_as_rays_need_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plenostream.format.layout.EXTRA_CHUNK_BYTES", 1 << 14)
    arrays = layer_arrays(6, height=64, layers=8, share=1.0)
    links = arrays["background_links"]
    links[:] = np.arange(links.size).reshape(links.shape)  # in the order in which svox2 has them
    scene = tmp_path / "layers.zarr"
    ps.convert(save_with(tmp_path / "layers.npz", checkpoint_of(arrays), **arrays), scene)
    size = arrays["background_data"].nbytes
    with open_renderer(scene, options=OPTIONS) as renderer:
        ample, plan = renderer.render(CAMERA), renderer.plan(CAMERA)
    assert plan.host_items["background layers"] > size
    with open_renderer(scene, options=OPTIONS, host_memory=plan.smallest_host_bytes) as renderer:
        tight, held = renderer.render(CAMERA), renderer.plan(CAMERA).host_items
    assert plan.host_items["background layers"] - held["background layers"] > 0.8 * size
    assert tight.stats.peak_host_bytes <= tight.stats.planned_host_bytes
    assert_same_picture(tight, ample, at_most=SAME)


@pytest.mark.one_backend  # what is asked of the layers is the engine's doing, here and below
def test_opaque_tiles_never_touch_the_layers(
    scene_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[np.ndarray] = []
    see = backdrop.fastest_layers()

    def watched(layers: BackgroundLayers, rays: OutwardRays) -> Any:
        asked.append(rays.trans.copy())
        return see(layers, rays)

    monkeypatch.setattr(backdrop, "fastest_layers", lambda: watched)
    with open_renderer(scene_of("layers"), options=OPTIONS | {"stop_thresh": 0.999}) as renderer:
        picture = renderer.render(CAMERA)
    light = np.concatenate(asked)
    assert (light > 0.0).all()
    assert 0 < len(light) < picture.alpha.size


@pytest.mark.one_backend
def test_interrupted_picture_leaves_out_the_rest_and_the_next_is_whole(
    scene_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backdrop, "_TILES_AT_ONCE", 1)
    drawn = backdrop.Backdrop._drawn

    def fail(*args: Any) -> Any:
        raise ps.DeviceError("no")

    with open_renderer(scene_of("layers"), options=OPTIONS, precision="float32") as renderer:
        with monkeypatch.context() as patch:
            patch.setattr(backdrop.Backdrop, "_drawn", fail)
            with pytest.raises(ps.DeviceError):
                renderer.render(CAMERA)
        assert backdrop.Backdrop._drawn is drawn
        got = renderer.render(CAMERA).rgb.reshape(-1, 3)
    want, fragile = as_seen("layers", rays_of(CAMERA))
    np.testing.assert_allclose(got[~fragile], want[~fragile, :3], rtol=0, atol=FLOAT32)


@pytest.mark.one_backend
def test_closing_ends_the_threads(scene_of: Callable[[str], Path]) -> None:
    def named() -> Iterator[threading.Thread]:
        return (t for t in threading.enumerate() if t.name.startswith("plenostream-backdrop"))

    with open_renderer(scene_of("layers")) as renderer:
        renderer.render(CAMERA.resized(300, 200))
    assert not list(named())
