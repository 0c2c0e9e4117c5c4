"""Derivatives of a loss by rows are central differences of the oracle, for every option of the picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plenostream.testing.checkpoints import CheckpointArrays, random_checkpoint
from plenostream.testing.going_back import Dense, LinearLoss, back_session, go_back, slope
from plenostream.testing.pictures import rays_around

SIZE = (13, 12, 10)
RAYS = rays_around(3, 40)
LOSS = LinearLoss.random(1, RAYS)
BLACK = {"background": 0.0}
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


@pytest.fixture(scope="module")
def checkpoint() -> CheckpointArrays:
    return random_checkpoint(
        4, size=SIZE, basis_dim=4, active_share=0.4, radius=(1.0, 0.8, 1.1), center=(0.1, 0.0, 0.0)
    )


@pytest.fixture(scope="module")
def scene(checkpoint: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(checkpoint, brick_size=8)


def slopes_of(
    checkpoint: CheckpointArrays, found: Dense, **options: Any
) -> tuple[list[float], list[float]]:
    """Of a few directions: what derivatives say, and what central differences do."""
    rng = np.random.default_rng(8)
    active = checkpoint.links >= 0
    n, columns = len(checkpoint.density), checkpoint.sh.shape[1]
    said, seen = [], []
    for number in range(3):
        density = rng.normal(0.0, 1.0, n) * (number % 3 != 1)
        sh = rng.normal(0.0, 1.0, (n, columns)) * (number % 3 != 0)
        rows = checkpoint.links[active]
        said.append(
            float(
                (found.density[active] * density[rows]).sum() + (found.sh[active] * sh[rows]).sum()
            )
        )
        seen.append(slope(checkpoint, LOSS, (density, sh), **options))
    return said, seen


@pytest.mark.parametrize("backend", ["plain", "native"])
@pytest.mark.parametrize("name", OPTIONS)
def test_derivatives_are_central_differences(
    name: str, backend: str, scene: Path, checkpoint: CheckpointArrays
) -> None:
    options = OPTIONS[name]
    with back_session(scene, options, backend, precision="float32") as session:
        found, stats = go_back(session, LOSS)
    assert stats.peak_device_bytes <= stats.planned_device_bytes
    assert stats.peak_host_bytes <= stats.planned_host_bytes
    said, seen = slopes_of(checkpoint, found, **options)
    print(name, said, seen)
    np.testing.assert_allclose(said, seen, rtol=1e-4, atol=1e-4 * np.abs(seen).max())
