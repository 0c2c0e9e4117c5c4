"""Rows that are gathered: by the compiled kernel as by NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from plenostream.integrator.native.copying import compiled_copies
from plenostream.integrator.native.library import load_kernels
from plenostream.integrator.staging_memory import Slices, copy_rows


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("columns", [(), (1,), (27,), (75,)])
@pytest.mark.parametrize("n", [0, 1, 200])
def test_compiled_copies_are_those_of_numpy(dtype: str, columns: tuple[int, ...], n: int) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.random((size, *columns)).astype(dtype) for size in (1, 40, 900)]
    sizes = np.array([len(array) for array in arrays])
    array = rng.integers(0, 3, n)
    low, high = np.sort(rng.integers(0, sizes[array] + 1, (2, n)), axis=0)
    gaps = rng.integers(0, 3, n)
    out = np.cumsum(high - low + gaps) - (high - low)
    slices = Slices(array=array, low=low, high=high, out=out)
    n_rows = int((high - low + gaps).sum()) + 5
    targets = [np.full((n_rows, *columns), -1, dtype) for _ in range(2)]
    for copy, target in zip((copy_rows, compiled_copies(load_kernels())), targets, strict=True):
        copy(target, arrays, slices)
    np.testing.assert_array_equal(*targets)
    copied = np.zeros(n_rows, bool)
    for begin, end in zip(out.tolist(), (out + high - low).tolist(), strict=True):
        copied[begin:end] = True
    assert (targets[1][~copied] == -1).all()
    assert (targets[1][copied] >= 0).all()
