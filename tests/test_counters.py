"""Counters of a frame, where they can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import plenostream as ps
from plenostream.testing import checkpoints
from plenostream.testing.pictures import open_renderer

pytestmark = pytest.mark.usefixtures("each_backend")

Scenes = Callable[..., Path]

# 73 voxels are 72 cells: nine bricks of 8 in a row along x, each 1.97 world units long.
LONG = checkpoints.constant_checkpoint(
    size=(73, 9, 9), density=0.5, radius=(9.0, 1.125, 1.125), colour=(0.5, 0.5, 0.5)
)
FROM_THE_SIDE = ps.look_at_camera(
    (0.0, -30.0, 0.0), (0.0, 0.0, 0.0), fov_degrees=45.0, size=(96, 24)
)
TURNED_AWAY = ps.look_at_camera((0.0, -30.0, 0.0), (0.0, -60.0, 0.0), size=(96, 24))


@pytest.fixture(scope="module")
def long_scene(make_scene: Scenes) -> Path:
    return make_scene(LONG, brick_size=8)


def test_first_frame_reads_each_visible_brick_once(long_scene: Path) -> None:
    with open_renderer(long_scene) as renderer:
        stats = renderer.render(FROM_THE_SIDE).stats
    assert (stats.bricks_visible, stats.bricks_read, stats.bricks_culled) == (9, 9, 0)
    assert (stats.bricks_evicted, stats.waves) == (0, 1)
    assert stats.bytes_read > 0
    assert stats.bytes_uploaded > 0


def test_second_frame_of_the_same_view_reads_and_uploads_nothing(long_scene: Path) -> None:
    with open_renderer(long_scene) as renderer:
        renderer.render(FROM_THE_SIDE)
        stats = renderer.render(FROM_THE_SIDE).stats
    assert (stats.bricks_visible, stats.bricks_read, stats.bytes_read) == (9, 0, 0)
    assert (stats.bytes_uploaded, stats.compiles) == (0, 0)


def test_camera_that_turns_its_back_needs_no_brick(long_scene: Path) -> None:
    with open_renderer(long_scene) as renderer:
        stats = renderer.render(TURNED_AWAY).stats
    assert (stats.bricks_visible, stats.bricks_read, stats.bytes_read) == (0, 0, 0)
    assert (stats.samples_marched, stats.samples_shaded) == (0, 0)


def test_narrow_view_reads_only_the_bricks_it_shows(long_scene: Path) -> None:
    # It looks at the middle of the fifth brick and is 1 world unit wide at the far side.
    camera = ps.look_at_camera((0.0, -9.0, 0.0), (0.0, 0.0, 0.0), fov_degrees=5.7, size=(16, 16))
    with open_renderer(long_scene) as renderer:
        stats = renderer.render(camera).stats
    assert (stats.bricks_visible, stats.bricks_read) == (1, 1)


def test_empty_scene_counts_nothing(make_scene: Scenes) -> None:
    with open_renderer(make_scene(checkpoints.empty_checkpoint())) as renderer:
        stats = renderer.render(FROM_THE_SIDE).stats.to_dict()
    counted = ("bricks_visible", "bricks_read", "bricks_culled", "bricks_evicted", "waves")
    work = ("bytes_read", "bytes_uploaded", "samples_marched", "samples_shaded")
    assert {key: stats[key] for key in counted + work} == dict.fromkeys(counted + work, 0)


@pytest.mark.parametrize(
    ("start", "step", "n"),
    [
        pytest.param(-40.0, 0.4, 183, id="from outside"),  # 73 grid units: 182.5 steps
        pytest.param(0.0, 1.0, 73, id="with samples on the faces of bricks"),  # 72.5 steps
        pytest.param(0.25, 0.5, 145, id="from inside"),  # 72.25 grid units: 144.5 steps
    ],
)
def test_every_sample_of_a_constant_medium_is_shaded_once(
    long_scene: Path, start: float, step: float, n: int
) -> None:
    offsets = np.linspace(0.0, 8.0, 31)
    points = np.stack([np.full(31, start), offsets, np.full(31, 4.1)], -1)
    origins = LONG.grid.grid_to_world(points)
    with open_renderer(long_scene, options={"step_size": step}) as renderer:
        stats = renderer.render_rays(origins, np.array([[1.0, 0.0, 0.0]] * 31)).stats
    assert stats.samples_shaded == 31 * n
    assert stats.samples_marched >= stats.samples_shaded


def test_nothing_behind_an_opaque_wall_is_shaded(make_scene: Scenes) -> None:
    opaque = checkpoints.constant_checkpoint(size=(73, 9, 9), density=1e4)
    # exp(-1e4 * 0.5 * 2 / 73) is far below the threshold: the first sample ends each ray.
    origins = np.stack([np.full(31, -20.0), np.linspace(-0.9, 0.9, 31), np.full(31, 0.1)], -1)
    with open_renderer(make_scene(opaque, brick_size=8)) as renderer:
        stats = renderer.render_rays(origins, np.array([[1.0, 0.0, 0.0]] * 31)).stats
    assert stats.samples_shaded == 31


@pytest.mark.slow
def test_bricks_hidden_behind_a_wall_are_dropped_before_they_are_read(make_scene: Scenes) -> None:
    # So many that the smallest budget, which is said in round numbers, holds a part of them.
    opaque = checkpoints.constant_checkpoint(
        size=(257, 9, 9), density=1e4, radius=(32.0, 1.125, 1.125)
    )
    camera = ps.look_at_camera((-53.0, 0.0, 0.0), (0.0, 0.0, 0.0), fov_degrees=3.0, size=(16, 16))
    scene = make_scene(opaque, brick_size=8)
    with open_renderer(scene) as renderer:
        smallest = renderer.plan(camera).smallest_budget_bytes
    with open_renderer(scene, device_memory=smallest) as renderer:
        stats = renderer.render(camera).stats
    assert stats.bricks_visible == 32
    assert stats.bricks_read + stats.bricks_culled == 32
    # The report of a wave is used at most two waves late.
    assert stats.bricks_culled > 0


def test_stats_are_plain_json_values(long_scene: Path) -> None:
    with open_renderer(long_scene) as renderer:
        stats = renderer.render(FROM_THE_SIDE).stats.to_dict()
    assert set(stats) >= {
        "peak_device_bytes",
        "planned_device_bytes",
        "waves",
        "bricks_visible",
        "bricks_read",
        "bricks_culled",
        "bricks_evicted",
        "bytes_read",
        "bytes_uploaded",
        "compiles",
        "samples_marched",
        "samples_shaded",
        "seconds",
    }
    texts = {"backend": str, "precision": str, "seconds": float}
    assert {key: type(value) for key, value in stats.items()} == dict.fromkeys(stats, int) | texts
