"""JAX as the kernels are traced: with float64 and int64, which ray geometry and counters need."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(autouse=True)
def x64() -> Iterator[None]:
    """The programs are traced so, see `programs.Programs`."""
    with jax.enable_x64(True):
        yield
