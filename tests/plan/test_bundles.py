"""Bundles: no ray meets a box that its tile's bundle does not, whatever rays they are."""

from __future__ import annotations

import numpy as np
import pytest

from plenostream.plan import BundleScreen, TileBundles, bundle_levels, tile_bundles

SIZE = (40, 25, 33)
KINDS = ("any", "along z", "from one point", "parallel", "some without rays", "still on an axis")


def tiles_of(kind: str, rows: int, columns: int, seed: int) -> tuple[np.ndarray, ...]:
    """Origins and directions [3, t, 16], and which are rays [t, 16]."""
    rng = np.random.default_rng(seed)
    shape = (3, rows * columns, 16)
    middle = rng.uniform(-20, 60, (3, rows * columns, 1))
    origins = middle + rng.normal(0, 1.5, shape)
    course = rng.normal(0, 1, (3, rows * columns, 1))
    directions = course + rng.normal(0, 0.05, shape)
    seen = np.ones(shape[1:], bool)
    if kind == "along z":
        directions[2] = 2.0
        origins[2] = -0.5
    if kind == "from one point":
        origins[:] = np.array([50.0, -8.0, 12.0])[:, None, None]
    if kind == "parallel":
        directions[:] = np.array([0.0, 0.3, -1.0])[:, None, None]
    if kind == "some without rays":
        seen = rng.random(shape[1:]) < 0.3
        seen[:2] = False
    if kind == "still on an axis":
        directions[0] = np.where(rng.random(shape[1:]) < 0.3, 0.0, directions[0])
    return origins, directions, seen


def boxes_of(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    last = np.array(SIZE) - 1
    low = np.minimum(rng.integers(0, 6, (n, 3)) * 8, last - 1)
    high = np.minimum(low + rng.integers(1, 9, (n, 3)), last)
    return low.astype(np.int32), high.astype(np.int32)


def meets(
    origin: np.ndarray, direction: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Whether a ray meets boxes [n, 3], as it is drawn: a border reaches out to where it is clamped."""
    still = direction == 0.0
    place = np.where(still, np.clip(origin, 0, np.array(SIZE) - 1), origin)
    below = np.where(low == 0, -0.5, low)
    above = np.where(high == np.array(SIZE) - 1, np.array(SIZE) - 0.5, high)
    one, other = (below - place), (above - place)
    with np.errstate(divide="ignore", invalid="ignore"):
        near, far = one / direction, other / direction
    inside = (one <= 0) & (other >= 0)
    enter = np.where(still, np.where(inside, -np.inf, np.inf), np.minimum(near, far)).max(1)
    leave = np.where(still, np.inf, np.maximum(near, far)).min(1)
    return np.maximum(enter, 0.0) <= leave


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_tile_of_a_ray_is_in_the_rectangle_of_each_box_that_it_meets(kind: str, seed: int) -> None:
    rows, columns = 5, 7
    origins, directions, seen = tiles_of(kind, rows, columns, seed)
    bounds = (b.reshape(rows, columns, 2, 3) for b in tile_bundles(origins, directions, seen))
    screen = BundleScreen(SIZE, bundle_levels(TileBundles(*bounds)))
    assert (screen.rows, screen.columns) == (rows, columns)
    low, high = boxes_of(200, seed)
    which = np.arange(20, 200)
    found = screen.rects(low, high, which)
    first, last = np.full((200, 2), 10**6), np.zeros((200, 2), int)
    first[found.which], last[found.which] = found.first, found.last
    n_met = 0
    for tile, ray in zip(*np.nonzero(seen), strict=True):
        met = meets(origins[:, tile, ray], directions[:, tile, ray], low, high)
        met &= np.isin(np.arange(200), which)
        at = np.array([tile % columns, tile // columns])
        assert ((first[met] <= at) & (at < last[met])).all()
        n_met += int(met.sum())
    assert n_met > 20
    assert set(found.which) <= set(which)
    assert (found.last <= (columns, rows)).all()


def test_box_is_looked_for_in_few_tiles_where_bundles_are_narrow() -> None:
    row, column = np.mgrid[:16, :16]
    start = np.stack([column * 2.0, row * 1.5, np.full(row.shape, -0.5)]).reshape(3, -1, 1)
    start = start + np.linspace(0.0, 1.0, 4) * np.array([2.0, 1.5, 0.0])[:, None, None]
    course = np.broadcast_to(np.array([0.0, 0.0, 1.0])[:, None, None], start.shape)
    bounds = tile_bundles(start, course, np.ones(start.shape[1:], bool))
    tiles = TileBundles(*(bound.reshape(16, 16, 2, 3) for bound in bounds))
    screen = BundleScreen((33, 25, 33), bundle_levels(tiles))
    low, high = np.array([[8, 8, 8]], np.int32), np.array([[10, 11, 16]], np.int32)
    found = screen.rects(low, high, np.arange(1))
    assert found.first.tolist() == [[3, 5]]
    assert found.last.tolist() == [[6, 8]]


def test_tiles_without_rays_see_nothing() -> None:
    nothing = np.zeros((3, 6, 4))
    bounds = tile_bundles(nothing, nothing + 1.0, np.zeros((6, 4), bool))
    tiles = TileBundles(*(bound.reshape(2, 3, 2, 3) for bound in bounds))
    screen = BundleScreen(SIZE, bundle_levels(tiles))
    assert len(screen.rects(*boxes_of(50, 0), np.arange(50)).which) == 0
