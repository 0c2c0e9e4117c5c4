"""Which rows of which chunks bricks are made of."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from plenostream.format.spans import row_runs, split_by_chunk

runs = st.lists(st.tuples(st.integers(0, 500), st.integers(1, 90)), max_size=12)


@given(runs=runs, chunk_rows=st.integers(1, 100))
def test_slices_copy_exactly_the_rows_asked_for(
    runs: list[tuple[int, int]], chunk_rows: int
) -> None:
    rows = np.arange(600)
    first, count = np.array(runs, np.int64).reshape(-1, 2).T
    out = np.full(int(count.sum()), -1)
    spans = split_by_chunk(first, count, chunk_rows)
    for chunk, low, high, at in zip(spans.chunk, spans.low, spans.high, spans.out, strict=True):
        values = rows[chunk * chunk_rows : (chunk + 1) * chunk_rows]
        assert 0 <= low < high <= chunk_rows
        out[at : at + high - low] = values[low:high]
    wanted = np.concatenate([np.arange(0), *(rows[a : a + n] for a, n in runs)])
    np.testing.assert_array_equal(out, wanted)


@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=9), data=st.data())
def test_bricks_in_a_row_are_one_run(counts: list[int], data: st.DataObject) -> None:
    row_start = np.cumsum([0, *counts])
    ids = data.draw(st.lists(st.integers(0, len(counts) - 1), max_size=9))
    at = np.array(ids, np.int64)
    first, count = row_runs(row_start[at], np.diff(row_start)[at])
    rows = [r for a, n in zip(first, count, strict=True) for r in range(a, a + n)]
    assert rows == [r for b in ids for r in range(row_start[b], row_start[b + 1])]
    assert (first[1:] != (first + count)[:-1]).all()
