"""The host loop with an integrator in plain NumPy: waves, residency and streaming without XLA."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream import reference
from plenostream.engine.picture import PictureJob
from plenostream.engine.rays import RaysJob
from plenostream.engine.session import Session, sample_rule, scene_shape
from plenostream.format.extra_arrays import basis_of
from plenostream.format.opening import open_store
from plenostream.integrator.interface import Integrator
from plenostream.plan import build_boxes
from plenostream.testing.checkpoints import CheckpointArrays, random_checkpoint
from plenostream.testing.pictures import model_of, rays_around, rays_of
from plenostream.testing.plain import PlainIntegrator

EXACT = 1e-5
"""float64 all along; what comes out is float32, and depths reach 4."""
OPTIONS = ps.RenderOptions(background=0.25)
CAMERA = ps.look_at_camera((2.1, 1.3, 0.8), (0.0, 0.0, 0.0), size=(27, 19), fov_degrees=55.0)


@pytest.fixture(scope="module")
def checkpoint() -> CheckpointArrays:
    return random_checkpoint(4, size=(20, 18, 17), basis_dim=4, active_share=0.4)


@pytest.fixture(scope="module")
def scene(checkpoint: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(checkpoint)


@contextmanager
def session(
    scene: Path, device_bytes: int = 10**9, options: ps.RenderOptions = OPTIONS
) -> Iterator[Session]:
    with open_store(scene) as store:
        tables = store.tables
        table = build_boxes(tables.index, tables.boxes, tables.occupied, store.meta.bricks)
        shape, rule = (
            scene_shape(store, table, basis_of(store)),
            sample_rule(options, store.meta.grid),
        )
        plain: Integrator = PlainIntegrator(shape, rule, allowed_bytes=device_bytes)
        opened = Session(store, options, table, shape, plain, host_bytes=10**9)
        yield opened
        opened.close()


def expected(checkpoint: CheckpointArrays, rays: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Colour, alpha and depth [n, 5] by the oracle."""
    drawn = reference.render_rays(model_of(checkpoint), *rays, background=OPTIONS.background)
    return np.concatenate([drawn.rgb, 1.0 - drawn.trans[:, None], drawn.depth[:, None]], -1)


def as_rows(pixels: object) -> np.ndarray:
    columns = [pixels.rgb, pixels.alpha[..., None], pixels.depth[..., None]]  # type: ignore[attr-defined]
    return np.concatenate(columns, -1).reshape(-1, 5)


def test_picture_is_the_oracles(scene: Path, checkpoint: CheckpointArrays) -> None:
    with session(scene) as opened:
        pixels, stats = PictureJob(opened, CAMERA).draw()
    want = expected(checkpoint, rays_of(CAMERA))
    np.testing.assert_allclose(as_rows(pixels), want, rtol=0, atol=EXACT)
    assert stats.waves == stats.bands == 1


def test_rays_are_the_oracles(scene: Path, checkpoint: CheckpointArrays) -> None:
    rays = rays_around(3, 300)
    with session(scene) as opened:
        values, stats = RaysJob(opened, *rays).draw()
    np.testing.assert_allclose(values, expected(checkpoint, rays), rtol=0, atol=EXACT)
    assert stats.bands <= 8, "one lot an octant"


def test_smallest_pool_streams_the_same_picture_within_the_plan(scene: Path) -> None:
    with session(scene) as opened:
        whole, _ = PictureJob(opened, CAMERA).draw()
        plan = PictureJob(opened, CAMERA).plan()
    with session(scene, plan.smallest_budget_bytes) as opened:
        tight = PictureJob(opened, CAMERA).plan()
        pixels, stats = PictureJob(opened, CAMERA).draw()
    assert tight.waves > 3
    assert stats.bricks_read >= stats.bricks_visible - stats.bricks_culled
    assert stats.peak_device_bytes <= tight.planned_device_bytes <= plan.smallest_budget_bytes
    assert stats.peak_host_bytes <= tight.planned_host_bytes
    np.testing.assert_allclose(as_rows(pixels), as_rows(whole), rtol=0, atol=EXACT)


def test_second_picture_reads_nothing(scene: Path) -> None:
    with session(scene) as opened:
        _, first = PictureJob(opened, CAMERA).draw()
        _, second = PictureJob(opened, CAMERA).draw()
    assert first.bricks_read == first.bricks_visible > 0
    assert (second.bricks_read, second.bytes_uploaded, second.bytes_read) == (0, 0, 0)


def test_bricks_whose_places_could_not_be_cleared_are_read_again(scene: Path) -> None:
    def fail(bricks: np.ndarray, _: object) -> None:
        if len(bricks):
            raise OSError("no space left")

    with session(scene) as opened:
        whole, _ = PictureJob(opened, CAMERA).draw()
        plan = PictureJob(opened, CAMERA).plan()
    few = (plan.smallest_budget_bytes + plan.planned_device_bytes) // 2
    with session(scene, few) as opened:
        opened.leaving = fail
        with pytest.raises(OSError, match="space"):
            PictureJob(opened, CAMERA).draw()
        opened.leaving = None
        pixels, stats = PictureJob(opened, CAMERA).draw()
    assert stats.bricks_evicted
    np.testing.assert_allclose(as_rows(pixels), as_rows(whole), rtol=0, atol=EXACT)


def test_brick_that_fails_to_come_in_is_read_again(scene: Path) -> None:
    with session(scene) as opened:
        put = PlainIntegrator._put

        def fail(*_: object) -> None:
            raise ps.DeviceError("no")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(PlainIntegrator, "_put", fail)
            with pytest.raises(ps.DeviceError):
                PictureJob(opened, CAMERA).draw()
        assert PlainIntegrator._put is put
        _, stats = PictureJob(opened, CAMERA).draw()
    assert stats.bricks_read == stats.bricks_visible


@pytest.mark.parametrize(
    "more",
    [
        {"spheric_clip": True},
        {"spheric_clip": True, "near_clip": 0.4},
        {"far_cap": 21.7},
        {"last_sample_opaque": True},
        {"model": "nvol"},
        {"ndc": (40, 30, 35)},
    ],
    ids=lambda more: " ".join(more),
)
def test_options_of_the_picture_are_the_oracles(
    scene: Path, checkpoint: CheckpointArrays, more: dict[str, Any]
) -> None:
    origins, dirs = rays_around(8, 150)
    dirs[:, 2] = np.where(np.abs(dirs[:, 2]) < 0.1, 0.3, dirs[:, 2])
    options = ps.RenderOptions(background=0.25, **more)
    with session(scene, options=options) as opened:
        values, _ = RaysJob(opened, origins, dirs).draw()
    drawn = reference.render_rays(model_of(checkpoint), origins, dirs, background=0.25, **more)
    wanted = np.concatenate([drawn.rgb, 1.0 - drawn.trans[:, None], drawn.depth[:, None]], -1)
    assert (drawn.trans < 0.5).any()
    np.testing.assert_allclose(values, wanted, rtol=0, atol=EXACT)
