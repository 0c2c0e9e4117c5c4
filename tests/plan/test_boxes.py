"""Boxes of a scene, where a camera sees them, and that no sample of any ray is missed."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest

from plenostream.cameras import Camera, look_at_camera
from plenostream.cameras.lenses import (
    Equirectangular,
    Fisheye,
    FTheta,
    Orthographic,
    RadialTangential,
)
from plenostream.engine.sight import camera_view
from plenostream.field.grid import BrickGrid, GridSpec
from plenostream.field.tiles import Pairs
from plenostream.plan import BoxTable, PinholeScreen, build_boxes
from plenostream.plan import screen as screen_module
from plenostream.plan.screen import Rects, rects_alive

GRID = GridSpec(size=(26, 19, 21), radius=(1.0, 0.8, 0.9), center=(0.05, 0.0, -0.1))


class Scene(NamedTuple):
    """A grid of cells of which some contribute, as the store would describe it."""

    bricks: BrickGrid
    index: np.ndarray
    table: BoxTable
    counts: np.ndarray
    """[X - 1, Y - 1, Z - 1] bool: cells with a corner of positive density."""


def make_scene(brick_size: int, *, share: float = 0.03, seed: int = 1) -> Scene:
    rng = np.random.default_rng(seed)
    positive = rng.random(GRID.size) < share
    counts = np.zeros(np.array(GRID.size) - 1, np.bool_)
    for corner in np.ndindex(2, 2, 2):
        counts |= positive[
            tuple(slice(c, c + n - 1) for c, n in zip(corner, GRID.size, strict=True))
        ]
    bricks = BrickGrid(size=GRID.size, brick_size=brick_size)
    index = np.array(list(np.ndindex(*bricks.shape)), np.int32)
    boxes = np.zeros((len(index), bricks.blocks, 6), np.uint8)
    side = bricks.blocks_per_axis
    for b, place in enumerate(index):
        for number, block in enumerate(np.ndindex(side, side, side)):
            low = np.array(block) * 8
            first = place * brick_size + low
            cells = np.argwhere(counts[tuple(slice(f, f + 8) for f in first)])
            if len(cells):
                boxes[b, number] = [*(low + cells.min(0)), *(low + cells.max(0) + 1)]
    occupied = boxes.any((1, 2))
    return Scene(bricks, index, build_boxes(index, boxes, occupied, bricks), counts)


@pytest.mark.parametrize("brick_size", [8, 16, 32])
def test_every_cell_that_counts_lies_in_one_box_and_no_box_is_larger_than_it_must_be(
    brick_size: int,
) -> None:
    scene = make_scene(brick_size)
    times = np.zeros(scene.counts.shape, int)
    for low, high in zip(scene.table.low, scene.table.high, strict=True):
        inside = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        times[inside] += 1
        cells = np.argwhere(scene.counts[inside])
        assert cells.min(0).tolist() == [0, 0, 0]
        assert (cells.max(0) + 1).tolist() == (high - low).tolist()
    assert times.max() == 1
    assert (times[scene.counts] == 1).all()


@pytest.mark.parametrize("brick_size", [8, 16, 32])
def test_box_knows_its_brick_its_block_and_its_corners_inside_the_brick(brick_size: int) -> None:
    table, bricks, index = (
        make_scene(brick_size)[2],
        BrickGrid(size=GRID.size, brick_size=brick_size),
        make_scene(brick_size).index,
    )
    assert (table.block == table.low // 8).all()
    origin = index[table.brick] * bricks.brick_size
    assert (table.corners[:, :3] == table.low - origin).all()
    assert (table.corners[:, 3:] == table.high - origin).all()


def test_brick_that_is_not_occupied_has_no_boxes() -> None:
    bricks = BrickGrid(size=(17, 9, 9), brick_size=8)
    boxes = np.tile(np.array([0, 0, 0, 8, 8, 8], np.uint8), (2, 1, 1))
    index = np.array([[0, 0, 0], [1, 0, 0]], np.int32)
    table = build_boxes(index, boxes, np.array([False, True]), bricks)
    assert table.brick.tolist() == [1]


def items_of(scene: Scene, camera: Camera, top: int, bottom: int) -> Pairs:
    view = camera_view(scene.table, scene.index, GRID, scene.bricks, camera, top=top, bottom=bottom)
    everything = np.ones(len(scene.index), np.bool_)
    parts = list(view.pairs(everything, None))
    joined = {
        name: np.concatenate([np.empty(0, np.int64), *(getattr(part, name) for part in parts)])
        for name in ("tile", "box", "shell")
    }
    return Pairs(**joined)


def sampled_boxes(scene: Scene, camera: Camera) -> set[tuple[int, int, int]]:
    """(row, column, box) of every sample that some pixel's ray takes in a cell that counts."""
    box_of = np.full(scene.counts.shape, -1)
    for number, (low, high) in enumerate(zip(scene.table.low, scene.table.high, strict=True)):
        box_of[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = number
    origins, dirs, seen = (part.reshape(camera.width * camera.height, -1) for part in camera.rays())
    eyes, course = GRID.world_to_grid(origins), dirs * GRID.scale
    course /= np.linalg.norm(course, axis=1, keepdims=True)
    last = np.array(GRID.size) - 1.0
    still = course == 0.0
    faces = np.array([[-0.5] * 3, last + 0.5])[:, None] - eyes
    bounds = np.sort(faces / np.where(still, 1.0, course), axis=0)
    # A direction of 0 puts no bound on a ray, wherever it starts.
    bounds[:, still] = np.array([[-np.inf], [np.inf]])
    t_min, t_max = np.maximum(bounds[0].max(1), 0.0), bounds[1].min(1)
    found = set()
    for k in range(200):
        t = t_min + 0.5 * k
        mine = np.flatnonzero((t <= t_max) & seen[:, 0])
        place = np.clip(eyes[mine] + t[mine, None] * course[mine], 0.0, last)
        cell = np.minimum(place.astype(int), np.array(GRID.size) - 2)
        box = box_of[tuple(cell.T)]
        inside = scene.counts[tuple(cell.T)]
        samples = np.stack([mine // camera.width, mine % camera.width, box], -1)[inside]
        found |= set(map(tuple, samples.tolist()))
    return found


CAMERAS = {
    "from outside": look_at_camera(
        (2.2, 1.4, 0.9), (0.0, 0.0, 0.0), fov_degrees=50.0, size=(37, 29)
    ),
    "from inside": look_at_camera(
        (0.2, -0.1, 0.1), (1.0, 0.7, 0.3), fov_degrees=100.0, size=(37, 29)
    ),
    "at a face": look_at_camera(
        (1.05, 0.2, 0.1), (0.0, 0.1, 0.0), fov_degrees=120.0, size=(37, 29)
    ),
    "far away": look_at_camera(
        (40.0, -33.0, 21.0), (0.0, 0.0, 0.0), fov_degrees=3.0, size=(37, 29)
    ),
    "turned away": look_at_camera(
        (2.0, 0.0, 0.0), (5.0, 1.0, 0.0), fov_degrees=70.0, size=(37, 29)
    ),
}


LOOKS = {
    "barrel": (RadialTangential(k=(-0.3, 0.1, 0, 0, 0, 0), p=(0.02, 0.01)), (24.0, 22.0)),
    "fisheye": (Fisheye(k=(0.02, 0, 0, 0)), (9.0, 8.0)),
    "f-theta": (FTheta(p=(0.1, 0.06, 1e-3, 0, 0)), (1.0, 1.0)),
    "panorama": (Equirectangular(), (37 / (2 * math.pi), 29 / math.pi)),
    "orthographic": (Orthographic(), (14.0, 12.0)),
}
PLACES = {
    "outside": CAMERAS["from outside"].c2w,
    "inside": CAMERAS["from inside"].c2w,
    "away": CAMERAS["turned away"].c2w,
    # Rays with a component of exactly 0, beside the grid: they see its border.
    "along an axis": np.array([[0.0, 0, -1, 2.5], [1, 0, 0, 0.3], [0, -1, 0, 1.3]]),
}
ANY = CAMERAS | {
    f"{look} {place}": Camera(pose, *focal, 18.5, 14.5, 37, 29, lens)
    for look, (lens, focal) in LOOKS.items()
    for place, pose in PLACES.items()
}


@pytest.mark.parametrize("brick_size", [8, 16])
@pytest.mark.parametrize("name", ANY)
def test_every_sample_of_every_pixel_lies_in_a_box_that_its_tile_is_paired_with(
    name: str, brick_size: int
) -> None:
    scene, camera = make_scene(brick_size), ANY[name]
    items = items_of(scene, camera, 0, camera.height)
    columns = -(-camera.width // 8)
    paired = set(zip(items.tile.tolist(), items.box.tolist(), strict=True))
    assert len(paired) == len(items.tile), "a pair is there twice"
    needed = {(r // 8 * columns + c // 8, box) for r, c, box in sampled_boxes(scene, camera)}
    assert needed - paired == set()
    assert "away" in name or len(needed) > 20


def test_band_of_rows_has_the_items_of_its_own_rows() -> None:
    scene, camera = make_scene(16), CAMERAS["from outside"]
    top, bottom = 8, 24
    items = items_of(scene, camera, top, bottom)
    columns = -(-camera.width // 8)
    paired = set(zip(items.tile.tolist(), items.box.tolist(), strict=True))
    needed = {
        ((r - top) // 8 * columns + c // 8, box)
        for r, c, box in sampled_boxes(scene, camera)
        if top <= r < bottom
    }
    assert needed - paired == set()
    assert items.tile.max() < (bottom - top) // 8 * columns


def test_items_are_front_to_back() -> None:
    scene, camera = make_scene(16), CAMERAS["from inside"]
    items = items_of(scene, camera, 0, camera.height)
    assert (np.diff(items.shell) >= 0).all()
    # The shell of a box is how many blocks it lies from the eye's, all axes together.
    home = (GRID.world_to_grid(camera.eye_world) // 8).astype(int)
    blocks = scene.table.block[items.box]
    assert (items.shell == np.abs(blocks - home).sum(-1)).all()


def project(table: BoxTable, camera: Camera) -> Rects:
    screen = PinholeScreen(
        size=GRID.size,
        eye_grid=GRID.world_to_grid(camera.eye_world),
        to_camera=np.linalg.inv(camera.c2w[:, :3]) / GRID.scale,
        intrinsics=(camera.fx, camera.fy, camera.cx, camera.cy),
        pixels=(0, 0, camera.width, camera.height),
        tile=8,
    )
    return screen.rects(table.low, table.high, np.arange(len(table.low)))


@pytest.mark.parametrize("name", CAMERAS)
def test_boxes_projected_a_few_at_a_time_are_where_they_are_all_at_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = make_scene(8).table
    whole = project(table, CAMERAS[name])
    monkeypatch.setattr(screen_module, "BOXES_AT_ONCE", 5)
    parts = project(table, CAMERAS[name])
    for field in ("which", "first", "last"):
        assert getattr(parts, field).tolist() == getattr(whole, field).tolist()


def test_scene_without_boxes_is_seen_nowhere() -> None:
    table = make_scene(16, share=0.0).table
    rects = project(table, CAMERAS["from outside"])
    assert (rects.which.shape, rects.first.shape, rects.last.shape) == ((0,), (0, 2), (0, 2))


def test_rectangle_is_alive_when_it_holds_a_live_tile() -> None:
    rng = np.random.default_rng(5)
    alive = rng.random((6, 9)) < 0.15
    first = rng.integers(0, (9, 6), (200, 2))
    last = first + 1 + rng.integers(0, (9 - first[:, 0], 6 - first[:, 1]), (2, 200)).T
    rects = Rects(np.arange(200), first, last)
    expected = [alive[y0:y1, x0:x1].any() for (x0, y0), (x1, y1) in zip(first, last, strict=True)]
    assert rects_alive(rects, alive).tolist() == expected
