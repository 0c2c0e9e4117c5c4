"""Derivatives are those that JAX finds of a dense formulation in float64, clamps and ends included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plenostream.reference import sh_basis
from plenostream.reference_rays import box_bounds
from plenostream.testing.checkpoints import random_checkpoint
from plenostream.testing.going_back import LinearLoss, back_session, go_back
from plenostream.testing.pictures import rays_around

STEP, STOP, BEHIND = 0.5, 1e-7, 0.3


def samples_of(
    checkpoint: Any, loss: LinearLoss
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Corners of the samples of rays [n, k, 8, 3], their shares [n, k, 8] (0 beyond the end), world
    lengths [n] and functions [n, K]."""
    grid, size = checkpoint.grid, np.array(checkpoint.size)
    views = loss.directions / np.linalg.norm(loss.directions, axis=1, keepdims=True)
    along = views * grid.scale
    per_t = 1.0 / np.linalg.norm(along, axis=1)
    along *= per_t[:, None]
    start = grid.world_to_grid(loss.origins)
    enter, leave = box_bounds(start, along, size.astype(float))
    enter = np.maximum(enter, 0.0)
    t = enter[:, None] + np.arange(2 * int(size.sum() / STEP)) * STEP
    place = np.clip(start[:, None] + t[..., None] * along[:, None], 0.0, size - 1.0)
    cell = np.minimum(np.floor(place).astype(int), size - 2)[:, :, None]
    offset = np.array(list(np.ndindex(2, 2, 2)))
    within = place[:, :, None] - cell
    shares = np.where(offset, within, 1.0 - within).prod(-1) * (t <= leave[:, None])[..., None]
    functions = sh_basis(views, checkpoint.basis_dim)
    return cell + offset, shares, STEP * per_t, functions


@pytest.mark.cpu
def test_derivatives_are_those_of_jax(make_scene: Callable[..., Path]) -> None:
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    checkpoint = random_checkpoint(2, size=(7, 6, 8), basis_dim=4, density_scale=20.0)
    loss = LinearLoss.random(5, rays_around(6, 30))
    with back_session(
        make_scene(checkpoint, brick_size=8),
        {"background": BEHIND},
        "native",
        precision="float32",
    ) as session:
        found, _ = go_back(session, loss)
    corners, shares, length, functions = samples_of(checkpoint, loss)
    rows = checkpoint.links[tuple(np.moveaxis(corners, -1, 0))]
    shares = np.where(rows >= 0, shares, 0.0)

    def of(density: Any, sh: Any) -> Any:
        sigma = (density[rows] * shares).sum(-1)
        depth = jnp.where(sigma > 1e-10, sigma, 0.0) * length[:, None]
        after = jnp.exp(-jnp.cumsum(depth, 1))
        before = jnp.concatenate([jnp.ones_like(after[:, :1]), after[:, :-1]], 1)
        goes_on = before >= STOP
        signed = jnp.einsum("nkc,nkcaf,nf->nka", shares, sh[rows], functions) + 0.5
        weight = jnp.where(goes_on, before - after, 0.0)
        left = jnp.where(after[:, -1] < STOP, 0.0, after[:, -1])
        rgb = (weight[..., None] * jnp.maximum(signed, 0.0)).sum(1) + left[:, None] * BEHIND
        return (rgb * loss.by_rgb.astype(float)).sum() - (left * loss.by_alpha.astype(float)).sum()

    with jax.enable_x64(True):
        arrays = checkpoint.density.astype(float), checkpoint.sh.astype(float)
        shaped = arrays[1].reshape(-1, 3, checkpoint.basis_dim)
        by_density, by_sh = jax.jit(jax.grad(of, (0, 1)))(arrays[0], shaped)
    active = checkpoint.links >= 0
    order = checkpoint.links[active]
    most = float(np.abs(by_density).max())
    np.testing.assert_allclose(
        found.density[active], np.asarray(by_density)[order], rtol=1e-4, atol=2e-6 * most
    )
    flat = np.asarray(by_sh).reshape(len(order), -1)[order]
    np.testing.assert_allclose(found.sh[active], flat, rtol=1e-4, atol=2e-6)
