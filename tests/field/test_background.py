"""Background layers are seen as the oracle sees them, in NumPy and in JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plenostream import reference_extras
from plenostream.field.background import see_layers
from plenostream.field.basis import C0
from plenostream.testing.extras import layer_arrays

CLOSE = 3e-6
"""Texels are blended in float32; densities reach 10 and colours 1.5."""
CENTER, RADIUS = np.array([0.1, -0.2, 0.05]), np.array([1.0, 0.7, 1.3])
STEP, STOP = 0.5, 1e-7


def rays(n: int, seed: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Origins and directions [3, n] from in and outside, of any length, and light [n] that is left."""
    rng = np.random.default_rng(seed)
    origins, dirs = rng.normal(0.0, 1.5, (2, 3, n))
    return origins, dirs * rng.uniform(0.1, 10.0, n), rng.uniform(0.0, 1.0, n)


def see(
    arrays: dict[str, Any],
    origins: np.ndarray,
    dirs: np.ndarray,
    trans: np.ndarray,
    **options: float,
) -> tuple[np.ndarray, np.ndarray]:
    return see_layers(
        np,
        arrays["background_links"],
        arrays["background_data"],
        origins,
        dirs,
        trans,
        center=CENTER,
        radius=RADIUS,
        **({"step_size": STEP, "stop_thresh": STOP} | options),
    )


def oracle(
    arrays: dict[str, Any],
    origins: np.ndarray,
    dirs: np.ndarray,
    trans: np.ndarray,
    **options: float,
) -> tuple[np.ndarray, np.ndarray]:
    layers = reference_extras.stored_layers(arrays)
    assert layers is not None
    unit = (dirs / np.linalg.norm(dirs, axis=0)).T
    return reference_extras.see_layers(
        layers,
        (origins.T - CENTER) / RADIUS,
        unit / RADIUS,
        trans,
        **({"step_size": STEP, "stop_thresh": STOP} | options),
    )


@pytest.mark.parametrize("share", [1.0, 0.4], ids=["full", "sparse"])
@pytest.mark.parametrize("options", [{}, {"step_size": 0.3}, {"stop_thresh": 0.2}], ids=str)
def test_layers_are_the_oracles(share: float, options: dict[str, float]) -> None:
    arrays = layer_arrays(1, share=share)
    some = rays(200)
    for got, want in zip(
        see(arrays, *some, **options), oracle(arrays, *some, **options), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=0, atol=CLOSE)


def test_poles_and_the_seam_wrap_round() -> None:
    arrays = layer_arrays(3, height=4, layers=2, share=1.0)
    # Along y to the poles, and along -z, where the angle around jumps from pi to -pi.
    ways = np.array([[0, 1, 0], [0, -1, 0], [0, 0, -1], [1e-9, 0, -1], [-1e-9, 0, -1]], float).T
    origins, light = np.repeat(CENTER[:, None], 5, axis=1), np.ones(5)
    got, want = see(arrays, origins, ways, light), oracle(arrays, origins, ways, light)
    np.testing.assert_allclose(got[0], want[0], rtol=0, atol=CLOSE)
    np.testing.assert_allclose(got[0][3], got[0][4], rtol=0, atol=1e-6)


def test_two_equal_layers_are_a_slab_in_inverse_radius() -> None:
    # From the centre of a unit sphere, everything from radius 1 outward has the same density.
    density, n_spheres = 2.0, 2 / STEP + 2
    links = np.zeros((8, 4), np.int32)
    data = np.zeros((1, 2, 4), np.float32)
    data[..., :3], data[..., 3] = np.array([1.0, 0.0, -1.0]), density
    colour, trans = see_layers(
        np, links, data, np.zeros((3, 1)), np.array([[0.3], [0.5], [-0.8]]), np.ones(1),
        center=np.zeros(3), radius=np.ones(3), step_size=STEP, stop_thresh=STOP,
    )  # fmt: skip
    left = np.exp(-density * (1.0 - 0.5 / n_spheres))
    np.testing.assert_allclose(trans, left, rtol=1e-6)
    np.testing.assert_allclose(
        colour[0], (1.0 - left) * (0.5 + C0 * np.array([1.0, 0.0, -1.0])), rtol=1e-6
    )


def test_opaque_rays_see_nothing() -> None:
    origins, dirs, _ = rays(20)
    colour, trans = see(layer_arrays(1), origins, dirs, np.zeros(20))
    assert not colour.any()
    assert not trans.any()


def test_layers_are_the_same_in_jax() -> None:
    arrays, (origins, dirs, trans) = layer_arrays(1, layers=3), rays(64)
    with jax.enable_x64(True):

        def draw(links: Any, data: Any, *some: Any) -> Any:
            return see_layers(
                jnp, links, data, *some,
                center=jnp.asarray(CENTER), radius=jnp.asarray(RADIUS),
                step_size=STEP, stop_thresh=STOP,
            )  # fmt: skip

        drawn = jax.jit(draw)(
            arrays["background_links"], arrays["background_data"], origins, dirs, trans
        )
    for got, want in zip(drawn, see(arrays, origins, dirs, trans), strict=True):
        np.testing.assert_allclose(np.asarray(got), want, rtol=0, atol=CLOSE)
