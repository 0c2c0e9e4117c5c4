"""The small operations of the kernels: numbers in pairs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plenostream.integrator.xla.kernels.lanes import pair_dtype, pair_up, unpair

EVERY_FLOAT16 = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
FLOAT32_LIMITS = np.array([0.0, -0.0, 1e30, -1e30, 3.4e38, 1.2e-38, 1e-45, -1e-45], np.float32)


def bits_of(values: np.ndarray) -> list[int]:
    """Their bytes as numbers: a zero and a zero below it differ."""
    return np.asarray(values, np.float32).view(np.uint32).tolist()


def assert_round_trip(values: np.ndarray) -> None:
    words = jax.jit(pair_up)(jnp.asarray(values))
    low, high = map(np.asarray, jax.jit(unpair)(words))
    assert words.shape == (*values.shape[:-1], values.shape[-1] - 1)
    assert low.dtype == high.dtype == np.float32
    assert bits_of(low) == bits_of(values[..., :-1])
    assert bits_of(high) == bits_of(values[..., 1:])


def test_pairs_hold_every_finite_float16_and_its_neighbour() -> None:
    values = EVERY_FLOAT16[np.isfinite(EVERY_FLOAT16)]
    # Among them are the 2046 subnormal ones, which a conversion might take for zeros.
    assert ((values != 0) & (np.abs(values) < np.finfo(np.float16).smallest_normal)).sum() == 2046
    assert_round_trip(values)


def test_pairs_hold_float32_and_its_neighbour_bit_by_bit() -> None:
    random = np.random.default_rng(1).normal(size=500).astype(np.float32)
    assert_round_trip(np.concatenate([random, FLOAT32_LIMITS]))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_pairs_of_a_row_end_with_the_row(dtype: str) -> None:
    assert_round_trip(np.arange(1.0, 13.0).reshape(3, 4).astype(dtype))


@pytest.mark.parametrize(("dtype", "words"), [("float16", "uint32"), ("float32", "uint64")])
def test_word_is_as_long_as_two_numbers(dtype: str, words: str) -> None:
    assert pair_dtype(jnp.dtype(dtype)) == words
    assert pair_up(jnp.ones(3, dtype)).dtype == words
