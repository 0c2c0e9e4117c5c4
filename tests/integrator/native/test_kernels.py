"""The kernels one by one, against NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from plenostream.errors import DeviceError
from plenostream.field.basis import SphericalHarmonics
from plenostream.field.grid import BrickGrid, GridSpec
from plenostream.field.precision import density_unit, device_densities
from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.interface import (
    Arrivals,
    Boxes,
    Light,
    RaySource,
    Runs,
    SampleRule,
    SceneShape,
)
from plenostream.integrator.lattice import GridArrays, Spacing, lattice
from plenostream.integrator.native.blocks import check_counts, map_blocks, map_bytes
from plenostream.integrator.native.integrator import NativeIntegrator
from plenostream.integrator.native.library import load_kernels

pytestmark = pytest.mark.usefixtures("native")

RULE = SampleRule(
    step_size=0.37,
    sigma_thresh=1e-10,
    stop_thresh=1e-7,
    near_clip=0.1,
    far_cap=math.inf,
    spheric_clip=False,
    light=Light.MULTIPLIES,
)
RULES = {
    "box": RULE,
    "ellipsoids": replace(RULE, spheric_clip=True),
    "inner ellipsoid": replace(RULE, spheric_clip=True, near_clip=0.4),
    "far cap": replace(RULE, far_cap=40.0),
}


def shape_of(size: tuple[int, int, int], seed: int = 0, basis_dim: int = 4) -> SceneShape:
    """A scene of which only some blocks have boxes."""
    grid = GridSpec(size=size, radius=(1.3, 0.7, 1.1), center=(0.2, -0.35, 0.1))
    bricks = BrickGrid(size=size, brick_size=16)
    rng = np.random.default_rng(seed)
    index = np.argwhere(rng.random(bricks.shape) < 0.5)
    brick, block = np.nonzero(rng.random((len(index), 8)) < 0.5)
    within = np.stack([block // 4, block // 2 % 2, block % 2], -1)
    low = rng.integers(0, 7, (len(brick), 3))
    high = rng.integers(low + 1, 9)
    origin = index[brick] * 16 + within * 8
    high = np.minimum(high, np.array(size) - 1 - origin)
    real = (low < high).all(-1)
    corners = np.concatenate([low, high], -1) + np.tile(within * 8, 2)
    boxes = Boxes(
        brick=brick[real].astype(np.int32),
        block=(origin // 8)[real].astype(np.int32),
        corners=corners[real].astype(np.uint8),
    )
    return SceneShape(
        grid=grid,
        bricks=bricks,
        basis=SphericalHarmonics(basis_dim).basis,
        sh_dtype="float32",
        largest_rows=100,
        n_rows=1000,
        boxes=boxes,
    )


def integrator_of(
    scene: SceneShape, precision: str = "float32", rule: SampleRule = RULE
) -> NativeIntegrator:
    return NativeIntegrator(
        load_kernels(), scene, rule, precision=precision, allowed_bytes=10**9, n_threads=2
    )


def given_rays(xp: object, origins: np.ndarray, dirs: np.ndarray) -> tuple[np.ndarray, ...]:
    flat = [a.reshape(-1, 3).T for a in (origins, dirs)]
    return (*flat, np.ones(flat[0].shape[1], bool))


def rays_source(seed: int, n_tiles: int) -> RaySource:
    """Rays from all around, some along axes."""
    rng = np.random.default_rng(seed)
    origins = rng.normal(size=(n_tiles, TILE_RAYS, 3)) * 2.0
    dirs = rng.normal(size=origins.shape) - origins * 0.7
    dirs[rng.random(dirs.shape) < 0.1] = 0.0
    dirs[(dirs == 0).all(-1)] = 1.0
    nothing = np.ones((1, TILE_RAYS, 3))
    return RaySource(
        make=given_rays,  # type: ignore[arg-type]
        per_tile=(origins, dirs),
        nothing=(nothing, nothing),
        shared=(),
        packets=True,
    )


@pytest.mark.parametrize("name", RULES)
def test_lattice_is_numpys_to_the_last_bit(name: str) -> None:
    scene, source, rule = shape_of((60, 41, 77)), rays_source(1, 70), RULES[name]
    native = integrator_of(scene, rule=rule)
    native.begin(source, 128)
    native.octant_keys()  # waits
    grid = scene.grid
    arrays = GridArrays(grid.extent, grid.margin, grid.scale, grid.offset)
    origins, dirs, valid = given_rays(np, *source.per_tile)
    spacing = Spacing(rule.step_size, rule.near_clip, rule.far_cap)
    want = lattice(np, origins, dirs, valid, arrays, spacing, spheric_clip=rule.spheric_clip)
    assert native._tiles is not None
    tiles = native._tiles._tiles[:70]
    for name, expected in (("entry", want.entry), ("direction", want.direction)):
        got = np.moveaxis(tiles[name], 1, 0).reshape(3, -1)
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(tiles["n_samples"].reshape(-1), want.n_samples)
    assert (want.n_samples > 0).any()
    np.testing.assert_array_equal(tiles["t_min"].reshape(-1), want.t_min.astype(np.float32))
    native.close()


def cells_of(scene: SceneShape) -> np.ndarray:
    """[cells]: brick of the box that each cell lies in, -1 for none."""
    cells = np.full([16 * n for n in scene.bricks.shape], -1)
    boxes = scene.boxes
    for brick, block, corners in zip(boxes.brick, boxes.block, boxes.corners, strict=True):
        low, high = (block // 2 * 16 + part for part in (corners[:3], corners[3:]))
        cells[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = brick
    return cells


@pytest.mark.parametrize("seed", range(4))
def test_rays_find_the_first_sample_in_a_box_and_every_brick_that_they_meet(seed: int) -> None:
    scene, source = shape_of((60, 41, 77), seed), rays_source(seed, 16)
    native = integrator_of(scene)
    native.begin(source, 128)
    pairs = [np.stack(pair) for pair in native.boxes_met(16, 7)]
    assert max(pair.shape[1] for pair in pairs) < sum(pair.shape[1] for pair in pairs)
    assert native._tiles is not None
    tiles, cells = native._tiles._tiles[:16], cells_of(scene)
    met = {(int(p), int(scene.boxes.brick[b])) for p, b in np.concatenate(pairs, 1).T}
    needed = set()
    for number, tile in enumerate(tiles):
        for ray in range(TILE_RAYS):
            k = np.arange(tile["n_samples"][ray])[:, None]
            along = tile["direction"][:, ray] * RULE.step_size
            position = tile["entry"][:, ray] + k * along
            cell = np.clip(position.astype(int), 0, np.array(scene.grid.size) - 2)
            bricks = cells[tuple(cell.T)]
            inside = np.flatnonzero(bricks >= 0)
            first = inside[0] if len(inside) else tile["n_samples"][ray]
            assert tile["next"][ray] <= first, "no sample may be left out"
            needed |= {(number, int(brick)) for brick in set(bricks[inside].tolist())}
    assert needed <= met
    # Not many more: a sample on a face counts as inside.
    assert len(met - needed) <= 0.02 * len(met) + 2
    native.close()


def test_rays_are_followed_where_bricks_are_drawn_and_hardly_farther() -> None:
    scene, source, (nearest, farthest) = shape_of((60, 41, 77), 2), rays_source(5, 16), (1.5, 2.5)
    native, cells = integrator_of(scene), cells_of(scene)
    followed = []
    for between in ((0.0, np.inf), (nearest, farthest)):
        native.begin(replace(source, between=between), 128)
        native.octant_keys()  # waits
        assert native._tiles is not None
        followed.append(native._tiles._tiles[:16].copy())
    n_needed = n_left_out = 0
    for everywhere, tile in zip(*followed, strict=True):
        per_t = np.linalg.norm(tile["direction"].T / scene.grid.scale, axis=1)
        for ray in range(TILE_RAYS):
            k = np.arange(everywhere["n_samples"][ray])
            along = tile["direction"][:, ray] * RULE.step_size
            position = tile["entry"][:, ray] + k[:, None] * along
            cell = np.clip(position.astype(int), 0, np.array(scene.grid.size) - 2)
            distance = (tile["t_min"][ray] + k * RULE.step_size) * per_t[ray]
            drawn = (distance >= nearest) & (distance <= farthest)
            is_followed = (k >= tile["next"][ray]) & (k < tile["n_samples"][ray])
            needed = drawn & (cells[tuple(cell.T)] >= 0)
            assert not (needed & ~is_followed).any()
            assert np.count_nonzero(is_followed & (distance > farthest)) <= 4
            n_needed += np.count_nonzero(needed)
            n_left_out += np.count_nonzero((k >= everywhere["next"][ray]) & ~is_followed)
    assert n_needed > 100
    assert n_left_out > 1000
    native.close()


def test_rays_end_behind_their_tiles_last_box_and_have_a_key_if_they_meet_one() -> None:
    scene = shape_of((300, 9, 20), 3)
    # Boxes in one half of the volume alone, and narrow tiles that look along it, from either end.
    near = scene.boxes.block[:, 0] < 16
    names = ("brick", "block", "corners")
    boxes = {name: getattr(scene.boxes, name)[near] for name in names}
    scene = replace(scene, boxes=Boxes(**boxes))
    rng = np.random.default_rng(7)
    side = rng.choice([-1.0, 1.0], (32, 1, 1))
    origins = side * [3.0, 0.0, 0.0] + rng.normal(size=(32, 1, 3)) * 0.3 + scene.grid.center
    dirs = -side * [1.0, 0.0, 0.0] + rng.normal(size=(32, 1, 3)) * 0.05
    dirs = dirs + rng.normal(size=(32, TILE_RAYS, 3)) * 0.002
    source = replace(
        rays_source(0, 32), per_tile=(np.broadcast_to(origins, dirs.shape).copy(), dirs)
    )
    native = integrator_of(scene)
    native.begin(source, 128)
    keys = native.octant_keys()
    native.drop()
    native.begin(replace(source, keys_only=True), 128)
    np.testing.assert_array_equal(native.octant_keys(), keys)
    native.drop()
    native.begin(source, 128)
    native.octant_keys()  # waits
    grid = scene.grid
    arrays = GridArrays(grid.extent, grid.margin, grid.scale, grid.offset)
    spacing = Spacing(RULE.step_size, RULE.near_clip, RULE.far_cap)
    whole = lattice(np, *given_rays(np, *source.per_tile), arrays, spacing, spheric_clip=False)
    assert native._tiles is not None
    ends = native._tiles._tiles[:32]["n_samples"].reshape(-1)
    cells, needed = cells_of(scene), np.zeros(len(ends), int)
    for ray, n in enumerate(whole.n_samples):
        position = whole.entry[:, ray] + np.arange(n)[:, None] * whole.direction[:, ray] * 0.37
        cell = np.clip(position.astype(int), 0, np.array(grid.size) - 2)
        inside = np.flatnonzero(cells[tuple(cell.T)] >= 0)
        needed[ray] = inside[-1] + 1 if len(inside) else 0
    assert (ends >= needed).all()
    # One beyond the last that may count is kept, so that no other is the last of its ray.
    assert (ends[ends < whole.n_samples] > needed[ends < whole.n_samples]).all()
    falls = whole.direction < 0
    assert (keys[needed > 0] >> 32 == (falls.T @ [1, 2, 4])[needed > 0]).all()
    # Both are of use: most rays end early, or have no key.
    assert (ends < whole.n_samples).mean() > 0.3
    assert (needed > 0).any()
    native.close()


@pytest.mark.parametrize("size", [(60, 41, 77), (300, 9, 20)])
def test_map_says_how_far_each_unit_is_from_the_next_box(size: tuple[int, int, int]) -> None:
    scene = shape_of(size, 3)
    blocks = map_blocks(scene.boxes, scene.bricks, load_kernels())
    held = np.unique(np.argwhere(cells_of(scene) >= 0) >> blocks.unit_bits, axis=0)
    every = np.argwhere(np.ones(blocks.distance.shape, bool))
    want = np.abs(every[:, None] - held[None]).max(-1).min(-1)
    np.testing.assert_array_equal(blocks.distance.reshape(-1), np.minimum(want, 255))
    assert blocks.nbytes == map_bytes(scene.boxes, scene.bricks)


@pytest.mark.parametrize(
    "shape",
    [
        (1, 1, 1),
        (1, 1, 600),
        (300, 1, 2),
        (2, 270, 1),
        (1, 7, 18),
        (5, 1, 33),
        (13, 21, 17),
        (4, 3, 64),
    ],
)
@pytest.mark.parametrize("n_held", [0, 1, 4, 30])
def test_distances_are_those_to_the_nearest_unit_that_holds_something(
    shape: tuple[int, int, int], n_held: int
) -> None:
    rng = np.random.default_rng(n_held)
    held = rng.integers(0, shape, (n_held, 3))
    distance = np.full(shape, 255, np.uint8)
    distance[tuple(held.T)] = 0
    sides = np.array(shape, np.int32)
    load_kernels().measure(distance.ctypes.data, sides.ctypes.data)
    every = np.argwhere(np.ones(shape, bool))
    want = np.abs(every[:, None] - held[None]).max(-1).min(-1, initial=255)
    np.testing.assert_array_equal(distance.reshape(-1), want)


@pytest.mark.parametrize(
    ("most", "beyond"),
    [((10_304, 8, 0), (10_328, 8, 0)), ((60, 32, (1 << 25) - 2), (60, 32, (1 << 25) - 1))],
    ids=["places", "blocks"],
)
def test_more_bricks_than_the_kernels_count_are_refused(
    most: tuple[int, int, int], beyond: tuple[int, int, int]
) -> None:
    def check(size: int, brick_size: int, number: int) -> None:
        boxes = Boxes(
            brick=np.array([number], np.int32),
            block=np.zeros((1, 3), np.int32),
            corners=np.array([[0, 0, 0, 1, 1, 1]], np.uint8),
        )
        check_counts(boxes, BrickGrid(size=(size,) * 3, brick_size=brick_size))

    check(*most)
    with pytest.raises(DeviceError, match="larger than the kernels"):
        check(*beyond)


def in_runs(rows: NDArray[Any], cuts: Sequence[int]) -> Runs:
    """Rows in runs that begin at `cuts`, too: every other one where it is, the rest in copies."""
    parts, of = np.split(rows, cuts), np.arange(len(cuts) + 1)
    return Runs(
        arrays=[rows, *(part.copy() for part in parts)],
        array_of=np.where(of % 2, 0, of + 1),
        first=np.where(of % 2, np.array([0, *cuts]), 0),
    )


@pytest.mark.parametrize("precision", ["float16", "float32"])
@pytest.mark.parametrize("sh_dtype", ["float16", "float32"])
@pytest.mark.parametrize("basis_dim", [1, 4, 9, 16, 25])
def test_bricks_come_in_as_they_are_stored(precision: str, sh_dtype: str, basis_dim: int) -> None:
    scene = shape_of((60, 41, 77), basis_dim=basis_dim)
    voxels, columns = scene.bricks.voxels, 3 * basis_dim
    rng = np.random.default_rng(0)
    active = rng.random((3, voxels)) < 0.02
    counts = active.sum(1)
    n, n_pages = int(counts.sum()), int((-(-counts // 16)).sum())
    density = (np.exp(rng.normal(size=n) * 12) * rng.choice([1, 1, -1], n)).astype(np.float32)
    density[:4] = 0.0, np.float32(1e-40), 1e38, 65519.0
    sh = rng.normal(size=(n, columns)).astype(sh_dtype)
    pages = (1 + rng.permutation(n_pages + 5)[:n_pages]).astype(np.int32)
    # In one run, or in many, some of a single row.
    cuts = np.unique([*rng.integers(1, n, 40), 1, 2, n - 1]) if basis_dim % 2 else []
    native = integrator_of(scene, precision)
    native.make_pool(5, n_pages + 6)
    native.begin(rays_source(0, 1), 128)
    arrivals = Arrivals(
        index=np.zeros((3, 3), np.int32),
        mask=np.packbits(active, axis=1, bitorder="little"),
        density=in_runs(density, cuts),
        sh=in_runs(sh, cuts),
        run_start=np.array([0, *cuts, n]),
        row_start=np.concatenate([[0], np.cumsum(counts)]),
        slots=np.array([4, 0, 2], np.int32),
        pages=pages,
    )
    native.take_in(iter([arrivals]))
    native.advance((), np.full(100, -1, np.int32))
    native.report()()
    pool = native._pool
    assert pool is not None
    stored = np.zeros((5, voxels), precision)
    wide = np.zeros((3, voxels), precision)
    wide[active] = device_densities(density, density_unit(scene.grid), np.dtype(precision))
    stored[[4, 0, 2]] = wide
    np.testing.assert_array_equal(pool._density, stored)
    rows = pool._place_of[[4, 0, 2]] * 8 // pool._rows.strides[0]
    assert (rows[~active] == 0).all()
    lanes = [
        k // 5 * 16 + (4 * (k % 5) + c if k % 5 < 4 else 4 * c + 3)
        for c in range(3)
        for k in range(basis_dim)
    ]
    np.testing.assert_array_equal(pool._rows[rows[active]][:, lanes], sh.astype(precision))
    spare = np.delete(pool._rows, lanes, axis=1)
    assert not spare.any()
    corners = np.lib.stride_tricks.sliding_window_view(
        stored.reshape(5, 17, 17, 17) > 0, (2, 2, 2), axis=(1, 2, 3)
    )
    live = np.unpackbits(pool._live[[4, 0, 2]], axis=1, bitorder="little")
    want = corners.any((-3, -2, -1)).reshape(5, -1)[[4, 0, 2]]
    np.testing.assert_array_equal(live, want)
    assert 0 < want.mean() < 1
    assert not pool._rows[0].any()
    native.close()


def test_functions_are_evaluated_at_unit_world_directions() -> None:
    scene, source = shape_of((60, 41, 77), basis_dim=9), rays_source(5, 70)
    native = integrator_of(scene)
    native.begin(source, 128)
    native.octant_keys()
    assert native._tiles is not None
    seen = np.flatnonzero(native._tiles.live[:70])
    _, dirs, _ = given_rays(np, *source.per_tile)
    values = SphericalHarmonics(9)(np, dirs / np.linalg.norm(dirs, axis=0))
    want = np.stack([value.reshape(70, TILE_RAYS) for value in values], 1)[seen]
    np.testing.assert_allclose(native._tiles._tiles["basis"][seen], want, rtol=0, atol=1e-6)
    assert len(seen) > 10
    native.close()


@pytest.mark.parametrize(("n_slots", "n_pages"), [(1 << 19, 1), (1, 1 << 25)])
def test_pool_that_is_too_large_to_count_is_refused(n_slots: int, n_pages: int) -> None:
    native = integrator_of(shape_of((60, 41, 77), basis_dim=9))
    with pytest.raises(DeviceError, match="device_memory"):
        native.make_pool(n_slots, n_pages)
    native.close()
