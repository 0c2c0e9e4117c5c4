"""Which chunks bricks have rows in, held against what is said of each row by itself."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from plenostream.format.layout import ROW_ARRAYS
from plenostream.format.reader import SceneStore
from plenostream.stream.row_chunks import RowChunks

pytestmark = pytest.mark.usefixtures("small_chunks")


def chunks_by_row(store: SceneStore, brick: int) -> list[int]:
    """Chunks of both arrays that a brick has rows in, one row after another; rising."""
    start, found, before = store.tables.row_start, set(), 0
    for name in ROW_ARRAYS:
        spec = store.specs[name]
        rows = range(int(start[brick]), int(start[brick + 1]))
        found |= {before + row // spec.chunk_shape[0] for row in rows}
        before += spec.n_chunks
    return sorted(found)


@pytest.fixture
def bricks(store: SceneStore) -> NDArray[np.int64]:
    return np.random.default_rng(0).permutation(store.meta.n_bricks)[:40]


def test_chunks_are_needed_in_the_order_of_the_bricks(
    store: SceneStore, bricks: NDArray[np.int64]
) -> None:
    in_order = [chunk for brick in bricks for chunk in chunks_by_row(store, brick)]
    chunks, times = RowChunks(store).needed(bricks)
    assert chunks.tolist() == list(dict.fromkeys(in_order))
    assert times.tolist() == [in_order.count(chunk) for chunk in chunks]
    n_up_to = [
        len({chunk for brick in bricks[: k + 1] for chunk in chunks_by_row(store, brick)})
        for k in range(len(bricks))
    ]
    assert RowChunks(store).n_up_to(bricks).tolist() == n_up_to


def test_place_of_a_chunk_is_its_array_and_its_number_there(store: SceneStore) -> None:
    places = [(name, number) for name in ROW_ARRAYS for number in range(store.specs[name].n_chunks)]
    row_chunks = RowChunks(store)
    assert [row_chunks.place(chunk) for chunk in range(row_chunks.n)] == places
    for name in ROW_ARRAYS:
        are_of = row_chunks.are_of(name, np.arange(row_chunks.n))
        assert are_of.tolist() == [array == name for array, _ in places]


def test_latest_is_that_of_all_chunks_of_a_brick(
    store: SceneStore, bricks: NDArray[np.int64]
) -> None:
    row_chunks = RowChunks(store)
    times = np.random.default_rng(1).permutation(row_chunks.n)
    expected = [max(times[chunk] for chunk in chunks_by_row(store, brick)) for brick in bricks]
    assert row_chunks.latest(bricks, times).tolist() == expected


@pytest.mark.parametrize("part", [0.0, 0.5, 0.9, 1.0])
def test_chunks_of_some_bricks_only_have_rows_of_no_others(
    store: SceneStore, bricks: NDArray[np.int64], part: float
) -> None:
    among = np.random.default_rng(2).random(store.meta.n_bricks) < part
    others = {
        chunk for brick in np.flatnonzero(~among) for chunk in chunks_by_row(store, int(brick))
    }
    needed, _ = RowChunks(store).needed(bricks)
    expected = [chunk for chunk in needed.tolist() if chunk not in others]
    assert RowChunks(store).only_of(bricks, among).tolist() == expected
