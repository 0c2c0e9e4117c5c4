"""What is seen: which tiles with which boxes, in what order."""

from __future__ import annotations

import numpy as np
import pytest

from plenostream.field.tiles import Pairs
from plenostream.plan import BoxTable, CameraView, PacketView, TilesView
from plenostream.plan import views as views_module
from plenostream.plan.screen import Rects
from plenostream.plan.views import expand_rects

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
        corners=np.zeros((n_boxes, 6), np.uint8),
    )


def pairs_by_hand(rects: Rects, shells: np.ndarray, alive: np.ndarray) -> list[tuple[int, ...]]:
    found = []
    for box, (x0, y0), (x1, y1), shell in zip(
        rects.which, rects.first, rects.last, shells, strict=True
    ):
        for y in range(y0, y1):
            for x in range(x0, x1):
                if alive[y * COLUMNS + x]:
                    found.append((y * COLUMNS + x, int(box), int(shell)))
    return found


def as_pairs(pairs: Pairs) -> list[tuple[int, ...]]:
    return list(zip(pairs.tile.tolist(), pairs.box.tolist(), pairs.shell.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_box_is_paired_with_each_live_tile_of_its_rectangle(seed: int) -> None:
    rects, shells = random_rects(seed, 30)
    alive = np.random.default_rng(seed).random(ROWS * COLUMNS) < 0.6
    pairs = expand_rects(rects, shells, alive, COLUMNS)
    assert as_pairs(pairs) == pairs_by_hand(rects, shells, alive)


def test_every_tile_is_alive_until_there_is_a_report() -> None:
    rects, shells = random_rects(9, 30)
    everywhere = np.ones(ROWS * COLUMNS, np.bool_)
    assert as_pairs(expand_rects(rects, shells, None, COLUMNS)) == pairs_by_hand(
        rects, shells, everywhere
    )


class Screen:
    """Sees boxes in given rectangles, and several together in the one that holds theirs.

    A box of `table_of` lies in the cell that is its number, so cells say which boxes are meant.
    """

    rows, columns = ROWS, COLUMNS

    def __init__(self, rects: Rects) -> None:
        self._rects = rects

    def rects(self, low: np.ndarray, high: np.ndarray, which: np.ndarray) -> Rects:
        of = [slice(low[i, 0], high[i, 0]) for i in which]
        first = [self._rects.first[boxes].min(0) for boxes in of]
        last = [self._rects.last[boxes].max(0) for boxes in of]
        return Rects(which, np.array(first).reshape(-1, 2), np.array(last).reshape(-1, 2))


def pinhole_view(seed: int) -> tuple[CameraView, Rects, np.ndarray, np.ndarray]:
    """A view of 30 boxes, three of each brick, from the middle of them."""
    rects, _ = random_rects(seed, 30)
    rects = Rects(np.arange(30), rects.first, rects.last)
    brick, eye = np.arange(30) // 3, np.array([13, 13, 13])
    table, screen = table_of(30, brick), Screen(rects)
    view = CameraView(table, screen, eye_block=eye, brick_shells=np.arange(10))  # type: ignore[arg-type]
    return view, rects, np.abs(table.block - eye).sum(-1), brick


@pytest.mark.parametrize("at_once", [1, 13, 65_536])
def test_portions_of_a_view_are_its_pairs_in_the_bricks_that_are_wanted(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views_module, "PAIRS_AT_ONCE", at_once)
    view, rects, shells, brick = pinhole_view(6)
    wanted = np.random.default_rng(2).random(10) < 0.5
    alive = np.random.default_rng(3).random(ROWS * COLUMNS) < 0.7
    portions = list(view.pairs(wanted, alive))
    found = [pair for some in portions for pair in as_pairs(some)]
    expected = pairs_by_hand(rects, shells, alive)
    assert sorted(found) == sorted(pair for pair in expected if wanted[brick[pair[1]]])
    assert [shell for *_, shell in found] == sorted(shell for *_, shell in found)
    # A portion may hold the pairs of one box at least.
    largest = int((rects.last - rects.first).prod(-1).max())
    assert all(len(some.tile) <= max(at_once, largest) for some in portions)


def test_brick_is_hidden_when_no_tile_of_its_own_rectangle_is_alive() -> None:
    view, rects, _, brick = pinhole_view(7)
    alive = np.random.default_rng(4).random(ROWS * COLUMNS) < 0.1
    grid = alive.reshape(ROWS, COLUMNS)
    seen = set()
    for b in range(10):
        (x0, y0), (x1, y1) = rects.first[brick == b].min(0), rects.last[brick == b].max(0)
        if grid[y0:y1, x0:x1].any():
            seen.add(b)
    bricks = np.array([8, 1, 5, 9, 0])
    hidden = view.hidden(bricks, alive).tolist()
    assert hidden == [b not in seen for b in bricks]


@pytest.mark.parametrize("reported", [False, True])
def test_some_tiles_of_a_view_have_their_pairs_under_numbers_of_their_own(reported: bool) -> None:
    view, *_ = pinhole_view(6)
    tiles = np.flatnonzero(np.random.default_rng(5).random(ROWS * COLUMNS) < 0.5)
    alive = np.random.default_rng(6).random(len(tiles)) < 0.7 if reported else None
    whole = np.zeros(ROWS * COLUMNS, np.bool_)
    whole[tiles] = True if alive is None else alive
    wanted, some = np.arange(10) % 3 > 0, TilesView(view, tiles)
    found = [pair for pairs in some.pairs(wanted, alive) for pair in as_pairs(pairs)]
    expected = [pair for pairs in view.pairs(wanted, whole) for pair in as_pairs(pairs)]
    assert [(tiles[tile], *rest) for tile, *rest in found] == expected != []
    if alive is not None:
        hidden = some.hidden(view.bricks, np.append(alive, True))  # reports may be padded
        assert hidden.tolist() == view.hidden(view.bricks, whole).tolist()


def packet_view() -> tuple[PacketView, Pairs, np.ndarray]:
    rng = np.random.default_rng(8)
    packet, box = rng.integers(0, 6, 50), rng.integers(0, 30, 50)
    shell, brick = rng.integers(0, 5, 50), np.arange(30) // 3
    view = PacketView(table_of(30, brick), packet, box, shell, np.arange(10))
    return view, Pairs(packet, box, shell), brick


@pytest.mark.parametrize("at_once", [4, 65_536])
def test_packets_have_the_pairs_that_they_were_given_front_to_back(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views_module, "PAIRS_AT_ONCE", at_once)
    view, given_pairs, brick = packet_view()
    wanted = np.arange(10) % 2 == 0
    alive = np.array([True, True, False, True, True, True])
    found = [pair for some in view.pairs(wanted, alive) for pair in as_pairs(some)]
    expected = [p for p in as_pairs(given_pairs) if wanted[brick[p[1]]] and alive[p[0]]]
    assert sorted(found) == sorted(expected)
    assert [shell for *_, shell in found] == sorted(shell for *_, shell in found)


def test_packets_need_the_bricks_of_their_boxes_and_no_others() -> None:
    view, given_pairs, brick = packet_view()
    assert view.bricks.tolist() == sorted(set(brick[given_pairs.box].tolist()))
    assert view.shells.tolist() == view.bricks.tolist()
    alive = np.zeros(6, np.bool_)
    alive[2] = True
    seen = {int(brick[box]) for tile, box, _ in as_pairs(given_pairs) if tile == 2}
    assert view.hidden(view.bricks, alive).tolist() == [b not in seen for b in view.bricks]


def test_view_counts_the_bytes_that_it_holds() -> None:
    view = pinhole_view(6)[0]
    # Ten bricks: a rectangle of five numbers each, with number and shell; and a byte for each tile.
    assert view.nbytes == 10 * (5 * 8 + 16) + view.n_tiles
