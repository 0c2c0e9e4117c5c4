"""Rows that are gathered: by the compiled kernel as by NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from plenostream.integrator.interface import Runs
from plenostream.integrator.native.copying import compiled_copies
from plenostream.integrator.native.library import load_kernels
from plenostream.integrator.staging_memory import copy_rows


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("columns", [(), (1,), (27,), (75,)])
@pytest.mark.parametrize("n", [1, 200])
def test_compiled_copies_are_those_of_numpy(dtype: str, columns: tuple[int, ...], n: int) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.random((size, *columns)).astype(dtype) for size in (1, 40, 900)]
    sizes = np.array([len(array) for array in arrays])
    array_of = rng.integers(0, 3, n)
    first, end = np.sort(rng.integers(0, sizes[array_of] + 1, (2, n)), axis=0)
    n_rows, gaps = end - first, rng.integers(0, 3, n)
    out = np.cumsum(n_rows + gaps) - n_rows
    n_all = int((n_rows + gaps).sum()) + 5
    runs = Runs(arrays=arrays, array_of=array_of, first=first)
    targets = [np.full((n_all, *columns), -1, dtype) for _ in range(2)]
    for copy, target in zip((copy_rows, compiled_copies(load_kernels())), targets, strict=True):
        copy(target, runs, n_rows, out)
    np.testing.assert_array_equal(*targets)
    copied = np.zeros(n_all, bool)
    for begin, n_here in zip(out.tolist(), n_rows.tolist(), strict=True):
        copied[begin : begin + n_here] = True
    assert (targets[1][~copied] == -1).all()
    assert (targets[1][copied] >= 0).all()
