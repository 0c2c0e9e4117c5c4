"""Learned basis functions are the oracle's, in NumPy and in JAX, within what they are planned to take."""

from __future__ import annotations

import tracemalloc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plenostream import reference_extras
from plenostream.field.basis import BasisFunctions
from plenostream.field.learned import NetworkBasis, TextureBasis
from plenostream.testing.extras import network_arrays, texture_arrays

EXACT = 1e-12
FLOAT32 = 2e-7
"""Texels are blended in float32."""


def directions(n: int) -> np.ndarray:
    """Unit directions [3, n], some of them along axes: where cells of a texture end."""
    dirs = np.random.default_rng(1).normal(size=(n, 3))
    dirs[:6] = np.concatenate([np.eye(3), -np.eye(3)])
    return (dirs / np.linalg.norm(dirs, axis=1, keepdims=True)).T


def network_of(arrays: dict[str, Any]) -> tuple[NetworkBasis, np.ndarray]:
    layers = [a for name, a in arrays.items() if name.startswith("pt__")]
    widths = (layers[0].shape[1], *(weight.shape[0] for weight in layers[::2]))
    values = np.concatenate([a.reshape(-1) for a in layers])
    return NetworkBasis(int(arrays["mlp_posenc_size"]), widths), values


def case_of(name: str) -> tuple[BasisFunctions, np.ndarray, dict[str, Any]]:
    if name == "texture":
        arrays = texture_arrays(3, resolution=9, dim=7)
        return TextureBasis(9, 7), arrays["basis_data"].reshape(-1, 7), arrays
    if name == "smallest texture":
        arrays = texture_arrays(4, resolution=2, dim=1)
        return TextureBasis(2, 1), arrays["basis_data"].reshape(-1, 1), arrays
    encoded = {"network": 0, "encoded network": 3}[name]
    arrays = network_arrays(5, dim=11, width=24, n_frequencies=encoded)
    return *network_of(arrays), arrays


NAMES = ("texture", "smallest texture", "network", "encoded network")


@pytest.mark.parametrize("name", NAMES)
def test_functions_are_the_oracles(name: str) -> None:
    functions, values, arrays = case_of(name)
    dirs = directions(300)
    oracle = reference_extras.learned_basis(arrays)
    assert oracle is not None
    got = np.stack(functions(np, dirs, values), -1)
    assert got.shape == (300, functions.dim)
    close = FLOAT32 if isinstance(functions, TextureBasis) else EXACT
    np.testing.assert_allclose(got, oracle(dirs.T), rtol=0, atol=close)


@pytest.mark.parametrize("name", NAMES)
def test_functions_are_the_same_in_jax(name: str) -> None:
    functions, values, _ = case_of(name)
    dirs = directions(64)
    with jax.enable_x64(True):
        compiled = jax.jit(lambda dirs, values: jnp.stack(functions(jnp, dirs, values), -1))
        got = np.asarray(compiled(dirs, values))
    want = np.stack(functions(np, dirs, values), -1)
    np.testing.assert_allclose(got, want, rtol=0, atol=FLOAT32)


@pytest.mark.parametrize("name", NAMES)
def test_norms_are_within_their_bound(name: str) -> None:
    functions, values, _ = case_of(name)
    assert isinstance(functions, TextureBasis | NetworkBasis)
    seen = np.stack(functions(np, directions(2000), values), -1)
    for part, most in zip(
        (seen[:, :1], seen[:, 1:4], seen[:, 4:]), functions.bound(values), strict=True
    ):
        assert np.linalg.norm(part, axis=1).max(initial=0.0) <= most


@pytest.mark.parametrize("name", NAMES)
def test_values_below_0_count_as_0_in_a_texture_alone(name: str) -> None:
    functions, values, _ = case_of(name)
    least = min(v.min() for v in functions(np, directions(500), values))
    assert least == 0.0 if isinstance(functions, TextureBasis) else least > 0.0


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_takes_no_more_than_is_planned(name: str) -> None:
    functions, values, _ = case_of(name)
    dirs = directions(4096)
    tracemalloc.start()
    try:
        functions(np, dirs, values)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Their values are planned for beside this: 8 bytes each, in NumPy.
    assert taken <= dirs.shape[1] * (functions.ray_bytes + 8 * functions.dim)


def test_network_that_saturates_stays_finite() -> None:
    functions, values, _ = case_of("network")
    with np.errstate(all="raise"):
        got = np.stack(functions(np, directions(20), values * np.float32(1e9)))
    assert set(np.round(got.reshape(-1), 6)) <= {0.0, 1.0}
