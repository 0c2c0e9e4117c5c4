"""Derivatives of a loss by rows are central differences of the oracle, for every option of the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream.engine.rays import RaysJob
from plenostream.errors import BudgetError, DeviceError, InvalidInput
from plenostream.integrator.interface import RowDerivatives
from plenostream.testing.checkpoints import (
    CheckpointArrays,
    constant_checkpoint,
    random_checkpoint,
)
from plenostream.testing.extras import layer_arrays, save_with, texture_arrays
from plenostream.testing.going_back import Dense, LinearLoss, back_session, go_back, value
from plenostream.testing.pictures import rays_around

STEP = 1e-5
SIZE = (13, 12, 10)
LOSS = LinearLoss.random(1, rays_around(3, 40))
OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "long steps": {"step_size": 0.83, "background": (0.2, 0.9, 0.4)},
    "threshold of density": {"sigma_thresh": 3.0},
    "rays that end early": {"stop_thresh": 0.3},
    "near clip": {"near_clip": 0.4},
    "two ellipsoids": {"spheric_clip": True, "near_clip": 0.3},
    "far cap": {"far_cap": 11.3},
    "opaque end": {"last_sample_opaque": True},
    "ndc": {"ndc": (56, 40, 50, 45)},
}
CASES = [
    *(("native", name) for name in OPTIONS),
    ("plain", "defaults"),
    ("plain", "opaque end"),
]


@pytest.fixture(scope="module")
def checkpoint() -> CheckpointArrays:
    return random_checkpoint(
        4, size=SIZE, basis_dim=4, active_share=0.4, radius=(1.0, 0.8, 1.1), center=(0.1, 0.0, 0.0)
    )


@pytest.fixture(scope="module")
def scene(checkpoint: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(checkpoint, brick_size=8)


def difference(of: Callable[[float], float]) -> float:
    """Central difference of a function at 0."""
    return (of(STEP) - of(-STEP)) / (2.0 * STEP)


def agree(checkpoint: CheckpointArrays, found: Dense, loss: LinearLoss, **options: Any) -> None:
    """Along random directions of densities and of coefficients, derivatives are differences."""
    rng = np.random.default_rng(8)
    active = checkpoint.links >= 0
    rows = checkpoint.links[active]
    density = rng.normal(0.0, 1.0, checkpoint.density.shape)
    sh = rng.normal(0.0, 1.0, checkpoint.sh.shape)
    said = [(found.density[active] * density[rows]).sum(), (found.sh[active] * sh[rows]).sum()]
    seen = [
        difference(lambda by: value(loss, checkpoint, density=by * density, **options)),
        difference(lambda by: value(loss, checkpoint, sh=by * sh, **options)),
    ]
    assert np.abs(seen).min() > 1e-3
    np.testing.assert_allclose(said, seen, rtol=1e-4)


@pytest.mark.parametrize(("backend", "name"), CASES)
def test_derivatives_are_central_differences(
    backend: str, name: str, scene: Path, checkpoint: CheckpointArrays
) -> None:
    options = OPTIONS[name]
    with back_session(scene, options, backend, precision="float32") as session:
        found, stats = go_back(session, LOSS)
    assert stats.peak_device_bytes <= stats.planned_device_bytes
    assert stats.peak_host_bytes <= stats.planned_host_bytes
    agree(checkpoint, found, LOSS, **options)


def test_layers_and_a_learned_basis_go_back_too(tmp_path: Path) -> None:
    extras = layer_arrays(4, height=5, layers=3) | texture_arrays(5, resolution=5, dim=7)
    checkpoint = random_checkpoint(4, size=SIZE, basis_dim=7, active_share=0.1)
    path = tmp_path / "scene.zarr"
    ps.convert(save_with(tmp_path / "model.npz", checkpoint, **extras), path)
    options: dict[str, Any] = {"background": (0.2, 0.9, 0.4)}
    texels = extras["background_data"].astype(float)
    by_texels = np.zeros((1, *texels.shape), np.float32)
    loss = replace(LOSS, by_alpha=0.0 * LOSS.by_alpha)
    with back_session(path, options, "native", precision="float32") as session:
        found, _ = go_back(session, loss, by_texels)
    direction = np.random.default_rng(2).normal(0.0, 1.0, texels.shape)
    seen = difference(
        lambda by: value(
            loss, checkpoint, {**extras, "background_data": texels + by * direction}, **options
        )
    )
    np.testing.assert_allclose((by_texels[0] * direction).sum(), seen, rtol=1e-4)
    active, rng = checkpoint.links >= 0, np.random.default_rng(3)
    density, sh = (rng.normal(0.0, 1.0, a.shape) for a in (checkpoint.density, checkpoint.sh))
    rows = checkpoint.links[active]
    said = (found.density[active] * density[rows]).sum() + (found.sh[active] * sh[rows]).sum()
    seen = difference(
        lambda by: value(loss, checkpoint, extras, density=by * density, sh=by * sh, **options)
    )
    np.testing.assert_allclose(said, seen, rtol=1e-4)


@pytest.mark.parametrize("backend", ["native", pytest.param("warp", marks=pytest.mark.slow)])
def test_a_small_pool_and_float16_say_the_same(backend: str, scene: Path) -> None:
    loss = replace(LOSS, sparsity=0.05)
    with back_session(scene, {}, "native", precision="float32", n_threads=1) as session:
        whole, stats = go_back(session, loss)
        assert stats.bricks_evicted == 0
    least = 100_000
    for _ in range(3):  # the temporaries of programs that are compiled once more may differ (warp)
        few = {"n_threads": 1, "precision": "float16", "device_memory": least}
        try:
            with back_session(scene, {}, backend, **few) as session:
                streamed, stats = go_back(session, loss)
        except BudgetError as refused:
            least = refused.smallest_bytes
    assert stats.backend == backend
    assert stats.bricks_evicted > 10
    assert stats.peak_device_bytes <= stats.planned_device_bytes
    for one, other in zip(whole, streamed, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-3 * np.abs(one).max())


def test_the_same_threads_give_the_same_bits_and_0_where_nothing_was_read(scene: Path) -> None:
    ray = LinearLoss.random(2, (np.array([[0.1, -2.0, 0.1]]), np.array([[0.0, 1.0, 0.0]])))
    with back_session(scene, {}, "native", n_threads=3) as session:
        one, other = (go_back(session, LOSS)[0] for _ in range(2))
        np.testing.assert_array_equal(one.density, other.density)
        np.testing.assert_array_equal(one.sh, other.sh)
        alone, _ = go_back(session, ray)
    read = np.zeros(SIZE, bool)
    read[5:8, :, 4:6] = True  # x = 0.1 and z = 0.1 lie at 6.0 and 4.95 in the grid
    assert alone.density[read].any()
    assert not alone.density[~read].any()
    assert not alone.sh[~read].any()


def test_bricks_that_come_in_know_nothing_of_those_before_them(scene: Path) -> None:
    with back_session(scene, {}, "native", n_threads=2) as session:
        go_back(session, LOSS, collect=False)
        bricks, slots = session.resident()
        session._kept.residency.forget(bricks)  # type: ignore[union-attr]
        _, stats = RaysJob(session, LOSS.origins, LOSS.directions).draw()
        assert stats.bricks_read == len(bricks)
        for found in session.integrator.derivatives(slots)[:2]:
            assert not found.any()


def test_rows_that_were_not_touched_are_left_as_they_are_where_that_is_asked_for(
    scene: Path,
) -> None:
    some = replace(LOSS, origins=LOSS.origins[:3], directions=LOSS.directions[:3])
    with back_session(scene, {}, "native", n_threads=2) as session:
        go_back(session, some, collect=False)
        _, slots = session.resident()
        whole = session.integrator.derivatives(slots)
        go_back(session, some, collect=False)
        room = whole._replace(
            density=np.full_like(whole.density, 7.0),
            sh=np.full_like(whole.sh, 7.0),
            touched=np.zeros(len(whole.density), bool),
        )
        session.integrator.derivatives(slots, room)
        assert not session.integrator.derivatives(slots).sh.any()
    assert room.touched is not None
    assert 0.1 < room.touched.mean() < 0.9
    for mine, all_of_them in ((room.density, whole.density), (room.sh, whole.sh)):
        np.testing.assert_array_equal(mine[room.touched], all_of_them[room.touched])
        assert not all_of_them[~room.touched].any()
        assert (mine[~room.touched] == 7.0).all()


@pytest.mark.parametrize("backend", ["native", "plain"])
def test_sparsity_adds_the_derivative_of_its_term_at_each_sample(
    backend: str, make_scene: Callable[..., Path]
) -> None:
    density, weight = 1.5, 0.25
    scene = make_scene(constant_checkpoint(density=density))
    ray = (np.array([[-3.0, 0.1, 0.1]]), np.array([[1.0, 0.0, 0.0]]))
    none = np.zeros((1, 3), np.float32), np.zeros(1, np.float32)
    with back_session(scene, {}, backend) as session:
        found, _ = go_back(session, LinearLoss(*ray, *none, sparsity=weight))
    n_samples = 8 / 0.5 + 1
    own = weight * 4.0 * density / (1.0 + 2.0 * density**2)
    np.testing.assert_allclose(found.density.sum(), n_samples * own, rtol=1e-5)
    assert not found.sh.any()


def test_what_gives_no_derivatives_is_refused_by_name(scene: Path) -> None:
    with (
        pytest.raises(DeviceError, match="backend xla gives no derivatives"),
        back_session(scene, {}, "xla"),
    ):
        pass
    with (
        pytest.raises(InvalidInput, match="model nvol"),
        back_session(scene, {"model": "nvol"}, "native"),
    ):
        pass


@pytest.mark.parametrize("backend", ["native", "plain"])
def test_derivatives_are_added_to_the_rows_that_are_said(scene: Path, backend: str) -> None:
    with back_session(scene, {}, backend, n_threads=2) as session:
        go_back(session, LOSS, collect=False)
        _, slots = session.resident()
        whole = session.integrator.derivatives(slots)
        go_back(session, LOSS, collect=False)
        n = len(whole.density)
        owner = np.random.default_rng(0).integers(n // 2, size=n).astype(np.int32)
        added = RowDerivatives.zeros(n, whole.sh.shape[1])._replace(touched=np.zeros(n, bool))
        session.integrator.add_derivatives(slots, owner, added)
        assert not session.integrator.derivatives(slots).sh.any()
    expected = RowDerivatives.zeros(n, whole.sh.shape[1])
    np.add.at(expected.density, owner, whole.density)
    np.add.at(expected.sh, owner, whole.sh)
    np.testing.assert_array_equal(added.density, expected.density)
    np.testing.assert_array_equal(added.sh, expected.sh)
    assert added.touched is not None
    assert not added.touched[n // 2 :].any()
    assert added.touched.sum() < len(np.unique(owner))
