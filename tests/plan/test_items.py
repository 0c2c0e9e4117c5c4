"""Work items: which tiles with which boxes, in what order, and how calls are made of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plenostream.plan import BoxTable, Items, PacketView, PinholeView, pack_calls
from plenostream.plan import views as views_module
from plenostream.plan.boxes import Rects
from plenostream.plan.items import cut_blocks, expand_rects

COLUMNS, ROWS = 7, 5


def random_rects(seed: int, n: int) -> tuple[Rects, np.ndarray]:
    """Rectangles of a picture of ROWS x COLUMNS tiles, and shells that never fall."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, (COLUMNS, ROWS), (n, 2))
    last = first + 1 + rng.integers(0, (COLUMNS - first[:, 0], ROWS - first[:, 1]), (2, n)).T
    shells = np.sort(rng.integers(0, 6, n))
    return Rects(rng.permutation(100)[:n].astype(np.int64), first, last), shells


def table_of(n_boxes: int, brick: np.ndarray | None = None) -> BoxTable:
    """Boxes that say nothing but their own number."""
    number = np.arange(n_boxes, dtype=np.int32)
    three = np.stack([number] * 3, -1)
    return BoxTable(
        brick=number if brick is None else brick.astype(np.int32),
        block=three,
        low=three,
        high=three + 1,
        packed=np.stack([number + 1000, number + 2000], -1),
    )


def pairs_by_hand(rects: Rects, shells: np.ndarray, alive: np.ndarray) -> list[tuple[int, ...]]:
    found = []
    for box, (x0, y0), (x1, y1), shell in zip(
        rects.box, rects.first, rects.last, shells, strict=True
    ):
        for y in range(y0, y1):
            for x in range(x0, x1):
                if alive[y * COLUMNS + x]:
                    found.append((y * COLUMNS + x, int(box), int(shell)))
    return found


def as_pairs(items: Items) -> list[tuple[int, ...]]:
    return list(zip(items.tile.tolist(), items.box.tolist(), items.shell.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_box_is_paired_with_each_live_tile_of_its_rectangle(seed: int) -> None:
    rects, shells = random_rects(seed, 30)
    alive = np.random.default_rng(seed).random(ROWS * COLUMNS) < 0.6
    items = expand_rects(rects, shells, alive, COLUMNS)
    assert as_pairs(items) == pairs_by_hand(rects, shells, alive)


def test_every_tile_is_alive_until_there_is_a_report() -> None:
    rects, shells = random_rects(9, 30)
    everywhere = np.ones(ROWS * COLUMNS, np.bool_)
    assert as_pairs(expand_rects(rects, shells, None, COLUMNS)) == pairs_by_hand(
        rects, shells, everywhere
    )


@given(
    shells=st.lists(st.integers(0, 9), min_size=1, max_size=60).map(sorted),
    block_items=st.integers(1, 9),
)
def test_blocks_are_runs_of_one_shell_that_cover_everything_in_order(
    shells: list[int], block_items: int
) -> None:
    blocks = cut_blocks(np.array(shells), block_items)
    ends = (blocks[:, 0] + blocks[:, 1]).tolist()
    assert blocks[:, 0].tolist() == [0, *ends[:-1]]
    assert ends[-1] == len(shells)
    for first, count in blocks.tolist():
        assert 1 <= count <= block_items
        assert len(set(shells[first : first + count])) == 1


@pytest.mark.parametrize("n_parts", [1, 2, 3])
@pytest.mark.parametrize("capacity", [16, 1000])
def test_calls_hand_each_item_to_the_part_that_has_its_tile_front_to_back(
    n_parts: int, capacity: int
) -> None:
    rects, shells = random_rects(3, 40)
    items = expand_rects(rects, shells, None, COLUMNS)
    table = table_of(100)
    slot_of = np.random.default_rng(1).permutation(100).astype(np.int32)
    calls = list(pack_calls(items, table, slot_of, n_parts, block_items=8, capacity=capacity))
    for part in range(n_parts):
        mine = [rows for p, rows, _ in calls if p == part]
        rows = np.concatenate(mine)
        expected = items.tile % n_parts == part
        assert (rows[:, 0] * n_parts + part == items.tile[expected]).all()
        assert (rows[:, 1] == slot_of[table.brick[items.box[expected]]]).all()
        assert (rows[:, 2:] == table.packed[items.box[expected]]).all()
        assert max(map(len, mine)) <= capacity


def test_block_of_a_call_never_mixes_shells() -> None:
    rects, shells = random_rects(4, 40)
    items = expand_rects(rects, shells, None, COLUMNS)
    shell_of_box = dict(zip(items.box.tolist(), items.shell.tolist(), strict=True))
    table, slot_of = table_of(100), np.arange(100, dtype=np.int32)
    calls = pack_calls(items, table, slot_of, 2, block_items=8, capacity=64)
    last = [0, 0]
    n_items = 0
    for part, rows, blocks in calls:
        n_items += len(rows)
        assert blocks[:, 1].sum() == len(rows)
        for first, count in blocks.tolist():
            slots = rows[first : first + count, 1]
            (shell,) = {shell_of_box[slot] for slot in slots.tolist()}
            assert shell >= last[part], "front to back"
            last[part] = shell
    assert n_items == len(items.tile)


def pinhole_view(seed: int) -> tuple[PinholeView, Rects, np.ndarray, np.ndarray]:
    """A view of 30 boxes, three of each brick, not in order."""
    rects, shells = random_rects(seed, 30)
    rects = Rects(np.arange(30), rects.first, rects.last)
    mixed = np.random.default_rng(seed).permutation(30)
    rects = Rects(rects.box[mixed], rects.first[mixed], rects.last[mixed])
    brick = np.arange(30) // 3
    view = PinholeView(
        table_of(30, brick), rects, shells[mixed], np.arange(10), rows=ROWS, columns=COLUMNS
    )
    return view, rects, shells[mixed], brick


@pytest.mark.parametrize("at_once", [1, 13, 65_536])
def test_portions_of_a_view_are_its_items_in_the_bricks_that_are_wanted(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views_module, "ITEMS_AT_ONCE", at_once)
    view, rects, shells, brick = pinhole_view(6)
    wanted = np.random.default_rng(2).random(10) < 0.5
    alive = np.random.default_rng(3).random(ROWS * COLUMNS) < 0.7
    portions = list(view.items(wanted, alive))
    found = [pair for items in portions for pair in as_pairs(items)]
    expected = pairs_by_hand(rects, shells, alive)
    assert sorted(found) == sorted(pair for pair in expected if wanted[brick[pair[1]]])
    assert [shell for *_, shell in found] == sorted(shell for *_, shell in found)
    # A portion may hold the items of one box at least.
    largest = int((rects.last - rects.first).prod(-1).max())
    assert all(len(items.tile) <= max(at_once, largest) for items in portions)


def test_brick_is_hidden_when_no_tile_that_may_see_it_is_alive() -> None:
    view, rects, shells, brick = pinhole_view(7)
    alive = np.random.default_rng(4).random(ROWS * COLUMNS) < 0.1
    seen = {int(brick[box]) for _, box, _ in pairs_by_hand(rects, shells, alive)}
    bricks = np.array([8, 1, 5, 9, 0])
    assert view.hidden(bricks, alive).tolist() == [int(b) not in seen for b in bricks]


def packet_view() -> tuple[PacketView, Items, np.ndarray]:
    rng = np.random.default_rng(8)
    packet, box = rng.integers(0, 6, 50), rng.integers(0, 30, 50)
    shell, brick = rng.integers(0, 5, 50), np.arange(30) // 3
    view = PacketView(table_of(30, brick), packet, box, shell, np.arange(10))
    return view, Items(packet, box, shell), brick


@pytest.mark.parametrize("at_once", [4, 65_536])
def test_packets_have_the_items_that_they_were_given_front_to_back(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views_module, "ITEMS_AT_ONCE", at_once)
    view, given_items, brick = packet_view()
    wanted = np.arange(10) % 2 == 0
    alive = np.array([True, True, False, True, True, True])
    found = [pair for items in view.items(wanted, alive) for pair in as_pairs(items)]
    expected = [p for p in as_pairs(given_items) if wanted[brick[p[1]]] and alive[p[0]]]
    assert sorted(found) == sorted(expected)
    assert [shell for *_, shell in found] == sorted(shell for *_, shell in found)


def test_packets_need_the_bricks_of_their_boxes_and_no_others() -> None:
    view, given_items, brick = packet_view()
    assert view.bricks.tolist() == sorted(set(brick[given_items.box].tolist()))
    assert view.shells.tolist() == view.bricks.tolist()
    alive = np.zeros(6, np.bool_)
    alive[2] = True
    seen = {int(brick[box]) for tile, box, _ in as_pairs(given_items) if tile == 2}
    assert view.hidden(view.bricks, alive).tolist() == [b not in seen for b in view.bricks]


def test_view_counts_the_bytes_that_it_holds() -> None:
    view = pinhole_view(6)[0]
    # 30 rectangles of five numbers with shell and brick, and ten bricks with their shells.
    assert view.nbytes == 30 * (5 * 8 + 8 + 4) + 10 * 16
