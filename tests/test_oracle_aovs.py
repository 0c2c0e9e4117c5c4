"""What rays gather beside colour, depth and alpha: the renderer against the float64 oracle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream import reference
from plenostream.engine import planner
from plenostream.integrator.interface import PAGE_ROWS
from plenostream.plan.budget import DeviceDivision, divide_device
from plenostream.reference_aovs import ReferenceAovs
from plenostream.testing import checkpoints
from plenostream.testing.pictures import fragile_rays, model_of, open_renderer, rays_around
from plenostream.testing.recorded import largest_difference

pytestmark = pytest.mark.usefixtures("each_backend")

ALL = ("mean-depth", "median-depth", "density-depth", "normals", "cost")
ORACLE = 2e-5
"""What the recorded random cases allow a float32 renderer; depths reach 4, as they do there."""
DENSITY = 4.0
PRECISIONS = {"native": ("float32", "float16"), "warp": ("float16",), "xla": ("float32",)}
"""Of each backend: programs take long to compile."""
NUDGE = 3e-5
"""By which a threshold is moved to find the rays in which rounding decides."""
CHECKPOINT = checkpoints.random_checkpoint(
    14, size=(9, 33, 17), radius=(0.3, 1.0, 0.6), center=(0.1, -0.2, 0.3), basis_dim=4
)


@pytest.fixture(autouse=True)
def small_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pools of four bricks: rays stop and are taken up again, wave after wave."""
    pages = 4 * -(-(9**3) // PAGE_ROWS) + 1

    def divided(*args: Any, **kwargs: Any) -> DeviceDivision:
        return replace(divide_device(*args, **kwargs), n_slots=4, n_pages=pages)

    monkeypatch.setattr(planner, "divide_device", divided)


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """Rays, what they see by the oracle, and in which of them rounding decides."""

    rays: tuple[np.ndarray, np.ndarray]
    seen: reference.ReferencePicture
    aovs: ReferenceAovs
    fragile: np.ndarray
    turns: np.ndarray
    """Normals alone: a sample lies between two cells, whose gradients differ."""


def looked_at(rays: tuple[np.ndarray, np.ndarray], way: float) -> reference.ReferencePicture:
    """With rays and thresholds moved by a part of themselves."""
    model, (origins, dirs) = model_of(CHECKPOINT), rays
    rule = {"depth_density": DENSITY * way, "half": 0.5 * way}
    return reference.render_rays(model, origins + (way - 1.0) / 100.0, dirs, **rule)


@pytest.fixture(scope="module")
def known() -> Known:
    rays = rays_around(3, 600)
    seen, fragile = looked_at(rays, 1.0), fragile_rays(CHECKPOINT.grid, *rays)
    assert seen.aovs is not None
    turns = np.zeros_like(fragile)
    for way in (1.0 - NUDGE, 1.0 + NUDGE):
        nudged = looked_at(rays, way).aovs
        assert nudged is not None
        for name in ("median_depth", "density_depth"):
            one, other = getattr(seen.aovs, name), getattr(nudged, name)
            fragile |= ~np.isclose(one, other, rtol=0, atol=ORACLE, equal_nan=True)
        turned = np.abs(nudged.unit_normals - seen.aovs.unit_normals).max(1)
        turns |= turned > 5 * ORACLE
    assert fragile.mean() < 0.01
    assert turns.mean() < 0.02
    return Known(rays=rays, seen=seen, aovs=seen.aovs, fragile=fragile, turns=turns)


def test_all_outputs_of_one_pass_are_the_oracles(
    make_scene: Callable[..., Path], known: Known, each_backend: str
) -> None:
    options = {"outputs": ("rgb", *ALL), "depth_density": DENSITY}
    scene = make_scene(CHECKPOINT, brick_size=8)
    for precision in PRECISIONS[each_backend]:
        with open_renderer(scene, options=options, precision=precision) as renderer:
            seen = renderer.render_rays(*known.rays)
        assert_known(seen, known)
        assert seen.stats.waves > 16


def assert_known(seen: ps.RayResult, known: Known) -> None:
    want, fragile = known.aovs, known.fragile
    assert largest_difference(seen.rgb, known.seen.rgb, fragile=fragile) <= ORACLE
    assert largest_difference(seen.depth_weight, want.depth_weight, fragile=fragile) <= ORACLE
    for name in ("median_depth", "density_depth"):
        found, wanted = getattr(seen, name), getattr(want, name)
        there = ~np.isnan(wanted)
        assert 0.1 < there.mean() < 0.9
        assert (np.isnan(found) == ~there)[~fragile].all()
        assert largest_difference(found[there], wanted[there], fragile=fragile[there]) <= 5 * ORACLE
    assert (seen.normals[(want.normals == 0.0).all(1)] == 0.0).all()
    unsure = fragile | known.turns
    assert largest_difference(seen.normals, want.unit_normals, fragile=unsure) <= 5 * ORACLE
    off = np.abs(seen.cost - want.cost)[~fragile]
    assert off.max() <= 1
    assert (off > 0).mean() < 0.01
