"""Gains of photographs of unlike exposure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream.cameras import PicturedCamera
from plenostream.export.picture_files import write_png
from plenostream.export.pixels import colour_8bit
from plenostream.options import RenderOptions, StreamOptions, TrainOptions
from plenostream.train.behind import Colour
from plenostream.train.exposure import BatchExposure
from plenostream.train.loss import BatchLoss
from plenostream.train.photographs import Batch
from plenostream.train.tiles import RayTiles
from plenostream.train.trainer import Trainer

OPTIONS = TrainOptions(
    steps=100, rays=1024, views_a_step=8, lr_sh=0.3, lr_sh_final=0.05, exposure="one"
)
RENDER = RenderOptions(background=0.3, sigma_thresh=1e-8)


def test_gains_are_found_and_resumed_and_the_scene_is_as_of_even_photographs(
    toy_scene: Path, toy_views: list[PicturedCamera], grey_scene: Path, tmp_path: Path
) -> None:
    n = len(toy_views) - 2
    shares = np.linspace(0.0, 1.0, n)[:, None] ** (4 / 3)
    gains = np.random.default_rng(0).permutation(0.7 + 0.7 * shares)
    gains /= gains.mean(0)
    even, exposed, held = [], [], []

    def photograph(view: PicturedCamera, name: str, rgb: Any) -> PicturedCamera:
        write_png(tmp_path / name, colour_8bit(np.clip(rgb, 0.0, 1.0)), overwrite=False)
        return replace(view, picture=tmp_path / name)

    with ps.open_scene(toy_scene) as scene, ps.Renderer(scene, RENDER) as renderer:
        for number, view in enumerate(toy_views):
            rgb = renderer.render(view.camera).rgb
            as_it_is = photograph(view, f"{number}.png", rgb)
            (held if number % 10 == 5 else even).append(as_it_is)
            if number % 10 != 5:
                exposed.append(photograph(view, f"{number}-exposed.png", rgb * gains[len(exposed)]))

    def trainer(name: str, views: list[PicturedCamera], options: TrainOptions) -> Trainer:
        one = StreamOptions(n_threads=1)
        how: dict[str, Any] = {"start": grey_scene, "keep_voxels": True, "colours_only": True}
        place = tmp_path / name
        return Trainer(views, place, options, held=held, render=RENDER, stream=one, **how)

    without = trainer("even", even, replace(OPTIONS, exposure="none")).run()
    steps = iter(range(101))
    stopped = trainer("gains", exposed, OPTIONS).run(lambda: next(steps) == 50)
    again = replace(OPTIONS, resume=True)
    assert trainer("gains", exposed, again).run(lambda: True).exposures == stopped.exposures
    report = trainer("gains", exposed, again).run()
    found = np.array([exposure.gain for exposure in report.exposures])
    np.testing.assert_allclose(found, gains.repeat(3, axis=1), rtol=0.02)
    psnr, of_even = (told.readings[-1].held_psnr for told in (report, without))
    assert psnr is not None
    assert of_even is not None
    assert psnr > of_even - 4.0 > 38.0
    assert "gains of photographs: 0.7" in "\n".join(report.lines())


def test_derivatives_of_the_loss_are_those_of_photographs_with_gains() -> None:
    rng = np.random.default_rng(0)
    shape = (3, 64)
    rays = RayTiles(
        origins=np.zeros((*shape, 3)), directions=np.ones((*shape, 3)), valid=np.ones(shape, bool)
    )
    shown = rng.uniform(0.0, 0.9, (*shape, 3)).astype(np.float32)
    shown[:, ::4] = 1.0
    batch = Batch(tiles=rays, rgb=shown, photograph=np.arange(3))
    rgb = rng.uniform(0.0, 0.6, (*shape, 3)).astype(np.float32)
    alpha = rng.uniform(0.1, 0.9, shape).astype(np.float32)
    cut_out = np.array([False, True, False])
    gain = rng.uniform(0.7, 1.4, (3, 3)).astype(np.float32)

    def loss() -> BatchLoss:
        exposure = BatchExposure(
            photograph=batch.photograph,
            gain=gain,
            cut_out=cut_out,
            levels=np.array([True, True, False]),
        )
        behind = Colour((0.9, 0.2, 0.6))
        return BatchLoss(batch=batch, behind=behind, beta=0.0, sparsity=0.0, exposure=exposure)

    whole = slice(0, 3)
    taken = loss()
    found = taken(whole, rgb, alpha)
    for ray in (0, 1, 4, 5):
        for tile in range(3):
            for values, by in ((rgb[..., 1], found.by_rgb[..., 1]), (alpha, found.by_alpha)):
                ends = []
                for change in (5e-3, -1e-2):
                    values[tile, ray] += change
                    (moved := loss())(whole, rgb, alpha)
                    ends.append(moved.mean)
                values[tile, ray] += 5e-3
                wanted = (ends[0] - ends[1]) / 1e-2
                assert by[tile, ray] == pytest.approx(wanted, rel=2e-2, abs=2e-6)
    # What is as bright as can be says nothing of gains, unless white was laid behind it.
    seen = rgb[1, :, 0].astype(np.float64)
    photograph = shown[1, :, 0] - (1.0 - alpha[1]) * np.float32(0.9)
    assert taken.exposure is not None
    np.testing.assert_allclose(
        taken.exposure.sums[1, :, 0], [seen @ photograph, seen @ seen], rtol=1e-5
    )
    both = rgb[0, :, 0] + (1.0 - alpha[0]) * np.float32(0.9)
    both[::4] = 0.0
    np.testing.assert_allclose(taken.exposure.sums[0, 1, 0], both @ both, rtol=1e-5)
