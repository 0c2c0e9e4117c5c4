"""Three workers that each keep a part of a scene's bricks draw what one machine draws."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import distributed
import numpy as np
import pytest

import plenostream as ps
from plenostream.cli.main import main
from plenostream.cluster import choosing, keepers
from plenostream.cluster.opening import open_client
from plenostream.cluster.renderer import ClusterRenderer
from plenostream.cluster.splitting import moved_bytes
from plenostream.cluster.subvolume_renderer import SubvolumeRenderer
from plenostream.errors import BudgetError, ClusterError
from plenostream.options import ClusterOptions, RenderOptions, StreamOptions
from plenostream.plan import Cut, Split
from plenostream.testing.checkpoints import CheckpointArrays, random_checkpoint
from plenostream.testing.pictures import rays_around

OPTIONS = RenderOptions(outputs=("rgb", "alpha", "depth"), background=(0.1, 0.7, 0.4))
STREAM = StreamOptions(precision="float32", n_threads=1, device_memory="64MB")
ARRAYS = ("rgb", "alpha", "depth")


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Of three processes of one thread each; the last test takes one away."""
    with open_client(ClusterOptions(workers=3)) as client:
        yield client


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(gyroid, brick_size=8)


@contextlib.contextmanager
def on_cluster(
    client: Any, path: Path, stream: StreamOptions = STREAM
) -> Iterator[SubvolumeRenderer]:
    with (
        ps.open_scene(path) as scene,
        SubvolumeRenderer(client, scene, OPTIONS, stream) as renderer,
    ):
        yield renderer


def cameras(n: int) -> list[ps.Camera]:
    """Around the scene, but for the last, which is inside."""
    around = [
        ps.look_at_camera((2 * np.cos(a), 2 * np.sin(a), 0.8), (0, 0, 0), size=(72, 88))
        for a in np.linspace(0, 5, n - 1)
    ]
    return [*around, ps.look_at_camera((0.2, -0.3, 0.1), (1, 0.4, 0), size=(72, 88))]


def small_bands(renderer: SubvolumeRenderer) -> int:
    """Device memory with which each worker keeps its part, and draws pictures in several bands."""
    plan = renderer.plan(cameras(2))
    needs = [part.smallest_device_bytes for mine in plan.workers.values() for part in mine]
    return max(needs)


def test_pictures_and_rays_are_those_of_one_machine_within_the_plan(
    client: Any, scene: Path
) -> None:
    asked, (origins, directions) = cameras(4), rays_around(4, 300)
    with ps.open_scene(scene) as opened, ps.Renderer(opened, OPTIONS, STREAM) as one:
        expected = list(one.pictures(asked))
        rays = one.render_rays(origins, directions)
    with on_cluster(client, scene) as renderer:
        tight = StreamOptions(precision="float32", n_threads=1, device_memory=small_bands(renderer))
    with on_cluster(client, scene, tight) as renderer:
        plan = renderer.plan(asked)
        drawn = list(renderer.pictures(asked))
        assert 0 < renderer.moved_bytes
        for found, picture in zip(drawn, expected, strict=True):
            for name in ARRAYS:
                np.testing.assert_allclose(getattr(found, name), getattr(picture, name), atol=2e-5)
            parts = [part for mine in plan.workers.values() for part in mine]
            assert found.stats.peak_device_bytes <= max(part.device_bytes for part in parts)
            assert found.stats.bricks_evicted == 0
        bounds = []
        for camera in asked:
            renderer._plans.clear()
            bounds.append(renderer.plan([camera]).moved_bytes)
        assert renderer.moved_bytes <= sum(bounds)
        assert plan.band_rows < 11, "pictures were to be drawn in bands"
        assert plan.sent_bytes == sum(getattr(drawn[0], name).nbytes for name in ARRAYS)
        found_rays = renderer.render_rays(origins, directions)
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(found_rays, name), getattr(rays, name), atol=2e-5)


def test_worker_that_is_killed_costs_its_own_parts_alone(
    client: Any, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepers, "_PATIENCE_S", 0.5)
    asked = cameras(6)
    with on_cluster(client, scene) as renderer:
        expected = list(renderer.pictures(asked))
        victim = sorted(client.run(os.getpid).values())[1]
        for number, found in enumerate(renderer.pictures(asked)):
            if number == 1:
                os.kill(victim, signal.SIGKILL)
            for name in ARRAYS:
                np.testing.assert_array_equal(getattr(found, name), getattr(expected[number], name))
    client.wait_for_workers(3)


def test_picture_that_ends_one_worker_after_another_is_given_up() -> None:
    there = {"tcp://a:1": 1}
    paper: Any = SimpleNamespace(nthreads=lambda: there)
    job: Any = None
    split = Split(0, np.array([[(0, 0, 0), (2, 2, 2)]]), np.array([8]))
    kept = keepers.Keepers(paper, job, split)

    def lose(times: int) -> None:
        for _ in range(times):
            last = next(iter(there))
            there.clear()
            there[f"{last}1"] = 1  # it is started anew
            kept.replace_lost(None)

    lose(3)
    kept.note_finished()
    lose(3)
    with pytest.raises(ClusterError, match="one worker after another was lost"):
        lose(1)


def test_calls_that_the_scheduler_gave_up_are_an_error_of_the_cluster(
    client: Any, scene: Path
) -> None:
    with on_cluster(client, scene) as renderer:
        given_up = client.submit(time.sleep, 1)
        client.cancel([given_up])
        with pytest.raises(ClusterError, match="the cluster was lost"):
            renderer._keepers.results([given_up], None)


def test_worker_with_several_threads_draws_one_band_at_a_time(scene: Path) -> None:
    asked = cameras(4)
    with ps.open_scene(scene) as opened, ps.Renderer(opened, OPTIONS, STREAM) as renderer:
        expected = list(renderer.pictures(asked))
    with (
        distributed.Client(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as client,
        on_cluster(client, scene) as cluster,
    ):
        for found, picture in zip(cluster.pictures(asked), expected, strict=True):
            for name in ARRAYS:
                np.testing.assert_allclose(getattr(found, name), getattr(picture, name), atol=2e-5)


def test_split_that_does_not_fit_is_refused_with_what_would_do(client: Any, scene: Path) -> None:
    with on_cluster(client, scene) as renderer:
        least = small_bands(renderer)
    small = StreamOptions(precision="float32", n_threads=1, device_memory=least - 1)
    with on_cluster(client, scene, small) as renderer:
        with pytest.raises(
            BudgetError, match=r"cannot keep one of them.* Or use \d+ workers"
        ) as no:
            renderer.plan(cameras(2))
    assert no.value.smallest_bytes == least


def test_command_takes_sets_of_bricks_where_no_worker_holds_the_scene(
    client: Any,
    make_scene: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scene = make_scene(random_checkpoint(8, size=(48, 48, 48), active_share=1.0), brick_size=8)
    with on_cluster(client, scene) as renderer:
        bricks_bytes = int(renderer.plan(cameras(2)).split.n_bytes.sum())
    asked = ["--look-from", "2,1.5,1", "--size", "64x48", "--threads", "1", "-q"]
    asked += ["--precision", "float32"]
    there = [*asked, "--scheduler", client.scheduler.address]
    whole, part = str(tmp_path / "whole.npz"), str(tmp_path / "part.npz")
    assert main(["render", str(scene), whole, *asked]) == 0
    assert main(["plan", str(scene), *there]) == 0
    assert "sets, kept by" not in capsys.readouterr().out
    # A third of the scene is less than half of this.
    tight = [*there, "--device-memory", str(bricks_bytes * 3 // 4)]
    assert main(["plan", str(scene), *tight]) == 0
    assert "the scene's bricks in 3 sets, kept by 3 worker(s)" in capsys.readouterr().out
    assert main(["render", str(scene), part, *tight]) == 0
    with np.load(whole) as expected, np.load(part) as found:
        np.testing.assert_allclose(found["rgb"], expected["rgb"], atol=2e-5)
    assert main(["plan", str(scene), *there, "--split", "bricks", "--model", "nvol"]) == 2
    assert "--split frames" in capsys.readouterr().err


def test_tables_that_no_worker_holds_are_not_read_to_choose(
    client: Any, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "in_order", None)
    monkeypatch.setattr(choosing, "_TABLES_SHARE", 1e-9)
    with ps.open_scene(scene) as opened:
        assert isinstance(choosing.open_cluster_renderer(client, opened), ClusterRenderer)


def test_others_take_over_what_a_lost_worker_kept_or_say_that_it_is_too_much(
    client: Any, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepers, "_PATIENCE_S", 0.0)
    asked = cameras(3)
    with on_cluster(client, scene) as ample:
        expected = list(ample.pictures(asked))
        tight = StreamOptions(precision="float32", n_threads=1, device_memory=small_bands(ample))
        with on_cluster(client, scene, tight) as small:
            small.plan(asked)
            client.retire_workers([sorted(client.nthreads())[0]])
            with pytest.raises(BudgetError, match="cannot keep what a lost one kept, too"):
                list(small.pictures(asked))
        for found, picture in zip(ample.pictures(asked), expected, strict=True):
            for name in ARRAYS:
                np.testing.assert_array_equal(getattr(found, name), getattr(picture, name))


def test_sheets_that_move_are_those_of_high_sides() -> None:
    tree = Cut(0, 1, Cut(1, 1, 0, 1), Cut(1, 1, 2, 3))
    split = Split(tree, np.zeros((4, 2, 3), np.int64), np.ones(4, np.int64))
    assert moved_bytes(split, [10, 20, 30, 40], 1000) == 20 + 40 + 70
    assert moved_bytes(split, [10, 20, 30, 40], 50) == 20 + 40 + 50
