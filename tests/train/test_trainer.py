"""Training end to end, on a toy: how good, resumed, stopped, within budgets, refused."""

from __future__ import annotations

import shutil
import struct
import tracemalloc
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream.cameras import PicturedCamera
from plenostream.errors import BudgetError, DeviceError, InvalidInput, StoreError, StoreExists
from plenostream.export.photographs import read_picture
from plenostream.format.opening import open_store
from plenostream.integrator.native.integrator import NativeIntegrator
from plenostream.options import RenderOptions, StreamOptions, TrainOptions
from plenostream.train import budget
from plenostream.train.checkpoint import Checkpoint, checkpoint_place
from plenostream.train.report import Reading, TrainReport
from plenostream.train.trainer import Trainer

Views = list[PicturedCamera]
TOY = TrainOptions(
    size=32, steps=200, rays=1024, views_a_step=8, basis_dim=1, held=10, lr_sh=0.1, lr_sigma=100
)
QUICK = replace(TOY, steps=8)


def train(
    views: Views,
    target: Path,
    options: TrainOptions = QUICK,
    *,
    stop_after: int | None = None,
    **how: Any,
) -> TrainReport:
    how = {"stream": StreamOptions(n_threads=1)} | how
    asked = count()
    return Trainer(views, target, options, **how).run(lambda: next(asked) == stop_after)


def rows_of(scene: Path) -> dict[str, bytes]:
    with open_store(scene) as store:
        return {name: store.read_chunk(name, 0).tobytes() for name in ("rows/density", "rows/sh")}


def test_toy_of_32_voxels_reaches_25_decibels_in_200_steps(
    toy_views: Views, tmp_path: Path
) -> None:
    told: list[Reading] = []
    sheet = tmp_path / "held.png"
    report = train(toy_views, tmp_path / "toy.zarr", TOY, told=told.append, sheet=sheet)
    assert report.finished
    assert report.readings == told
    last = told[-1]
    assert last.step == 200
    assert last.held_psnr is not None
    assert last.held_psnr >= 25.0
    assert sheet.stat().st_size > 0
    how_far = checkpoint_place(tmp_path / "toy.zarr")
    assert how_far.stat().st_size < 20_000  # without rows
    assert ps.verify(tmp_path / "toy.zarr").faults == ()
    # What the scene shows is what was measured.
    errors = []
    with ps.open_scene(tmp_path / "toy.zarr") as scene, ps.Renderer(scene) as renderer:
        for view in toy_views[5::10]:
            assert view.picture is not None
            photograph = read_picture(view.picture, background=1.0)
            errors.append(np.square(renderer.render(view.camera).rgb - photograph).mean())
    found = float(np.mean([-10 * np.log10(error) for error in errors]))
    assert found == pytest.approx(last.held_psnr, abs=0.1)


def test_least_memory_that_training_begins_with_leaves_no_voxel_out_in_the_end(
    toy_views: Views, tmp_path: Path
) -> None:
    train(toy_views, tmp_path / "plenty.zarr")
    stream = StreamOptions(n_threads=1, host_memory="1MB")
    with pytest.raises(BudgetError) as refused:
        train(toy_views, tmp_path / "none.zarr", stream=stream)
    least = replace(stream, host_memory=str(refused.value.smallest_bytes))
    train(toy_views, tmp_path / "least.zarr", stream=least)
    assert rows_of(tmp_path / "plenty.zarr") == rows_of(tmp_path / "least.zarr")


def test_rows_brought_to_bricks_in_the_pool_are_those_of_bricks_brought_anew(
    toy_views: Views, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed, anew = tmp_path / "renewed.zarr", tmp_path / "anew.zarr"
    train(toy_views, renewed)
    monkeypatch.setattr(NativeIntegrator, "takes_in_place", False)
    train(toy_views, anew)
    assert rows_of(renewed) == rows_of(anew)


@pytest.mark.slow
def test_warp_trains_as_native_does(toy_views: Views, tmp_path: Path) -> None:
    options = replace(QUICK, size=16, rays=256, views_a_step=4)
    how: dict[str, Any] = {"n_threads": 1, "precision": "float32", "device": "cpu"}
    readings, rows = [], []
    for backend in ("native", "warp"):
        stream = StreamOptions(backend=backend, **how)  # type: ignore[arg-type]
        report = train(toy_views, tmp_path / backend, options, stream=stream)
        assert report.backend == backend
        readings.append(report.readings[-1])
        with open_store(tmp_path / backend) as store:
            names = ("rows/density", "rows/sh")
            rows.append([store.read_chunk(name, 0).astype(np.float32) for name in names])
    one, other = readings
    assert one.voxels == other.voxels < 16**3
    assert one.loss == pytest.approx(other.loss, rel=1e-4)
    assert one.held_psnr == pytest.approx(other.held_psnr, abs=0.02)
    # RMSprop divides by the root of squares: where these are tiny, so is what the sums agree in.
    for mine, theirs in zip(*rows, strict=True):
        far = np.abs(mine - theirs) > 1e-3 * np.abs(mine).max()
        assert far.mean() < 0.02


def test_resumed_training_ends_with_the_same_bits(toy_views: Views, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.zarr", tmp_path / "cut.zarr"
    train(toy_views, whole)
    asked = iter(range(100))
    trainer = Trainer(toy_views, cut, QUICK, stream=StreamOptions(n_threads=1))
    stopped = trainer.run(stop=lambda: next(asked) >= 3)
    assert not stopped.finished
    assert ps.verify(cut).faults == ()
    little = replace(trainer._budget, allowed_bytes=1)
    with pytest.raises(BudgetError):
        Checkpoint.load(checkpoint_place(cut), trainer._resuming.identity(), little)
    resumed = train(toy_views, cut, replace(QUICK, resume=True))
    assert resumed.finished
    assert resumed.readings[0].step == 3
    assert rows_of(cut) == rows_of(whole)


def test_training_that_has_ended_goes_on_if_it_is_to_be_longer(
    toy_scene: Path, toy_views: Views, tmp_path: Path
) -> None:
    place = tmp_path / "a.zarr"
    first = train(toy_views, place)
    again = replace(QUICK, resume=True)
    with pytest.raises(InvalidInput, match="has taken 8 steps, .* Say more steps or time"):
        train(toy_views, place, again)
    longer = train(toy_views, place, replace(again, steps=60))
    assert longer.finished
    assert longer.readings[: len(first.readings)] == first.readings
    assert longer.readings[-1].step == 60
    assert longer.readings[-1].held_psnr > first.readings[-1].held_psnr + 1.0  # type: ignore[operator]
    by_time = train(toy_views, place, replace(again, steps=None, time="60m"), stop_after=2)
    assert by_time.readings[-1].step == 62
    with pytest.raises(
        StoreError, match=r"\(rays\), and goes on with the same alone, but for steps"
    ):
        train(toy_views, place, replace(again, steps=100, rays=64))
    with pytest.raises(InvalidInput, match="has taken 62 steps"):
        train(toy_views, place, replace(again, steps=61))
    train(toy_views, place, replace(again, steps=63))
    shutil.rmtree(place)
    shutil.copytree(toy_scene, place)
    with pytest.raises(StoreError, match="is not the scene that its training ended with"):
        train(toy_views, place, replace(again, steps=100))


def test_pool_of_one_brick_changes_nothing_but_the_order_of_sums(
    toy_scene: Path, toy_views: Views, tmp_path: Path
) -> None:
    one = StreamOptions(n_threads=1, precision="float32")
    options = replace(QUICK, steps=2, rays=256, held=0)
    how: dict[str, Any] = {"start": toy_scene, "keep_voxels": True}
    ample = train(toy_views, tmp_path / "ample.zarr", options, stream=one, **how)
    small = replace(one, device_memory="1MB")
    with pytest.raises(BudgetError) as refused:
        train(toy_views, tmp_path / "tight.zarr", options, stream=small, **how)
    least = replace(one, device_memory=refused.value.smallest_bytes)
    tight = train(toy_views, tmp_path / "tight.zarr", options, stream=least, **how)
    assert tight.planned_device_bytes <= refused.value.smallest_bytes < ample.planned_device_bytes
    for name in ("rows/density", "rows/sh"):
        with (
            open_store(tmp_path / "ample.zarr") as first,
            open_store(tmp_path / "tight.zarr") as other,
        ):
            rows = [store.read_chunk(name, 0).astype(np.float32) for store in (first, other)]
        np.testing.assert_allclose(*rows, rtol=5e-3, atol=5e-3)


def test_host_memory_is_planned_and_one_byte_less_is_refused(
    toy_views: Views, tmp_path: Path
) -> None:
    tracemalloc.start()
    try:
        report = train(toy_views, tmp_path / "a.zarr")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - report.planned_device_bytes <= report.planned_host_bytes
    one = StreamOptions(n_threads=1, host_memory=100_000_000)
    with pytest.raises(BudgetError, match="training 32768 voxels needs at least") as refused:
        train(toy_views, tmp_path / "b.zarr", stream=one)
    enough = refused.value.smallest_bytes
    train(
        toy_views,
        tmp_path / "b.zarr",
        replace(QUICK, steps=1),
        stream=replace(one, host_memory=enough),
    )
    with pytest.raises(BudgetError):
        train(toy_views, tmp_path / "c.zarr", stream=replace(one, host_memory=enough - 100_001))


def test_photographs_that_do_not_fit_are_refused_by_their_headers(
    toy_views: Views, tmp_path: Path
) -> None:
    header = tmp_path / "large.png"
    pixels = struct.pack(">IIBB", 20_000, 20_000, 8, 2)
    header.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + pixels)
    views = [replace(toy_views[0], picture=header), *toy_views[1:]]
    with pytest.raises(BudgetError, match="for photographs"):
        train(views, tmp_path / "a.zarr")


def test_voxels_beyond_the_memory_allowed_are_the_lightest(
    toy_views: Views, tmp_path: Path
) -> None:
    options = replace(QUICK, size=64)
    trainer = Trainer(toy_views, tmp_path / "a.zarr", options, stream=StreamOptions(n_threads=1))
    most = 4000
    plan = budget.TrainBudget
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "most_voxels", lambda self, before, size: most)
        report = trainer.run()
    assert 0 < report.readings[-1].voxels <= most


def test_refining_keeps_voxels_and_densities(
    toy_scene: Path, toy_views: Views, tmp_path: Path
) -> None:
    how: dict[str, Any] = {"start": toy_scene, "keep_voxels": True, "colours_only": True}
    train(toy_views, tmp_path / "a.zarr", **how)
    with open_store(toy_scene) as before, open_store(tmp_path / "a.zarr") as after:
        assert after.meta.n_voxels == before.meta.n_voxels
        np.testing.assert_array_equal(before.tables.mask, after.tables.mask)
        densities = [store.read_chunk("rows/density", 0) for store in (before, after)]
        np.testing.assert_allclose(*densities, rtol=1e-3, atol=1e-3)
        assert (before.read_chunk("rows/sh", 0) != after.read_chunk("rows/sh", 0)).any()


def test_training_that_cannot_be_is_refused_by_name(
    toy_scene: Path, toy_views: Views, tmp_path: Path
) -> None:
    place = tmp_path / "a.zarr"
    with pytest.raises(InvalidInput, match="steps and time both"):
        replace(QUICK, time="1m")
    with pytest.raises(InvalidInput, match="in which nothing is learnt"):
        replace(QUICK, steps=None, time="0s")
    with pytest.raises(InvalidInput, match="hold fewer back"):
        train(toy_views, place, replace(QUICK, held=1))
    with pytest.raises(InvalidInput, match="there are none"):
        train(toy_views, place, replace(QUICK, held=0), sheet=tmp_path / "a.png")
    with pytest.raises(InvalidInput, match="a view sees"):
        train(toy_views, place, replace(QUICK, steps=1, init_sigma=0.0))
    with pytest.raises(InvalidInput, match="has diverged"):
        train(toy_views, place, replace(QUICK, lr_sh=1e6, lr_sh_final=1e6, lr_sigma=1e6))
    with pytest.raises(InvalidInput, match="have no photograph"):
        train([replace(toy_views[0], picture=None)], place)
    with pytest.raises(InvalidInput, match="device coordinates"):
        train(toy_views, place, render=RenderOptions(ndc=(40, 30, 25, 25)))
    with pytest.raises(InvalidInput, match="have no derivatives"):
        train(toy_views, place, render=RenderOptions(model="nvol"))
    with pytest.raises(InvalidInput, match="a scene to begin with"):
        train(toy_views, place, colours_only=True)
    with pytest.raises(DeviceError, match="gives no derivatives"):
        train(toy_views, place, stream=StreamOptions(backend="xla"))
    with pytest.raises(StoreError, match="train without --resume"):
        train(toy_views, place, replace(QUICK, resume=True))
    with pytest.raises(StoreExists):
        train(toy_views, toy_scene)
    asked = iter([False, True])
    Trainer(toy_views, place, QUICK).run(stop=lambda: next(asked))
    with pytest.raises(StoreError, match=r"other options or photographs \(seed\)"):
        train(toy_views, place, replace(QUICK, resume=True, seed=1))
