"""Background layers that are trained."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream.cameras import PicturedCamera
from plenostream.errors import BudgetError, InvalidInput
from plenostream.export.picture_files import write_png
from plenostream.export.pixels import colour_8bit
from plenostream.format.opening import open_store
from plenostream.options import RenderOptions, StreamOptions, TrainOptions
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.extras import save_with
from plenostream.train.layers import LARGEST_SHARE, TrainedLayers, layers_bytes
from plenostream.train.report import TrainReport
from plenostream.train.rows import Descent
from plenostream.train.trainer import Trainer
from plenostream.train.voxel_set import ABSENT

HEIGHT, N_LAYERS = 16, 4
RENDER = RenderOptions(background=0.1, sigma_thresh=1e-8)
OPTIONS = TrainOptions(
    size=16,
    steps=40,
    rays=640,
    views_a_step=8,
    basis_dim=1,
    held=10,
    lr_sh=0.1,
    background_layers=N_LAYERS,
    background_resolution=HEIGHT,
)


@pytest.fixture(scope="module")
def views(toy_views: list[PicturedCamera], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The toy's cameras, and photographs of a small dark ball before layers of smooth colours."""
    folder = tmp_path_factory.mktemp("layers")
    at = (np.stack(np.meshgrid(*[np.arange(16)] * 3, indexing="ij"), -1) + 0.5) / 8.0 - 1.0
    density = 40.0 * np.clip(4.0 * (0.4 - np.linalg.norm(at, axis=-1)), -0.1, 1.0)
    links = np.arange(16**3, dtype=np.int32).reshape(16, 16, 16)
    ball = CheckpointArrays(
        links=links,
        density=density.reshape(-1).astype(np.float32),
        sh=np.full((16**3, 3), -1.0, np.float32),
    )
    column, line = np.meshgrid(np.arange(2 * HEIGHT), np.arange(HEIGHT), indexing="ij")
    data = np.zeros((2 * HEIGHT, HEIGHT, N_LAYERS, 4), np.float32)
    turn = np.pi * column / HEIGHT
    for channel in range(3):
        waves = np.sin(turn + channel) * np.sin(np.pi * (line + 0.5) / HEIGHT) + 0.3 * np.cos(line)
        data[..., channel] = waves[..., None]
    data[:, :, 1:3, 3] = 4.0
    texels = {
        "background_links": np.arange(2 * HEIGHT**2, dtype=np.int32).reshape(2 * HEIGHT, HEIGHT),
        "background_data": data.reshape(-1, N_LAYERS, 4),
    }
    ps.convert(save_with(folder / "ball.npz", ball, **texels), folder / "ball.zarr")
    found = []
    with ps.open_scene(folder / "ball.zarr") as scene, ps.Renderer(scene, RENDER) as renderer:
        for view in toy_views:
            picture = folder / f"{view.number}.png"
            write_png(picture, colour_8bit(renderer.render(view.camera).rgb), overwrite=False)
            found.append(replace(view, picture=picture))
    return found


def train(views: Any, place: Path, options: TrainOptions = OPTIONS, **how: Any) -> TrainReport:
    how = {"stream": StreamOptions(n_threads=1)} | how
    return Trainer(views, place, options, render=RENDER, **how).run()


def test_layers_are_learnt_and_written(views: Any, tmp_path: Path) -> None:
    place = tmp_path / "a.zarr"
    report = train(views, place)
    without = train(views, tmp_path / "b.zarr", replace(OPTIONS, background_layers=0))
    psnr, of_colour = (told.readings[-1].held_psnr for told in (report, without))
    assert psnr is not None
    assert of_colour is not None
    assert psnr > of_colour + 4.0
    assert ps.verify(place).faults == ()
    # The scene shows what was measured, and its layers are learnt further.
    steps = replace(OPTIONS, steps=1, background_layers=0, lr_sh=1e-9, lr_texel_sigma=1e-9)
    still = replace(steps, lr_sh_final=1e-9, lr_texel_color=1e-9, tv_texels=0.0, tv_sh=0.0)
    how: dict[str, Any] = {"start": place, "keep_voxels": True, "colours_only": True}
    again = train(views, tmp_path / "c.zarr", still, **how).readings[-1].held_psnr
    assert again == pytest.approx(psnr, abs=0.1)


def test_resumed_training_of_layers_ends_with_the_same_texels(views: Any, tmp_path: Path) -> None:
    options = replace(OPTIONS, steps=4)
    places = [tmp_path / name for name in ("whole.zarr", "cut.zarr")]
    tracemalloc.start()
    try:
        report = train(views, places[0], options)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - report.planned_device_bytes <= report.planned_host_bytes
    asked = iter(range(9))
    cut = Trainer(views, places[1], options, render=RENDER, stream=StreamOptions(n_threads=1))
    assert not cut.run(lambda: next(asked) == 2).finished
    train(views, places[1], replace(options, resume=True))
    found = []
    for place in places:
        with open_store(place) as store:
            found.append(TrainedLayers.of_scene(store, squares=False))
    np.testing.assert_array_equal(found[0].links, found[1].links)
    np.testing.assert_array_equal(found[0].texels, found[1].texels)


def test_layers_are_planned_and_one_alone_is_refused(views: Any, tmp_path: Path) -> None:
    height, n_layers = 128, 16
    planned = layers_bytes(2 * height**2, height, n_layers, squares=True)
    tracemalloc.start()
    try:
        layers = TrainedLayers.new(height, n_layers, squares=True)
        layers.vary(0, LARGEST_SHARE, 1.0)
        layers.touched[:] = layers.seen[:] = True
        layers.by_texels[...] = 1.0
        layers.descend(Descent(density_rate=1e-3, sh_rate=1e-3, beta=0.9))
        kept = layers.kept()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept[1]) == 2 * height**2
    assert planned / 3 < peak <= planned
    large = replace(OPTIONS, background_layers=64, background_resolution=1024)
    with pytest.raises(BudgetError, match=r"8\.\d+ GB for background layers") as refused:
        train(views, tmp_path / "a.zarr", large, stream=StreamOptions(host_memory="1GB"))
    assert refused.value.smallest_bytes > 8_000_000_000
    with pytest.raises(InvalidInput, match="rays see between two layers"):
        replace(OPTIONS, background_layers=1)


def test_total_variation_of_texels_has_the_derivative_of_its_formula() -> None:
    rng = np.random.default_rng(0)
    layers = TrainedLayers.new(6, 3, squares=False)
    layers.links[rng.random(layers.links.shape) < 0.2] = ABSENT
    layers.texels[...] = rng.normal(size=layers.texels.shape)
    start, weight = 50, 2.0

    def variation() -> float:
        around, height = layers.links.shape
        values, total = layers.texels.astype(np.float64), 0.0
        count = layers.links.size // 2
        for cell in (start + np.arange(count)) % layers.links.size:
            column, line = divmod(cell, height)
            own = layers.links[column, line]
            if own == ABSENT:
                continue
            beside = layers.links[(column + 1) % around, line]
            below = layers.links[column, line + 1] if line + 1 < height else ABSENT
            for layer in range(3):
                here, squares = values[own, layer], np.full(4, 1e-9)
                for row, scale in ((beside, around), (below, height)):
                    if row != ABSENT:
                        squares += (scale / 256 * (values[row, layer] - here)) ** 2
                if layer < 2:
                    squares += (3 / 256 * (values[own, layer + 1] - here)) ** 2
                total += weight / (count * 3) * np.sqrt(squares).sum()
        return total

    layers.vary(start, 0.5, weight)
    rows = np.unique(layers.links[layers.links != ABSENT])[::9]
    assert layers.touched[rows].any()
    for row in rows:
        for layer in range(3):
            ends = []
            for change in (1e-2, -2e-2):
                layers.texels[row, layer, 1] += change
                ends.append(variation())
            layers.texels[row, layer, 1] += 1e-2
            wanted = (ends[0] - ends[1]) / 2e-2
            assert layers.by_texels[row, layer, 1] == pytest.approx(wanted, rel=1e-2, abs=1e-6)


def test_texels_that_are_clear_or_that_no_ray_met_are_left_out() -> None:
    layers = TrainedLayers.new(8, 2, squares=False)
    layers.texels[..., 3] = -1.0
    layers.texels[layers.links[[3, 12], [4, 4]], 1, 3] = 5.0
    layers.seen[layers.links[3, 4]] = True
    links, texels = layers.kept()
    wanted = np.zeros(links.shape, bool)
    wanted[2:5, 3:6] = True  # with those around it
    np.testing.assert_array_equal(links != ABSENT, wanted)
    np.testing.assert_array_equal(texels[links[3, 4]], layers.texels[layers.links[3, 4]])
