"""Bricks that a wave lacks: in which batches they come, what they bring, and what that costs."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from plenostream.format.layout import ROW_ARRAYS
from plenostream.format.opening import open_store
from plenostream.format.reader import SceneStore
from plenostream.integrator.interface import PAGE_ROWS, Arrivals
from plenostream.integrator.native.memory import arriving_bytes
from plenostream.integrator.native.pool import Batch
from plenostream.integrator.staging_memory import plain_memory
from plenostream.stream import BrickFetcher
from plenostream.stream.residency import Residency
from plenostream.stream.staging import HeldChunks, Staging, buffers, staging_bytes
from plenostream.stream.supply import BrickSupply, pages_of
from plenostream.testing.calls import calls_of
from plenostream.testing.checkpoints import random_checkpoint
from plenostream.testing.scenes import write_checkpoint_plain

BATCH_BRICKS, BATCH_ROWS = 16, 4000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SceneStore]:
    path: Path = tmp_path_factory.mktemp("supply") / "scene.zarr"
    write_checkpoint_plain(path, random_checkpoint(8, size=(41, 41, 41)), brick_size=8)
    with open_store(path) as opened:
        yield opened


@contextmanager
def supply_of(
    store: SceneStore,
    *,
    batch_bricks: int = BATCH_BRICKS,
    batch_rows: int = BATCH_ROWS,
    most_chunks: int | None = None,
    for_good: bool = False,
) -> Iterator[BrickSupply]:
    """A supply for a pool that holds everything; with `most_chunks`, bricks stay where their chunks are."""
    pages = pages_of(store.tables.row_start)
    residency = Residency(pages, n_slots=len(pages), n_pages=int(pages.sum()) + 1)
    counts = np.diff(store.tables.row_start)
    n_rows = max(batch_rows, int(counts.max())) + PAGE_ROWS
    meta = store.meta
    rooms = (
        buffers(n_rows, meta.sh_columns, meta.sh_dtype, memory=plain_memory)
        if most_chunks is None
        else [HeldChunks(), HeldChunks()]
    )
    with (
        BrickFetcher(store, cache_bytes=64_000_000, n_threads=2) as fetcher,
        Staging(rooms) as staging,
    ):
        yield BrickSupply(
            store,
            fetcher,
            residency,
            staging,
            batch_bricks=batch_bricks,
            filled_by=(
                (lambda bricks: np.cumsum(counts[bricks]))
                if most_chunks is None
                else fetcher.n_chunks_up_to
            ),
            most_filled=batch_rows if most_chunks is None else most_chunks,
            for_good=for_good,
        )


def occupied(store: SceneStore) -> np.ndarray:
    return np.flatnonzero(store.tables.occupied)


class Came:
    """The bricks of the store, shuffled, and how many of them have come with the right rows."""

    def __init__(self, store: SceneStore) -> None:
        self.bricks = np.random.default_rng(3).permutation(occupied(store))
        self.n = 0
        self._tables = store.tables
        self._rows = store.read_array("rows/density"), store.read_array("rows/sh")

    def hold(self, some: Arrivals) -> tuple[np.ndarray, np.ndarray]:
        """Hold the next arrivals against the store; which bricks they are, and the places of their rows."""
        mine = self.bricks[self.n : self.n + len(some.slots)]
        self.n += len(mine)
        bounds = self._tables.row_start
        places = np.concatenate([np.arange(bounds[m], bounds[m + 1]) for m in mine])
        for came, rows in zip((some.density, some.sh), self._rows, strict=True):
            (all_rows,) = came.spans(some.run_start, np.array([0]), np.array([len(places)]))
            np.testing.assert_array_equal(all_rows, rows[places])
        return mine, places


@pytest.mark.parametrize("batch_rows", [1, 500, 4000, 1_000_000])
def test_every_brick_comes_once_with_the_rows_of_the_store(
    store: SceneStore, batch_rows: int
) -> None:
    tables, came = store.tables, Came(store)
    with supply_of(store, batch_rows=batch_rows) as supply:
        for some in supply.arrivals(supply.admit(came.bricks)):
            b, rows = len(some.slots), some.row_start[-1]
            mine, _ = came.hold(some)
            assert b == 1 or (b <= BATCH_BRICKS and rows <= batch_rows)
            assert len(some.density.only) == len(some.sh.only) >= rows + PAGE_ROWS
            np.testing.assert_array_equal(some.index, tables.index[mine])
            np.testing.assert_array_equal(some.mask, tables.mask[mine])
            np.testing.assert_array_equal(some.slots, supply.slot_of[mine])
            counts = np.diff(some.row_start)
            np.testing.assert_array_equal(counts, np.diff(tables.row_start)[mine])
            assert len(some.pages) == (-(-counts // PAGE_ROWS)).sum()
            assert some.is_last == (came.n == len(came.bricks))
    assert came.n == len(came.bricks)


@pytest.mark.parametrize("most_chunks", [1, 6, 1000])
def test_bricks_that_stay_where_they_are_come_as_those_that_are_copied(
    store: SceneStore, most_chunks: int
) -> None:
    came = Came(store)
    with supply_of(store, most_chunks=most_chunks) as supply:
        for some in supply.arrivals(supply.admit(came.bricks)):
            mine, places = came.hold(some)
            chunks = {name: places // store.specs[name].chunk_shape[0] for name in ROW_ARRAYS}
            n_chunks = sum(len(np.unique(numbers)) for numbers in chunks.values())
            assert len(mine) == 1 or (len(mine) <= BATCH_BRICKS and n_chunks <= most_chunks)
            assert some.run_start[-1] == len(places)
            assert not any(array.flags.owndata for array in some.sh.arrays)
    assert came.n == len(came.bricks)


@pytest.mark.parametrize("for_good", [False, True])
@pytest.mark.parametrize("most_chunks", [None, 6])
def test_chunks_are_forgotten_once_all_of_their_bricks_are_in_the_pool_for_good(
    store: SceneStore, most_chunks: int | None, for_good: bool
) -> None:
    came = Came(store)
    with supply_of(store, batch_rows=500, most_chunks=most_chunks, for_good=for_good) as supply:
        counters = supply._fetcher.counters
        for some in supply.arrivals(supply.admit(came.bricks)):
            came.hold(some)
        n_read = counters.chunks_read
        rows = supply._fetcher.take(occupied(store))
    assert came.n == len(came.bricks)
    assert n_read == sum(store.specs[name].n_chunks for name in ROW_ARRAYS)
    # What is asked for all the same is read again.
    assert counters.chunks_read == (2 * n_read if for_good else n_read)
    np.testing.assert_array_equal(rows.density, store.read_array("rows/density"))


def test_chunk_stays_while_some_of_its_bricks_are_not_in_the_pool(store: SceneStore) -> None:
    bricks = occupied(store)
    others, some = bricks[::2], bricks[1::2]
    with supply_of(store, most_chunks=6, for_good=True) as supply:
        for wave in (others, some):
            list(supply.arrivals(supply.admit(wave)))
        assert supply._fetcher.counters.chunks_read == sum(
            store.specs[name].n_chunks for name in ROW_ARRAYS
        )


def test_batches_that_stay_where_they_are_take_no_more_than_is_planned(store: SceneStore) -> None:
    bricks = np.random.default_rng(3).permutation(occupied(store))
    largest_rows = int(np.diff(store.tables.row_start).max())
    planned = arriving_bytes(len(bricks), store.tables.mask.shape[1])
    planned += staging_bytes(largest_rows, store.meta.sh_columns, store.meta.sh_dtype)
    batch_bricks = -(-len(bricks) // 3)
    with supply_of(store, batch_bricks=batch_bricks, most_chunks=1000) as supply:
        supply._fetcher.take(bricks)
        admission = supply.admit(bricks)
        tracemalloc.start(1)
        n_batches = sum(Batch(some).record.n_bricks > 0 for some in supply.arrivals(admission))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert n_batches == 3
    assert peak <= planned


def test_bytes_are_those_of_the_rows_and_masks_and_nothing_twice(store: SceneStore) -> None:
    bricks, tables = occupied(store), store.tables
    with supply_of(store) as supply:
        came = sum(some.nbytes for some in supply.arrivals(supply.admit(bricks)))
    n_rows = int(np.diff(tables.row_start)[bricks].sum())
    a_row = 4 + 3 * store.meta.basis_dim * np.dtype(store.meta.sh_dtype).itemsize
    masks = tables.mask[bricks].nbytes
    beside = came - n_rows * a_row - masks
    assert 0 < beside <= 40 * len(bricks) + 4 * pages_of(tables.row_start)[bricks].sum()


def test_as_many_calls_for_a_hundred_bricks_as_for_ten(store: SceneStore) -> None:
    pages = pages_of(store.tables.row_start)
    bricks = occupied(store)
    few, many = bricks[:10], bricks[:100]
    assert len(many) == 100

    def admit(wave: np.ndarray) -> None:
        # Twice: the second lot takes the places of the first.
        n_slots, n_pages = len(wave), int(pages[bricks].sum()) + 1
        residency = Residency(pages, n_slots=n_slots, n_pages=n_pages)
        residency.admit(wave)
        residency.admit(bricks[-len(wave) :])

    assert calls_of(lambda: admit(many)) <= calls_of(lambda: admit(few)) + 10
    with BrickFetcher(store, cache_bytes=64_000_000, n_threads=1) as fetcher:
        for _ in range(2):  # what has been read lately is held against its digest
            fetcher.take(bricks)
        for_few, for_many = (calls_of(lambda wave=w: fetcher.take(wave)) for w in (few, many))
    chunks = store.specs["rows/sh"].n_chunks + store.specs["rows/density"].n_chunks
    assert 0 < for_many <= for_few + 40 * chunks
