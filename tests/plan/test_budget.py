"""Arithmetic of the budgets: what is divided fits, and a byte too little is refused."""

from __future__ import annotations

import dataclasses
import pickle

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plenostream.errors import BudgetError
from plenostream.plan.budget import (
    DeviceDivision,
    DeviceNeeds,
    HostNeeds,
    RenderPlan,
    divide_device,
    require_host,
    round_up_budget,
)
from plenostream.rules.bytesize import format_least_bytes


@st.composite
def device_needs(draw: st.DrawFn) -> DeviceNeeds:
    """Scenes and pictures of any proportion."""
    largest = draw(st.integers(1, 400))
    n_bricks = draw(st.integers(1, 30_000))
    return DeviceNeeds(
        slot_bytes=draw(st.integers(1_000, 300_000)),
        page_bytes=draw(st.integers(100, 5_000)),
        tile_bytes=draw(st.integers(4_000, 10_000)),
        fixed_bytes=draw(st.integers(0, 50_000_000)),
        n_bricks=n_bricks,
        n_pages=draw(st.integers(largest + n_bricks - 1, largest * n_bricks)),
        largest_pages=largest,
        tile_rows=draw(st.integers(1, 600)),
        tile_columns=draw(st.integers(1, 600)),
        n_parts=draw(st.integers(1, 8)),
        tile_step=64,
        least_lot=draw(st.integers(64, 10_000)),
        any_pool=draw(st.booleans()),
    )


def bytes_of(needs: DeviceNeeds, division: DeviceDivision) -> int:
    pool = needs.pool_bytes(division.n_slots, division.n_pages)
    return needs.fixed_bytes + needs.rays_bytes(division.band_rows) + pool


SMALL = DeviceNeeds(
    slot_bytes=30_000,
    page_bytes=1_000,
    tile_bytes=4_617,
    fixed_bytes=5_000_000,
    n_bricks=1_000,
    n_pages=100_000,
    largest_pages=300,
    tile_rows=100,
    tile_columns=100,
    n_parts=2,
    tile_step=64,
)


@given(needs=device_needs(), extra=st.integers(0, 10**10))
def test_what_is_divided_fits_and_holds_the_largest_brick(needs: DeviceNeeds, extra: int) -> None:
    allowed = needs.smallest_bytes + extra
    division = divide_device(needs, allowed)
    assert bytes_of(needs, division) <= allowed
    assert 1 <= division.band_rows <= needs.tile_rows
    assert division.n_slots >= 1
    assert division.n_pages >= needs.largest_pages + 1


@pytest.mark.parametrize("share", [0, 1, 100_000, 400_000])
def test_rays_never_take_the_room_of_the_largest_brick(share: int) -> None:
    needs = dataclasses.replace(SMALL, fixed_bytes=0, largest_pages=3_000, n_bricks=40)
    division = divide_device(needs, needs.smallest_bytes + share)
    assert division.n_pages >= needs.largest_pages + 1


@given(needs=device_needs())
def test_smallest_budget_works_and_a_byte_less_is_refused_with_it(needs: DeviceNeeds) -> None:
    smallest = needs.smallest_bytes
    divide_device(needs, smallest)
    with pytest.raises(BudgetError) as refusal:
        divide_device(needs, smallest - 1)
    assert refusal.value.smallest_bytes == smallest
    assert refusal.value.allowed_bytes == smallest - 1
    assert refusal.value.planned_bytes >= smallest
    # It can be typed as it is said, to a tenth of a megabyte.
    assert smallest % 100_000 == 0
    assert f"at least {format_least_bytes(smallest)} " in str(refusal.value)


@given(needs=device_needs())
def test_ample_memory_takes_the_whole_scene_and_enough_rays(needs: DeviceNeeds) -> None:
    whole = needs.fixed_bytes + needs.rays_bytes(needs.tile_rows) + needs.whole_pool_bytes
    division = divide_device(needs, 10 * whole)
    tiles, all_tiles = (rows * needs.tile_columns for rows in (division.band_rows, needs.tile_rows))
    assert tiles >= min(all_tiles, max(all_tiles // 3, needs.least_lot))
    assert tiles < max(all_tiles / 3, needs.least_lot) + needs.tile_columns
    assert division.n_slots >= needs.n_bricks
    assert division.n_pages >= needs.n_pages + 1


@given(needs=device_needs())
def test_budget_of_exactly_everything_takes_everything(needs: DeviceNeeds) -> None:
    whole = needs.fixed_bytes + needs.rays_bytes(needs.enough_rows) + needs.whole_pool_bytes
    assume(whole >= needs.smallest_bytes)
    division = divide_device(needs, whole)
    assert division.band_rows == needs.enough_rows
    assert division.n_slots >= needs.n_bricks
    assert division.n_pages >= needs.n_pages + 1


@given(needs=device_needs(), extra=st.integers(0, 10**9))
def test_pool_of_a_streamed_scene_wastes_less_than_a_page(needs: DeviceNeeds, extra: int) -> None:
    allowed = needs.smallest_bytes + extra
    division = divide_device(needs, allowed)
    assume(division.n_slots < needs.n_bricks and division.n_pages < needs.n_pages + 1)
    assert allowed - bytes_of(needs, division) < needs.page_bytes


def test_pools_of_small_scenes_are_alike_so_that_they_share_programs() -> None:
    pools = set()
    for n_bricks in range(1, 33):
        needs = dataclasses.replace(SMALL, n_bricks=n_bricks, n_pages=n_bricks * 60)
        division = divide_device(needs, 10**9)
        pools.add((division.n_slots, division.n_pages))
    assert len(pools) == 1


@pytest.mark.parametrize("n", [1_000, 12_345, 999_999])
def test_pool_of_a_large_scene_is_at_most_an_eighth_larger_than_the_scene(n: int) -> None:
    needs = dataclasses.replace(SMALL, n_bricks=n, n_pages=40 * n)
    division = divide_device(needs, 10**13)
    assert n <= division.n_slots <= 1.125 * n
    assert 40 * n + 1 <= division.n_pages <= 1.125 * (40 * n + 1)


def test_picture_is_cut_into_bands_before_it_is_refused() -> None:
    ample = divide_device(SMALL, 10**9)
    tight = divide_device(SMALL, SMALL.smallest_bytes + 3_000_000)
    assert (ample.band_rows, tight.band_rows < 100) == (100, True)


def test_rows_that_cost_nothing_more_are_drawn_together() -> None:
    # Two rows of 40 tiles are 40 for each of two parts; tiles come in steps of 64 anyway.
    needs = dataclasses.replace(SMALL, tile_rows=2, tile_columns=40)
    assert needs.rays_bytes(1) == needs.rays_bytes(2)
    assert divide_device(needs, needs.smallest_bytes).band_rows == 2


@given(needs=device_needs(), extra=st.integers(0, 10**9), share=st.floats(0.01, 1.0))
def test_pool_that_is_there_stays_if_it_leaves_room_for_a_row(
    needs: DeviceNeeds, extra: int, share: float
) -> None:
    allowed = needs.smallest_bytes + extra
    pool = divide_device(needs, int(needs.smallest_bytes + share * extra))
    kept = (pool.n_slots, pool.n_pages)
    division = divide_device(needs, allowed, pool=kept)
    assert (division.n_slots, division.n_pages) == kept
    assert bytes_of(needs, division) <= allowed


def test_pool_that_leaves_no_room_for_a_row_is_made_smaller() -> None:
    narrow = dataclasses.replace(SMALL, tile_columns=1, tile_rows=1)
    allowed = 50_000_000
    pool = divide_device(narrow, allowed)
    broad = dataclasses.replace(SMALL, tile_columns=2_000)
    division = divide_device(broad, allowed, pool=(pool.n_slots, pool.n_pages))
    assert division.n_slots < pool.n_slots
    assert bytes_of(broad, division) <= allowed


@pytest.mark.parametrize(
    ("n_bytes", "rounded"),
    [(0, 0), (1, 100_000), (100_000, 100_000), (100_001, 200_000), (67_250_000, 67_300_000)],
)
def test_budget_is_rounded_up_to_a_tenth_of_a_megabyte(n_bytes: int, rounded: int) -> None:
    assert round_up_budget(n_bytes) == rounded


HOST = HostNeeds(
    tables=1_000_000, view=2_000_000, staging=3_000_000, items=4_000_000, image=5, least_cache=700
)


def test_cache_gets_what_the_rest_leaves_of_the_host_memory() -> None:
    assert HOST.fixed_bytes == 10_000_005
    assert require_host(HOST, 12_000_005) == 2_000_000


def test_host_memory_a_byte_below_the_smallest_is_refused_with_it() -> None:
    assert HOST.smallest_bytes == 10_100_000
    assert require_host(HOST, 10_100_000) >= HOST.least_cache
    with pytest.raises(BudgetError, match=r"10\.1MB") as refusal:
        require_host(HOST, 10_099_999)
    assert refusal.value.smallest_bytes == 10_100_000
    assert refusal.value.planned_bytes > refusal.value.allowed_bytes == 10_099_999


def test_refusal_arrives_whole_from_another_process() -> None:
    with pytest.raises(BudgetError) as refusal:
        divide_device(SMALL, 1_000)
    arrived = pickle.loads(pickle.dumps(refusal.value))
    assert (str(arrived), vars(arrived)) == (str(refusal.value), vars(refusal.value))


PLAN = RenderPlan(
    device_items={"pool": 3_000, "rays": 50},
    host_items={"tables": 7, "chunk cache": 90},
    allowed_device_bytes=4_000,
    allowed_host_bytes=100,
    smallest_budget_bytes=2_500,
    smallest_host_bytes=0,
    working_set_bytes=2_000,
    n_slots=5,
    n_bands=2,
    bricks_visible=9,
    waves=3,
)


def test_plan_adds_up_its_items() -> None:
    assert (PLAN.planned_device_bytes, PLAN.planned_host_bytes) == (3_050, 97)
    said = PLAN.to_dict()
    assert said["items"] == {"device": PLAN.device_items, "host": PLAN.host_items}
    assert (said["planned_device_bytes"], said["planned_host_bytes"]) == (3_050, 97)


def test_plan_in_words_says_whether_bricks_are_streamed() -> None:
    assert "they are streamed" in "\n".join(PLAN.lines())
    assert "all of them fit" in "\n".join(dataclasses.replace(PLAN, n_slots=9).lines())


def test_pool_has_no_more_places_than_kernels_count() -> None:
    exact = dataclasses.replace(SMALL, most_slots=1_000, most_pages=100_001)
    whole = divide_device(exact, 10**9)
    assert (whole.n_slots, whole.n_pages) == (1_000, 100_001)
    fewer = dataclasses.replace(SMALL, most_slots=999)
    assert divide_device(fewer, 10**9).n_slots == 999
    fewer = dataclasses.replace(SMALL, most_pages=100_000)
    assert divide_device(fewer, 10**9).n_pages == 100_000
