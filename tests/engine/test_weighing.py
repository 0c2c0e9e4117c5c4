"""Weights of voxels are those that the samples of all pictures took, however these are drawn."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import plenostream as ps
from plenostream.engine.picture import PictureJob
from plenostream.engine.ray_picture import picture_job
from plenostream.engine.row_weights import RowWeights
from plenostream.engine.session import Session, sample_rule, scene_shape
from plenostream.engine.weighing import Weighing
from plenostream.errors import BudgetError, DeviceError
from plenostream.format.extra_arrays import basis_of
from plenostream.format.opening import open_store
from plenostream.plan import build_boxes
from plenostream.testing.checkpoints import CheckpointArrays, random_checkpoint
from plenostream.testing.pictures import rays_of
from plenostream.testing.plain import PlainIntegrator

OPTIONS = ps.RenderOptions()
STEP, SIGMA, STOP = OPTIONS.step_size, OPTIONS.sigma_thresh, OPTIONS.stop_thresh
CAMERAS = [
    ps.look_at_camera(eye, (0.0, 0.1, 0.0), size=size, fov_degrees=50.0)
    for eye, size in (((2.1, 1.3, 0.8), (27, 19)), ((-1.2, 0.4, 2.2), (33, 40)))
]


@pytest.fixture(scope="module")
def checkpoint() -> CheckpointArrays:
    return random_checkpoint(4, size=(36, 28, 27), basis_dim=4, active_share=0.3)


@pytest.fixture(scope="module")
def scene(checkpoint: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(checkpoint, brick_size=8)


def weights_by_definition(checkpoint: CheckpointArrays) -> NDArray[np.float64]:
    """Weight of each voxel [X, Y, Z], sample by sample."""
    grid, size = checkpoint.grid, np.array(checkpoint.size)
    density = np.where(checkpoint.links >= 0, checkpoint.density[checkpoint.links], 0.0)
    found = np.zeros(checkpoint.size)
    for camera in CAMERAS:
        origins, dirs = rays_of(camera)
        start, course = grid.world_to_grid(origins), dirs * grid.scale
        per_world = np.linalg.norm(course, axis=1)
        course /= per_world[:, None]
        faces = (np.array([[-0.5] * 3, size - 0.5])[:, None] - start) / course
        enter, leave = faces.min(0).max(1).clip(0), faces.max(0).min(1)
        n_samples = np.floor((leave - enter) / STEP) + 1
        trans = np.ones(len(dirs))
        for k in range(int(n_samples.max())):
            place = np.clip(start + (enter + k * STEP)[:, None] * course, 0, size - 1)
            cell = np.minimum(place.astype(int), size - 2)
            sigma = np.zeros(len(dirs))
            for corner in np.ndindex(2, 2, 2):
                share = np.where(corner, place - cell, 1 - (place - cell)).prod(1)
                sigma += share * density[tuple((cell + corner).T)]
            passes = np.where(
                (k < n_samples) & (sigma > SIGMA), np.exp(-sigma * STEP / per_world), 1
            )
            for corner in np.ndindex(2, 2, 2):
                np.maximum.at(found, tuple((cell + corner).T), trans * (1 - passes))
            trans = trans * passes
            trans[trans < STOP] = 0.0
    return found


@contextmanager
def weighing(
    scene: Path, options: ps.RenderOptions = OPTIONS, **stream: object
) -> Iterator[Weighing]:
    how = ps.StreamOptions(**{"device": "cpu", "precision": "float32"} | stream)  # type: ignore[arg-type]
    with (
        tempfile.TemporaryFile() as file,
        open_store(scene) as store,
        Weighing(store, options, how, file) as opened,
    ):
        yield opened


def dense(scene: Path, weights: RowWeights) -> NDArray[np.float32]:
    """Weights of voxels: of one that several bricks hold, the largest."""
    with open_store(scene) as store:
        edge, size = store.meta.bricks.edge, store.meta.grid.size
        found = np.zeros([n + edge for n in size], np.float32)
        for brick, first in enumerate(store.tables.index * store.meta.brick_size):
            own = np.zeros((edge,) * 3, np.float32)
            own[weights.active(brick).reshape(own.shape)] = weights.of(brick)
            place = tuple(slice(a, a + edge) for a in first.tolist())
            found[place] = np.maximum(found[place], own)
    return found[tuple(map(slice, size))]


def drawn(
    scene: Path, options: ps.RenderOptions = OPTIONS, **stream: object
) -> NDArray[np.float32]:
    with weighing(scene, options, **stream) as opened:
        for camera in CAMERAS:
            opened.draw(camera)
        return dense(scene, opened.weights())


@pytest.mark.cpu  # what `auto` takes there keeps weights
def test_weights_are_those_of_the_samples(scene: Path, checkpoint: CheckpointArrays) -> None:
    expected = np.where(checkpoint.links >= 0, weights_by_definition(checkpoint), 0)
    seen = drawn(scene)
    assert (expected > 0.1).sum() > 500
    np.testing.assert_allclose(seen, expected, rtol=0, atol=2e-5)


@pytest.mark.cpu
def test_streamed_they_are_the_same_to_the_last_bit_for_any_threads(scene: Path) -> None:
    few = {"n_threads": 1, "device_memory": 50_000}
    with weighing(scene, **few) as opened, pytest.raises(BudgetError) as refused:
        opened.draw(CAMERAS[1])
    few["device_memory"] = refused.value.smallest_bytes
    whole = drawn(scene, n_threads=3)
    with weighing(scene, **few) as opened:
        pictures = [opened.draw(camera) for camera in CAMERAS]
        np.testing.assert_array_equal(dense(scene, opened.weights()), whole)
        slots, _ = opened._sessions.current._kept.pool or (0, 0)
        assert 0 < slots < opened._store.meta.n_bricks / 4
    with (
        ps.open_scene(scene) as held,
        ps.Renderer(held, stream=ps.StreamOptions(device="cpu", precision="float32")) as renderer,
    ):
        for camera, picture in zip(CAMERAS, pictures, strict=True):
            np.testing.assert_array_equal(renderer.render(camera).rgb, picture)


def test_bricks_that_leave_the_pool_hand_over_what_they_weigh(
    scene: Path, checkpoint: CheckpointArrays
) -> None:
    expected = np.where(checkpoint.links >= 0, weights_by_definition(checkpoint), 0)
    with tempfile.TemporaryFile() as file, open_store(scene) as store:
        tables = store.tables
        table = build_boxes(tables.index, tables.boxes, tables.occupied, store.meta.bricks)
        shape, rule = (
            scene_shape(store, table, basis_of(store)),
            sample_rule(OPTIONS, store.meta.grid, weigh=True),
        )
        weights = RowWeights(store.meta, tables, file)
        plain = PlainIntegrator(shape, rule, allowed_bytes=1_000_000)
        session = Session(store, OPTIONS, table, shape, plain, host_bytes=10**9, weights=weights)
        evicted = 0
        for camera in CAMERAS:
            job = PictureJob(session, camera)
            plan = job.plan()
            _, stats = job.draw()
            evicted += stats.bricks_evicted
            assert stats.peak_device_bytes <= plan.planned_device_bytes
            assert stats.peak_host_bytes <= plan.planned_host_bytes
        session.let_go()
        session.close()
        assert evicted > 20
        np.testing.assert_allclose(dense(scene, weights), expected, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "options"),
    [("float32", OPTIONS), ("float16", ps.RenderOptions(model="nvol"))],
)
def test_warp_weighs_as_native_does_from_a_small_pool_too(
    scene: Path, precision: str, options: ps.RenderOptions
) -> None:
    native = drawn(scene, options, precision=precision, backend="native")
    few = {"precision": precision, "backend": "warp", "device_memory": 50_000}
    for _ in range(3):  # the temporaries of programs that are compiled once more may differ
        try:
            with weighing(scene, options, **few) as opened:
                jobs = [picture_job(opened._sessions, camera) for camera in CAMERAS]
                stats = [job.draw()[1] for job in jobs]
                found = dense(scene, opened.weights())
        except BudgetError as refused:
            few["device_memory"] = refused.smallest_bytes
    assert min(picture.bricks_evicted for picture in stats) > 20
    assert all(picture.peak_device_bytes <= picture.planned_device_bytes for picture in stats)
    np.testing.assert_allclose(found, native, rtol=0, atol=1e-6)


def test_a_backend_that_keeps_no_weights_is_refused_by_name(scene: Path) -> None:
    with (
        pytest.raises(DeviceError, match="backend xla keeps no weights .* native and warp do"),
        weighing(scene, backend="xla"),
    ):
        pass
