"""The device: what may be used of it, exact transfers, and the count of what lives on it."""

from __future__ import annotations

import gc
import os
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plenostream.errors import BudgetError
from plenostream.integrator.xla.device import Device, Ledger


@pytest.mark.cpu
def test_cpu_is_given_what_an_8_gb_card_has_unless_told() -> None:
    assert Device(None, None).allowed_bytes == 8_000_000_000
    assert Device(123, None).allowed_bytes == 123


@pytest.mark.cpu
def test_rays_on_a_cpu_are_dealt_to_as_many_parts_as_there_are_threads() -> None:
    assert Device(None, 3).n_parts == 3


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that grants 10 GB."""
    monkeypatch.setattr(Device, "granted_bytes", lambda self: 10_000_000_000)


@pytest.mark.usefixtures("card")
def test_nine_tenths_of_what_a_device_grants_are_used_at_most() -> None:
    assert Device(None, 1).allowed_bytes == 9_000_000_000
    assert Device(9_000_000_000, 1).allowed_bytes == 9_000_000_000
    with pytest.raises(BudgetError, match="allow 9000MB or less") as refusal:
        Device(9_000_000_001, 1)
    assert refusal.value.allowed_bytes == 9_000_000_000


@pytest.mark.parametrize("dtype", ["float64", "int64", "float16", "uint32", "int32", "bool"])
def test_array_arrives_on_the_device_and_back_with_its_own_type(dtype: str) -> None:
    device = Device(None, 1)
    value = np.arange(5).astype(dtype)
    array = device.put(value)
    assert array.dtype == value.dtype
    assert device.get(array).tolist() == value.tolist()


def array_of(n: int) -> jax.Array:
    return jnp.zeros(n, jnp.float32)


def test_ledger_counts_arrays_for_as_long_as_they_live() -> None:
    ledger, arrays = Ledger(), [array_of(100), array_of(10)]
    ledger.watch(arrays)
    assert ledger.sample() == 440
    del arrays[0]
    gc.collect()
    assert ledger.sample() == 40


def test_ledger_counts_a_donated_array_no_more() -> None:
    ledger, array = Ledger(), array_of(100)
    ledger.watch(array)
    after = jax.jit(lambda x: x + 1.0, donate_argnums=0)(array)
    assert after.shape == array.shape
    assert ledger.sample() == 0


def test_ledger_adds_the_temporaries_of_kernels_that_run_side_by_side() -> None:
    ledger, array = Ledger(), array_of(25)
    ledger.watch(array)
    ledger.start("one", 1000)
    ledger.start("two", 500)
    assert ledger.sample() == 1600
    ledger.stop("one")
    assert ledger.sample() == 600
    ledger.stop("two")
    assert ledger.take_peak() == 1600


def test_peak_of_the_ledger_begins_anew_when_it_was_taken() -> None:
    ledger, array = Ledger(), array_of(25)
    ledger.watch(array)
    ledger.start("kernel", 1000)
    ledger.sample()
    ledger.stop("kernel")
    assert (ledger.take_peak(), ledger.take_peak()) == (1100, 100)


@pytest.mark.cpu
def test_option_that_the_compiler_does_not_know_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "plenostream.integrator.xla.device._COMPILER_OPTIONS", {"cpu": {"xla_cpu_no_such": "1"}}
    )
    lowered = jax.jit(lambda x: x + 1.0).lower(jnp.ones(3))
    assert Device(None, 1).compile("sum", lowered)(jnp.ones(3)).tolist() == [2, 2, 2]


@pytest.mark.cpu
def test_loops_are_not_cut_for_threads_of_xlas_own() -> None:
    many = jax.ShapeDtypeStruct((4_000_000,), jnp.float32)
    lowered = jax.jit(lambda x: jnp.sin(x) * jnp.exp(x)).lower(many)
    cut = re.compile(r'"outer_dimension_partitions":\["[0-9]')
    assert not cut.search(Device(None, 1).compile("loop", lowered).as_text() or "")
    if (os.cpu_count() or 1) > 1 and "NPROC" not in os.environ:
        assert cut.search(lowered.compile().as_text() or ""), "XLA does so unless told"
