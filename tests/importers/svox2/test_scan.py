"""One pass over the links says which voxels there are and in which order their rows come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from plenostream.field.grid import BrickGrid
from plenostream.importers.packing.planes import slab_planes
from plenostream.importers.svox2 import scan as scan_module
from plenostream.importers.svox2.checkpoint import open_checkpoint
from plenostream.importers.svox2.scan import BITS_FILE, ROWS_FILE, LinkScan, scan_links


def scanned(
    folder: Path, links: NDArray[Any], brick_size: int = 8
) -> tuple[LinkScan, NDArray[np.bool_]]:
    """The scan of some links, and the active voxels that it wrote down."""
    n = int(links.max(initial=-1)) + 1
    rows = {"density_data": np.zeros((n, 1), np.float32), "sh_data": np.zeros((n, 3), np.float16)}
    np.savez(folder / "a.npz", links=links, **rows)
    x, y, z = links.shape
    bricks = BrickGrid(size=(x, y, z), brick_size=brick_size)
    scan = scan_links(
        open_checkpoint(folder / "a.npz"), bricks, folder, progress=lambda done, total: None
    )
    bits = np.fromfile(folder / BITS_FILE, np.uint8).reshape(x, y, -1)
    active = np.unpackbits(bits, axis=2, bitorder="little", count=z).astype(np.bool_)
    return scan, active


def random_links(seed: int, size: tuple[int, int, int]) -> NDArray[np.int32]:
    active = np.random.default_rng(seed).random(size) < 0.3
    links = np.full(size, -1, np.int32)
    links[active] = np.arange(active.sum())
    return links


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("batch", [1, 300, 1 << 20])
def test_active_voxels_are_found_however_links_are_stored_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: Any, batch: int
) -> None:
    monkeypatch.setattr(scan_module, "_BATCH_BYTES", batch)
    links = np.asarray(random_links(1, (9, 7, 11)), order=order)
    scan, active = scanned(tmp_path, links)
    np.testing.assert_array_equal(active, links >= 0)
    np.testing.assert_array_equal(scan.plane_voxels, (links >= 0).sum(axis=(1, 2)))
    assert scan.in_order


@pytest.mark.parametrize("late", [False, True])
def test_rows_in_another_order_are_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    monkeypatch.setattr(scan_module, "_BATCH_BYTES", 500)
    links = random_links(2, (9, 7, 11))
    active = np.argwhere(links >= 0)
    first, second = (active[-2], active[-1]) if late else (active[0], active[-1])
    a, b = links[tuple(first)], links[tuple(second)]
    links[tuple(first)], links[tuple(second)] = b, a
    scan, _ = scanned(tmp_path, links)
    assert not scan.in_order
    rows = np.fromfile(tmp_path / ROWS_FILE, np.int64)
    np.testing.assert_array_equal(rows, links[links >= 0])


@given(
    size=st.tuples(st.integers(2, 40), st.integers(2, 20), st.integers(2, 20)),
    brick_size=st.sampled_from([8, 16]),
)
def test_rows_of_slabs_are_counted_ahead(
    tmp_path_factory: pytest.TempPathFactory, size: tuple[int, int, int], brick_size: int
) -> None:
    links = random_links(3, size)
    scan, _ = scanned(tmp_path_factory.mktemp("scan"), links, brick_size)
    bricks = BrickGrid(size=size, brick_size=brick_size)
    expected = np.zeros(-(-bricks.shape[0] // 4), np.int64)
    for x, y, z in np.ndindex(*bricks.shape):
        cut = tuple(slice(i * brick_size, (i + 1) * brick_size + 1) for i in (x, y, z))
        expected[x // 4] += np.count_nonzero(links[cut] >= 0)
    np.testing.assert_array_equal(scan.slab_rows(bricks), expected)


def test_slabs_share_the_planes_between_them() -> None:
    bricks = BrickGrid(size=(70, 5, 5), brick_size=8)
    assert slab_planes(bricks) == [(0, 32), (32, 64), (64, 69)]
