"""Bricks read ahead: exact in any order and any cache, bounded, and loud when something is wrong."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from plenostream.errors import BrickCorrupt, BudgetError, InternalError
from plenostream.format import digests
from plenostream.format.opening import open_store
from plenostream.format.reader import SceneStore
from plenostream.stream import BrickFetcher, BrickRows, chunk_memory, smallest_cache_bytes
from plenostream.stream.fetcher import most_chunks
from plenostream.stream.holding import Hold, RowRuns
from plenostream.testing.checkpoints import CheckpointArrays, empty_checkpoint
from plenostream.testing.scenes import SMALL_CHUNKS, write_checkpoint_plain

LARGE = 64_000_000


pytestmark = pytest.mark.usefixtures("small_chunks")


class Slow(SceneStore):
    """A store whose reads of some chunks wait for an event."""

    def __init__(self, store: SceneStore, chunks: set[tuple[str, int]]) -> None:
        self.__dict__.update(store.__dict__)
        self.go = threading.Event()
        self.asked: list[tuple[str, int]] = []
        self._slow = chunks

    def fetch_chunk(self, name: str, chunk: int) -> bytes:
        self.asked.append((name, chunk))
        if (name, chunk) in self._slow:
            assert self.go.wait(60)
        return super().fetch_chunk(name, chunk)


def expected(store: SceneStore, ids: Any) -> tuple[NDArray[Any], NDArray[Any], list[int]]:
    """Density, coefficients and row starts of bricks, one after another, from the plain arrays."""
    density, sh = store.read_array("rows/density"), store.read_array("rows/sh")
    bounds = [(store.tables.row_start[b], store.tables.row_start[b + 1]) for b in ids]
    rows = np.concatenate([np.arange(0), *(np.arange(a, b) for a, b in bounds)])
    return density[rows], sh[rows], np.cumsum([0, *(b - a for a, b in bounds)]).tolist()


def brick_of(rows: RowRuns) -> tuple[NDArray[Any], NDArray[Any]]:
    """Density and coefficients of the first brick."""
    return next(rows.bricks(np.array([0])))


def assert_rows(rows: BrickRows, store: SceneStore, ids: Any) -> None:
    density, sh, row_start = expected(store, ids)
    np.testing.assert_array_equal(rows.density, density, strict=True)
    np.testing.assert_array_equal(rows.sh, sh, strict=True)
    assert rows.row_start.tolist() == row_start


ORDERS = {
    "in order": lambda n: np.arange(n),
    "backwards": lambda n: np.arange(n)[::-1],
    "shuffled": lambda n: np.random.default_rng(1).permutation(n),
    "one": lambda n: np.array([n // 2]),
    "every third, twice": lambda n: np.r_[np.arange(0, n, 3), np.arange(0, n, 3)],
    "none": lambda n: np.zeros(0, np.int32),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("cache", ["smallest", "small", "large"])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_take_gives_the_rows_of_the_store(
    store: SceneStore, order: Any, cache: str, n_threads: int
) -> None:
    ids = order(store.meta.n_bricks)
    smallest = smallest_cache_bytes(store)
    cache_bytes = {"smallest": smallest, "small": 4 * smallest, "large": LARGE}[cache]
    with BrickFetcher(store, cache_bytes=cache_bytes, n_threads=n_threads) as fetcher:
        fetcher.request(ids)
        assert_rows(fetcher.take(ids), store, ids)
        assert fetcher.counters.peak_cache_bytes <= cache_bytes


def smallest_for_two_holds(store: SceneStore) -> tuple[int, int]:
    """Bytes of the smallest cache for two that each hold the chunks of a brick, and how many these are."""
    n_held = 2 * most_chunks(store, int(np.diff(store.tables.row_start).max()))
    return smallest_cache_bytes(store, n_held=n_held), n_held


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("factor", [1, 3])
def test_hold_gives_the_rows_of_the_store_brick_by_brick_in_the_smallest_cache(
    store: SceneStore, order: Any, factor: int
) -> None:
    smallest, n_held = smallest_for_two_holds(store)
    cache_bytes = factor * smallest
    with BrickFetcher(store, cache_bytes=cache_bytes, n_threads=3, n_held=n_held) as fetcher:
        ids, hold = order(store.meta.n_bricks), Hold()
        fetcher.request(ids)
        for brick in ids.tolist():
            hold.release()
            rows = fetcher.hold([brick], hold)
            density, sh, row_start = expected(store, [brick])
            np.testing.assert_array_equal(brick_of(rows)[0], density, strict=True)
            np.testing.assert_array_equal(brick_of(rows)[1], sh, strict=True)
            assert rows.row_start.tolist() == row_start
        hold.release()
        assert fetcher.counters.peak_cache_bytes <= cache_bytes


def test_two_that_hold_bricks_never_wait_for_each_other(store: SceneStore) -> None:
    smallest, n_held = smallest_for_two_holds(store)
    with (
        BrickFetcher(store, cache_bytes=smallest, n_threads=2, n_held=n_held) as fetcher,
        ThreadPoolExecutor(2) as threads,
    ):

        def hold_all(seed: int) -> int:
            hold, n_rows = Hold(), 0
            for brick in np.random.default_rng(seed).permutation(store.meta.n_bricks).tolist():
                hold.release()
                n_rows += int(fetcher.hold([brick], hold).run_start[-1])
            hold.release()
            return n_rows

        n_rows = [future.result(60) for future in [threads.submit(hold_all, s) for s in (0, 1)]]
    assert n_rows == [int(store.tables.row_start[-1])] * 2


def test_chunk_that_is_forgotten_while_it_is_held_is_read_anew_for_others(
    store: SceneStore,
) -> None:
    smallest, n_held = smallest_for_two_holds(store)
    chunks = np.array([0, store.specs["rows/density"].n_chunks])  # the first of both arrays
    with BrickFetcher(store, cache_bytes=smallest, n_threads=1, n_held=n_held) as fetcher:
        for times in range(1, 4 * n_held):  # no buffer is lost on the way
            hold, other = Hold(), Hold()
            rows = fetcher.hold([0], hold)
            kept = brick_of(rows)[1].copy()
            n_read = fetcher.counters.chunks_read
            fetcher._chunks.forget(chunks, seen=fetcher._chunks.n_decoded)
            fetcher.hold([0], other)
            assert fetcher.counters.chunks_read > n_read, times
            np.testing.assert_array_equal(brick_of(rows)[1], kept)
            n_read = fetcher.counters.chunks_read
            fetcher._chunks.forget(chunks, seen=0)
            fetcher.take([0])
            assert fetcher.counters.chunks_read == n_read, "they were decoded since"
            hold.release()
            other.release()


def test_chunks_that_are_held_stay_and_those_that_were_let_go_make_room(store: SceneStore) -> None:
    smallest, n_held = smallest_for_two_holds(store)
    with BrickFetcher(store, cache_bytes=smallest, n_threads=1, n_held=n_held) as fetcher:
        hold = Hold()
        rows = fetcher.hold([0], hold)
        kept = brick_of(rows)[1].copy()
        for brick in range(1, store.meta.n_bricks):
            fetcher.take([brick])
        np.testing.assert_array_equal(brick_of(rows)[1], kept)
        n_read = fetcher.counters.chunks_read
        fetcher.take([0])
        assert fetcher.counters.chunks_read == n_read, "they were still there"
        hold.release()
        fetcher.take(np.arange(1, store.meta.n_bricks))
        fetcher.take([0])
        assert fetcher.counters.chunks_read > n_read


def test_memory_of_spent_chunks_is_that_of_the_next(
    store: SceneStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_memory, "_PIECE_BYTES", 1)
    in_place = np.zeros(store.meta.n_bricks, bool)
    with BrickFetcher(store, cache_bytes=LARGE, n_threads=1) as fetcher:
        for brick in range(store.meta.n_bricks):
            hold = Hold()
            fetcher.hold([brick], hold)
            in_place[brick] = True
            fetcher.spend([brick], in_place)
            hold.release()
        assert fetcher.counters.chunks_read == n_chunks(store)
        largest = most_chunks(store, int(np.diff(store.tables.row_start).max()))
        assert fetcher.counters.peak_cache_bytes <= (largest + 1) * smallest_cache_bytes(store)


@given(data=st.data())
def test_any_sequence_of_requests_and_takes_is_exact(folder: Path, data: st.DataObject) -> None:
    with open_store(folder) as store:
        n = store.meta.n_bricks
        bricks = st.lists(st.integers(0, n - 1), max_size=12)
        factor = data.draw(st.floats(1.0, 12.0), label="cache")
        cache_bytes = int(factor * smallest_cache_bytes(store))
        with BrickFetcher(store, cache_bytes=cache_bytes, n_threads=2) as fetcher:
            for action, ids in data.draw(
                st.lists(st.tuples(st.sampled_from("rrttc"), bricks), max_size=12), label="actions"
            ):
                if action == "r":
                    fetcher.request(ids)
                elif action == "c":
                    fetcher.cancel(ids or None)
                else:
                    assert_rows(fetcher.take(ids), store, ids)
            assert fetcher.counters.peak_cache_bytes <= cache_bytes


def test_empty_scene_gives_nothing(tmp_path: Path) -> None:
    write_checkpoint_plain(tmp_path / "s.zarr", empty_checkpoint())
    with (
        open_store(tmp_path / "s.zarr") as store,
        BrickFetcher(store, cache_bytes=LARGE, n_threads=1) as fetcher,
    ):
        fetcher.request([])
        assert fetcher.take([]).sh.shape == (0, 27)


def test_several_threads_may_take_from_a_cache_of_one_chunk(store: SceneStore) -> None:
    n = store.meta.n_bricks
    orders = [np.random.default_rng(seed).permutation(n) for seed in range(4)]
    taken: dict[int, BrickRows] = {}
    with BrickFetcher(store, cache_bytes=smallest_cache_bytes(store), n_threads=2) as fetcher:
        fetcher.request(np.arange(n))

        def work(which: int) -> None:
            taken[which] = fetcher.take(orders[which])

        threads = [threading.Thread(target=work, args=(which,)) for which in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    for which, order in enumerate(orders):
        assert_rows(taken[which], store, order)


def n_chunks(store: SceneStore) -> int:
    return store.specs["rows/density"].n_chunks + store.specs["rows/sh"].n_chunks


def test_every_chunk_is_read_once_when_the_cache_holds_all(store: SceneStore) -> None:
    ids = np.arange(store.meta.n_bricks)
    with BrickFetcher(store, cache_bytes=LARGE, n_threads=2) as fetcher:
        for some in np.array_split(np.random.default_rng(2).permutation(ids), 5):
            fetcher.request(some)
            fetcher.take(some)
        assert fetcher.counters.chunks_read == n_chunks(store)
        assert fetcher.counters.bytes_read == sum(
            store.chunk_stored_bytes(name, chunk)
            for name in ("rows/density", "rows/sh")
            for chunk in range(store.specs[name].n_chunks)
        )


@pytest.mark.parametrize("cache", ["smallest", "large"])
def test_brick_is_held_against_its_digest_once_for_each_time_it_is_decoded(
    store: SceneStore, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[int] = []

    def noting(*args: Any) -> int:
        checked.append(1)
        return digests.brick_digest(*args)

    monkeypatch.setattr("plenostream.format.brick_damage.brick_digest", noting)
    ids = np.arange(store.meta.n_bricks)
    cache_bytes = {"smallest": smallest_cache_bytes(store), "large": LARGE}[cache]
    counts = []
    with BrickFetcher(store, cache_bytes=cache_bytes, n_threads=1) as fetcher:
        for _ in range(3):
            checked.clear()
            fetcher.take(ids)
            counts.append(len(checked))
    # What was decoded during a take is checked in the next one again.
    assert counts[0] == len(ids)
    assert (counts[2] == 0) == (cache == "large")


def test_requested_chunks_are_hits_and_others_misses(store: SceneStore) -> None:
    ids = np.arange(store.meta.n_bricks)
    with BrickFetcher(store, cache_bytes=LARGE, n_threads=2) as fetcher:
        fetcher.take(ids)
        assert (fetcher.counters.hits, fetcher.counters.misses) == (0, n_chunks(store))
        fetcher.take(ids)
        assert (fetcher.counters.hits, fetcher.counters.misses) == (
            n_chunks(store),
            n_chunks(store),
        )
    with BrickFetcher(store, cache_bytes=LARGE, n_threads=2) as fetcher:
        fetcher.request(ids)
        fetcher.take(ids)
        assert (fetcher.counters.hits, fetcher.counters.misses) == (n_chunks(store), 0)


def test_chunks_are_read_in_the_order_of_the_request(store: SceneStore) -> None:
    slow = Slow(store, set())
    ids = np.arange(store.meta.n_bricks)[::-1]
    with BrickFetcher(slow, cache_bytes=LARGE, n_threads=1) as fetcher:
        fetcher.request(ids)
        fetcher.take(ids)
    sh = [chunk for name, chunk in slow.asked if name == "rows/sh"]
    starts = store.tables.row_start[ids] // SMALL_CHUNKS["SH_ROWS_PER_CHUNK"]
    assert [chunk for chunk in sh if chunk in starts] == list(dict.fromkeys(starts.tolist()))


def test_reading_ahead_stops_when_the_cache_is_full(store: SceneStore) -> None:
    ids = np.arange(store.meta.n_bricks)
    smallest = smallest_cache_bytes(store)
    with BrickFetcher(store, cache_bytes=3 * smallest, n_threads=1) as fetcher:
        fetcher.request(ids)
        fetcher.take(ids[:1])
        # Five slots, and those that the first brick gave back: not the whole scene.
        assert fetcher.counters.chunks_read < n_chunks(store) / 4


def test_what_was_read_ahead_stays_until_it_is_taken(store: SceneStore) -> None:
    ids = np.arange(store.meta.n_bricks)
    first, rest = ids[:2], ids[2:]
    with BrickFetcher(store, cache_bytes=10 * smallest_cache_bytes(store), n_threads=2) as fetcher:
        fetcher.request(first)
        fetcher.request(rest)
        fetcher.take(first)
        assert fetcher.counters.misses == 0


def test_cancelled_request_is_not_read(store: SceneStore) -> None:
    slow = Slow(store, {("rows/density", 0), ("rows/sh", 0)})
    last = store.meta.n_bricks - 1
    with BrickFetcher(slow, cache_bytes=LARGE, n_threads=1) as fetcher:
        fetcher.request(np.arange(last + 1))
        fetcher.cancel(np.arange(last))
        slow.go.set()
        fetcher.take([last])
    needed = {("rows/sh", int(store.tables.row_start[last]) // SMALL_CHUNKS["SH_ROWS_PER_CHUNK"])}
    assert needed <= set(slow.asked)
    # The one that was being read, and those of the last brick.
    assert len(slow.asked) < n_chunks(store) / 2


def test_take_comes_before_what_is_only_requested(store: SceneStore) -> None:
    slow = Slow(store, {("rows/density", 0)})
    last = store.meta.n_bricks - 1
    with BrickFetcher(slow, cache_bytes=LARGE, n_threads=1) as fetcher:
        fetcher.request(np.arange(last))
        threading.Timer(0.05, slow.go.set).start()
        fetcher.take([last])
    last_chunk = ("rows/sh", store.specs["rows/sh"].n_chunks - 1)
    assert ("rows/sh", 10) not in slow.asked[: slow.asked.index(last_chunk)]


def test_leaving_the_context_ends_the_threads(store: SceneStore) -> None:
    before = set(threading.enumerate())
    with BrickFetcher(store, cache_bytes=LARGE, n_threads=3) as fetcher:
        fetcher.request(np.arange(store.meta.n_bricks))
    assert set(threading.enumerate()) == before


def test_closed_fetcher_says_so(store: SceneStore) -> None:
    fetcher = BrickFetcher(store, cache_bytes=LARGE, n_threads=1)
    fetcher.close()
    with pytest.raises(InternalError, match="closed"):
        fetcher.take([0])


def test_closing_wakes_a_take_that_waits(store: SceneStore) -> None:
    slow = Slow(store, {("rows/density", 0)})
    fetcher = BrickFetcher(slow, cache_bytes=LARGE, n_threads=1)
    caught: list[BaseException] = []

    def work() -> None:
        try:
            fetcher.take([0])
        except InternalError as error:
            caught.append(error)

    taker = threading.Thread(target=work)
    taker.start()
    while not slow.asked:
        pass
    threading.Timer(0.05, slow.go.set).start()
    fetcher.close()
    taker.join(60)
    assert len(caught) == 1


def test_cache_that_holds_no_chunk_is_refused_with_the_smallest(store: SceneStore) -> None:
    smallest = smallest_cache_bytes(store)
    with pytest.raises(BudgetError) as caught:
        BrickFetcher(store, cache_bytes=smallest - 1, n_threads=1)
    assert caught.value.smallest_bytes == smallest


@pytest.mark.parametrize("ids", [[-1], [10**6], [0.5]])
def test_bricks_that_do_not_exist_are_our_bug(store: SceneStore, ids: list[Any]) -> None:
    with (
        BrickFetcher(store, cache_bytes=LARGE, n_threads=1) as fetcher,
        pytest.raises(InternalError),
    ):
        fetcher.request(ids)


class TestDamage:
    @pytest.fixture
    def path(self, tiny: CheckpointArrays, tmp_path: Path) -> Path:
        write_checkpoint_plain(tmp_path / "s.zarr", tiny, brick_size=8)
        return tmp_path / "s.zarr"

    @pytest.mark.parametrize("requested", [False, True])
    def test_damaged_chunk_names_the_brick_that_needs_it(self, path: Path, requested: bool) -> None:
        (path / "rows" / "sh" / "c" / "2" / "0").unlink()
        with open_store(path) as store, BrickFetcher(store, cache_bytes=LARGE, n_threads=2) as f:
            ids = np.arange(store.meta.n_bricks)
            if requested:
                f.request(ids)
            with pytest.raises(BrickCorrupt, match=r"rows/sh/c/2/0.*brick \d+ at") as caught:
                f.take(ids)
            rows = SMALL_CHUNKS["SH_ROWS_PER_CHUNK"]
            start = store.tables.row_start
            first = np.flatnonzero((start[:-1] < 3 * rows) & (start[1:] > 2 * rows))[0]
        assert (caught.value.array, caught.value.chunk) == ("rows/sh", 2)
        assert caught.value.brick_id == first

    def test_bricks_in_whole_chunks_can_be_taken_all_the_same(self, path: Path) -> None:
        (path / "rows" / "sh" / "c" / "5" / "0").unlink()
        with open_store(path) as store, BrickFetcher(store, cache_bytes=LARGE, n_threads=2) as f:
            f.request(np.arange(store.meta.n_bricks))
            with pytest.raises(BrickCorrupt):
                f.take([store.meta.n_bricks - 1])
            expected_density = store.read_array("rows/density")[: store.tables.row_start[1]]
            np.testing.assert_array_equal(f.take([0]).density, expected_density)

    def test_repaired_chunk_is_read_again(self, path: Path) -> None:
        chunk = path / "rows" / "density" / "c" / "0"
        content = chunk.read_bytes()
        with open_store(path) as store, BrickFetcher(store, cache_bytes=LARGE, n_threads=1) as f:
            chunk.write_bytes(content[:-1])
            with pytest.raises(BrickCorrupt):
                f.take([0])
            chunk.write_bytes(content)
            assert_rows(f.take([0]), store, [0])

    def test_rows_of_another_place_are_found_by_the_digest(self, path: Path) -> None:
        group = zarr.open_group(path)
        rows = group["rows/density"]
        rows[[10, 11]] = rows[...][[11, 10]]
        with open_store(path) as store, BrickFetcher(store, cache_bytes=LARGE, n_threads=1) as f:
            f.take([1])
            with pytest.raises(BrickCorrupt, match=r"brick 0 at \(0, 0, 0\).*digest") as caught:
                f.take([1, 0])
        assert caught.value.brick_id == 0

    def test_error_in_a_thread_travels_to_take(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(self: SceneStore, name: str, chunk: int) -> bytes:
            raise MemoryError("no room")

        with open_store(path) as store, BrickFetcher(store, cache_bytes=LARGE, n_threads=1) as f:
            monkeypatch.setattr(SceneStore, "fetch_chunk", fail)
            with pytest.raises(MemoryError, match="no room"):
                f.take([0])


def test_closed_fetcher_gives_its_memory_back_without_a_collection_of_cycles(
    store: SceneStore,
) -> None:
    # A renderer that needs a smaller cache makes a new one: there must not be two until then.
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        with BrickFetcher(store, cache_bytes=LARGE, n_threads=2) as fetcher:
            fetcher.take(np.arange(store.meta.n_bricks))
            held = tracemalloc.get_traced_memory()[0] - before
        del fetcher
        left = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.enable()
    assert left < held / 10
