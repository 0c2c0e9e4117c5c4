"""Rows that come in any order leave in the order of the voxels, with few of them in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plenostream.importers.packing.rowfile import merge_runs
from plenostream.importers.svox2.checkpoint import open_checkpoint
from plenostream.importers.svox2.members import StoredArray
from plenostream.importers.svox2.rows import describe_table
from plenostream.importers.svox2.spill import needs_spill, spill_bytes, spill_table, spilled_table


def table_of(path: Path, sh: np.ndarray, *, packed: bool) -> StoredArray:
    links = np.full((2, 2, 2), -1, np.int32)
    density = np.zeros((len(sh), 1), np.float32)
    write = np.savez_compressed if packed else np.savez
    write(path, links=links, density_data=density, sh_data=sh)
    return open_checkpoint(path).tables[1]


def spilled(table: StoredArray, work: Path, rows: np.ndarray | None, n_voxels: int) -> Any:
    rows_file = None
    if rows is not None:
        rows_file = work / "order"
        rows.astype(np.int64).tofile(rows_file)
    spill_table(
        table,
        work,
        n_voxels=n_voxels,
        rows_file=rows_file,
        memory_bytes=1,  # as few rows at a time as there may be
        progress=lambda done, total: None,
    )
    if rows_file is not None:
        rows_file.unlink()
    assert [path.name for path in work.iterdir()] == ["rows"], "nothing else is left"
    return spilled_table(table, work).read(np.array([0]), np.array([n_voxels]))


@pytest.mark.parametrize("packed", [False, True], ids=["stored", "compressed"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8"])
@pytest.mark.parametrize("mixed", [False, True], ids=["in order", "mixed"])
def test_rows_come_out_in_the_order_of_the_voxels(
    tmp_path: Path, mixed: bool, dtype: str, order: Any, packed: bool
) -> None:
    rng = np.random.default_rng(1)
    sh = np.asarray(rng.normal(size=(5000, 3)).astype(dtype), order=order)
    table = table_of(tmp_path / "a.npz", sh, packed=packed)
    rows = rng.integers(0, 5000, 7000) if mixed else None
    (tmp_path / "work").mkdir()
    ordered = spilled(table, tmp_path / "work", rows, 7000 if mixed else 4500)
    np.testing.assert_array_equal(ordered, sh[rows] if mixed else sh[:4500])


def test_no_voxels_need_no_rows(tmp_path: Path) -> None:
    table = table_of(tmp_path / "a.npz", np.ones((3, 3), np.float16), packed=False)
    (tmp_path / "work").mkdir()
    assert len(spilled(table, tmp_path / "work", np.empty(0, np.int64), 0)) == 0


@pytest.mark.parametrize(
    ("packed", "order", "in_order", "needed"),
    [
        (False, "C", True, False),
        (True, "C", True, True),
        (False, "F", True, True),
        (False, "C", False, True),
    ],
)
def test_only_what_cannot_be_read_along_is_spilled(
    tmp_path: Path, packed: bool, order: Any, in_order: bool, needed: bool
) -> None:
    sh = np.ones((30, 3), np.float16, order=order)
    table = table_of(tmp_path / "a.npz", sh, packed=packed)
    assert needs_spill(table, in_order=in_order) is needed
    assert (spill_bytes(table, 30, in_order=in_order) > 0) is needed


def test_table_is_read_where_it_lies(tmp_path: Path) -> None:
    sh = np.arange(90, dtype=np.float32).reshape(30, 3)
    table = describe_table(table_of(tmp_path / "a.npz", sh, packed=False))
    some = table.read(np.array([2, 20]), np.array([5, 21]))
    np.testing.assert_array_equal(some, sh[[2, 3, 4, 20]])


@given(st.lists(st.integers(0, 3), max_size=20))
def test_merged_runs_are_the_same_rows(lengths: list[int]) -> None:
    gaps = np.cumsum([0, *(k % 2 for k in lengths)])[: len(lengths)]
    stops = np.cumsum(lengths, dtype=np.int64) + gaps
    starts = stops - np.array(lengths, np.int64)
    merged = merge_runs(starts, stops)

    def rows(a: np.ndarray, b: np.ndarray) -> list[int]:
        return [k for x, y in zip(a.tolist(), b.tolist(), strict=True) for k in range(x, y)]

    assert rows(*merged) == rows(starts, stops)
    assert (merged[0][1:] > merged[1][:-1]).all()
