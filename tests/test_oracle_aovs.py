"""What rays gather beside colour, depth and alpha: the renderer against the float64 oracle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plenostream import reference
from plenostream.testing import checkpoints
from plenostream.testing.pictures import fragile_rays, model_of, open_renderer, rays_around
from plenostream.testing.recorded import largest_difference

pytestmark = pytest.mark.usefixtures("each_backend")

ALL = ("mean-depth", "median-depth", "density-depth", "normals", "cost")
ORACLE = 2e-5
"""What the recorded random cases allow a float32 renderer; depths reach 4, as they do there."""
DENSITY = 4.0
NUDGE = 3e-5
"""By which a threshold is moved to find the rays in which rounding decides."""
CHECKPOINT = checkpoints.random_checkpoint(
    14, size=(9, 33, 17), radius=(0.3, 1.0, 0.6), center=(0.1, -0.2, 0.3), basis_dim=4
)


@pytest.fixture(scope="module")
def seen_by_oracle() -> tuple[
    tuple[np.ndarray, np.ndarray], reference.ReferencePicture, np.ndarray
]:
    """Rays, what they see, and which of them are fragile."""
    rays, model = rays_around(3, 600), model_of(CHECKPOINT)
    fragile = fragile_rays(CHECKPOINT.grid, *rays)
    exact = reference.render_rays(model, *rays, depth_density=DENSITY)
    for way in (1.0 - NUDGE, 1.0 + NUDGE):
        nudged = reference.render_rays(model, *rays, depth_density=DENSITY * way, half=0.5 * way)
        for name in ("median_depth", "density_depth"):
            one, other = getattr(exact.aovs, name), getattr(nudged.aovs, name)
            fragile |= ~((one == other) | (np.isnan(one) & np.isnan(other)))
    assert fragile.mean() < 0.01
    return rays, exact, fragile


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_all_outputs_of_one_pass_are_the_oracles(
    make_scene: Callable[..., Path],
    seen_by_oracle: tuple[tuple[np.ndarray, np.ndarray], reference.ReferencePicture, np.ndarray],
    precision: str,
) -> None:
    rays, exact, fragile = seen_by_oracle
    options = {"outputs": ("rgb", *ALL), "depth_density": DENSITY}
    with open_renderer(make_scene(CHECKPOINT), options=options, precision=precision) as renderer:
        seen = renderer.render_rays(*rays)
    want = exact.aovs
    assert want is not None
    assert largest_difference(seen.rgb, exact.rgb, fragile=fragile) <= ORACLE
    assert largest_difference(seen.depth_weight, want.depth_weight, fragile=fragile) <= ORACLE
    for found, wanted in (
        (seen.median_depth, want.median_depth),
        (seen.density_depth, want.density_depth),
    ):
        there = ~np.isnan(wanted)
        assert 0.1 < there.mean() < 0.9
        assert (np.isnan(found) == ~there)[~fragile].all()
        assert largest_difference(found[there], wanted[there], fragile=fragile[there]) <= 5 * ORACLE
    length = np.linalg.norm(want.normals, axis=1)
    assert (seen.normals[length == 0.0] == 0.0).all()
    # Where gradients all but cancel, the direction of what is left is rounding.
    sure = length > 0.05 * np.median(length[length > 0.0])
    assert (
        largest_difference(seen.normals[sure], want.unit_normals[sure], fragile=fragile[sure])
        <= 1e-4
    )
    off = np.abs(seen.cost - want.cost)[~fragile]
    assert off.max() <= 1
    assert (off > 0).mean() < 0.01
