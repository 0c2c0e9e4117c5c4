"""Memory is planned before the work starts: pieces shrink, then workers, then it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from plenostream.errors import BudgetError
from plenostream.field.grid import BrickGrid
from plenostream.importers.packing.sizing import MemoryPlan, plan_memory

GRID = BrickGrid(size=(512, 512, 512), brick_size=16)


def plan(allowed: int, **changes: Any) -> MemoryPlan:
    values: dict[str, Any] = {
        "row_bytes": 58,
        "slab_voxels": 17_000_000,
        "slab_rows": 21_000_000,
        "workers": 4,
        "allowed_bytes": allowed,
        "beside_bytes": 0,
    }
    return plan_memory(GRID, **(values | changes))


def test_large_memory_takes_whole_slabs_by_all_workers() -> None:
    memory = plan(40 * 10**9)
    assert (memory.column, memory.in_flight) == (32, 4)


@pytest.mark.parametrize("allowed", [200 * 10**6, 10**9, 3 * 10**9, 10 * 10**9])
def test_plan_is_within_what_is_allowed(allowed: int) -> None:
    assert plan(allowed).planned_bytes <= allowed


def test_pieces_shrink_before_workers_idle() -> None:
    memory = plan(10**9)
    assert memory.in_flight == 4
    assert memory.column < 32


def test_smallest_memory_works_and_a_byte_less_does_not() -> None:
    with pytest.raises(BudgetError) as refused:
        plan(10**6)
    smallest = refused.value.smallest_bytes
    assert plan(smallest).in_flight == 1
    with pytest.raises(BudgetError):
        plan(smallest - 1)


def test_source_that_gives_single_bricks_needs_less() -> None:
    figures = []
    for narrowest in (4, 2, 1):
        with pytest.raises(BudgetError) as refused:
            plan(10**6, narrowest=narrowest)
        figures.append(refused.value.smallest_bytes)
    assert figures[0] > figures[1] > figures[2]
    memory = plan(figures[2], narrowest=1)
    assert (memory.column, memory.in_flight) == (1, 1)
