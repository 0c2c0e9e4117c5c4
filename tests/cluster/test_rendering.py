"""Three worker processes draw what one machine draws, whatever becomes of them on the way."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

import plenostream as ps
from plenostream.cli.main import main
from plenostream.cluster import in_order
from plenostream.cluster.opening import check_versions, open_client
from plenostream.cluster.renderer import ClusterRenderer
from plenostream.errors import (
    BudgetError,
    ClusterError,
    InvalidInput,
    RenderCancelled,
    StoreNotFound,
)
from plenostream.options import ClusterOptions, RenderOptions, StreamOptions
from plenostream.results import RenderResult
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.web import serving

distributed = pytest.importorskip("distributed", reason="needs dask.distributed")
cloudpickle = pytest.importorskip("cloudpickle")
# Workers cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

OPTIONS = RenderOptions(outputs=("rgb", "alpha", "depth", "mean-depth", "normals", "cost"))
STREAM = StreamOptions(device_memory="64MB", host_memory="64MB", n_threads=1)
ARRAYS = ("rgb", "alpha", "depth", "mean_depth", "normals", "cost")
BUSY_S = 2.0
"""In which the workers of a render that is not wanted any more have stopped."""
SLOW = ("--look-from", "2,1.5,1", "--size", "1600x1600", "--samples", "8")
"""A picture that takes many seconds."""


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Of three processes of one thread each."""
    with open_client(ClusterOptions(workers=3)) as client:
        yield client


@pytest.fixture
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(gyroid)


@contextlib.contextmanager
def on_cluster(
    client: Any, path: str | Path, options: RenderOptions = OPTIONS, stream: StreamOptions = STREAM
) -> Iterator[ClusterRenderer]:
    with (
        ps.open_scene(path) as scene,
        ClusterRenderer(client, scene, options, stream) as renderer,
    ):
        yield renderer


def cameras(path: str | Path, n: int, size: tuple[int, int] = (56, 40)) -> list[ps.Camera]:
    with ps.open_scene(path) as scene:
        return ps.orbit_cameras(scene.grid, n, size=size)


@pytest.fixture
def film(scene: Path) -> list[RenderResult]:
    """Twelve pictures as this process draws them."""
    with ps.open_scene(scene) as opened, ps.Renderer(opened, OPTIONS, STREAM) as renderer:
        return list(renderer.pictures(cameras(scene, 12)))


def assert_same(found: RenderResult, expected: RenderResult) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def n_busy(client: Any) -> int:
    """Tasks that workers are at."""

    def running(dask_worker: Any) -> int:
        return len(dask_worker.active_threads)

    return sum(client.run(running).values())


def seconds_until(reached: Callable[[], bool], *, at_most: float = 60.0) -> float:
    began = time.monotonic()
    while not reached():
        assert time.monotonic() - began < at_most
        time.sleep(0.02)
    return time.monotonic() - began


def test_pictures_are_those_of_one_machine_and_pass_the_scheduler_by(
    client: Any, scene: Path, film: list[RenderResult]
) -> None:
    asked = cameras(scene, 12)
    address = client.scheduler.address
    count_writes(address)
    client.run(count_writes, address)
    try:
        with on_cluster(client, scene) as renderer:
            planned = renderer.plan(asked)
            drawn = list(renderer.pictures(asked))
    finally:
        passed = count_writes(None) + sum(client.run(count_writes, None).values())
    for found, expected in zip(drawn, film, strict=True):
        assert_same(found, expected)
        assert found.stats.peak_device_bytes <= planned.worker.plan.planned_device_bytes
    arrays = [getattr(drawn[0], name) for name in ("rgb", "normals", "cost", "alpha", "depth")]
    sent = 12 * (sum(array.nbytes for array in arrays) + drawn[0].alpha.nbytes)
    assert planned.share.sent_bytes == sent
    assert passed < 12 * 20_000 + 200_000 < sent


def count_writes(scheduler: str | None) -> int:
    """Count what this process writes to or as the scheduler, from now on; None: no more, and how much."""
    from distributed.comm.tcp import TCP

    if scheduler is None:
        TCP.write, counted = TCP.write.before, TCP.write.counted
        return sum(counted)
    before, counted = TCP.write, []

    async def write(self: Any, *arguments: Any, **named: Any) -> Any:
        n_bytes = await before(self, *arguments, **named)
        if scheduler in (self.local_address, self.peer_address):
            counted.append(n_bytes)
        return n_bytes

    write.before, write.counted = before, counted  # type: ignore[attr-defined]
    TCP.write = write
    return 0


def test_large_picture_is_drawn_in_bands_by_all_workers(client: Any, scene: Path) -> None:
    (camera,) = cameras(scene, 1, (90, 300))
    told: list[tuple[int, int]] = []
    with ps.open_scene(scene) as opened, ps.Renderer(opened, OPTIONS, STREAM) as renderer:
        whole = renderer.render(camera)
    with on_cluster(client, scene) as renderer:
        found = renderer.render(camera, progress=lambda step, done, all_: told.append((done, all_)))
    assert_same(found, whole)
    assert len(told) > 3
    assert told[-1] == (90 * 300, 90 * 300)


def test_film_of_the_command_line_has_the_same_bytes_and_goes_on(
    client: Any, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--orbit", 5, "--size", "64x48", "--threads", 1)
    there = (*asked, "--scheduler", client.scheduler.address)
    assert run("render", scene, tmp_path / "here.mp4", *asked) == 0
    assert run("render", scene, tmp_path / "there.mp4", *there) == 0
    assert (tmp_path / "here.mp4").read_bytes() == (tmp_path / "there.mp4").read_bytes()
    assert "cluster: 3 workers, 5 pictures: up to 2 each" in capsys.readouterr().err
    assert run("render", scene, tmp_path / "a", *asked, "-q") == 0
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for number in (1, 4):
        (tmp_path / "b" / f"frame_{number:04d}.png").unlink()
    assert run("render", scene, tmp_path / "b", *there, "--resume") == 0
    assert "3 of 5 frames were there" in capsys.readouterr().out
    for path in (tmp_path / "a").iterdir():
        assert (tmp_path / "b" / path.name).read_bytes() == path.read_bytes()
    assert run("plan", scene, *there) == 0
    assert "smallest device memory that works" in capsys.readouterr().out


@pytest.mark.parametrize("seed", [1, 2])
def test_worker_that_is_killed_costs_its_own_pictures_alone(
    client: Any, scene: Path, film: list[RenderResult], seed: int
) -> None:
    chance = random.Random(seed)
    victim = chance.choice(sorted(client.run(os.getpid).values()))
    at = chance.randrange(8)
    with on_cluster(client, scene) as renderer:
        for number, found in enumerate(renderer.pictures(cameras(scene, 12))):
            if number == at:
                os.kill(victim, signal.SIGKILL)
            assert_same(found, film[number])


def test_memory_that_runs_out_costs_a_try(
    client: Any, scene: Path, film: list[RenderResult]
) -> None:
    def fail_once(dask_worker: Any) -> None:
        from plenostream.renderer import Renderer

        whole = Renderer.render

        def render(self: Renderer, *arguments: Any, **named: Any) -> RenderResult:
            Renderer.render = whole  # type: ignore[method-assign]
            raise MemoryError("no more")

        Renderer.render = render  # type: ignore[method-assign, assignment]

    client.run(fail_once)
    with on_cluster(client, scene) as renderer:
        for found, expected in zip(renderer.pictures(cameras(scene, 12)), film, strict=True):
            assert_same(found, expected)


def test_errors_of_workers_are_those_of_this_machine(
    client: Any, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("obstore")
    shutil.copytree(scene, tmp_path / "scene")
    (rows,) = (tmp_path / "scene/rows/sh/c/0").iterdir()
    rows.write_bytes(rows.read_bytes()[:-100])
    asked = (tmp_path / "a.png", "--look-from", "2,1,1", "--size", "32x32", "-q")
    there = (*asked, "--scheduler", client.scheduler.address)
    told = []
    with serving(tmp_path) as web:
        url = web.url.replace("://", "://someone:secret@") + "/scene"
        for where, flags in (
            (tmp_path / "scene", asked),
            (tmp_path / "scene", there),
            (url, there),
        ):
            assert run("render", where, *flags) == 1
            told.append(capsys.readouterr().err)
        # Not while a worker still reads: it would wait long for a server that is gone.
        seconds_until(lambda: n_busy(client) == 0)
    here, same, remote = told
    assert same == here
    assert remote == here.replace(str(tmp_path), web.url)
    assert "rows/sh" in here
    assert here.count("\n") == 1
    asked_here = cameras(scene, 3)
    small = StreamOptions(device_memory="10kB", n_threads=1)
    with on_cluster(client, scene, stream=small) as renderer, pytest.raises(BudgetError) as refused:
        list(renderer.pictures(asked_here))
    with ps.open_scene(scene) as opened, ps.Renderer(opened, OPTIONS, small) as local:
        with pytest.raises(BudgetError, match="is too small") as expected:
            local.render(asked_here[0])
    assert str(refused.value) == str(expected.value)


def test_scene_that_workers_do_not_see_is_said(client: Any, scene: Path, tmp_path: Path) -> None:
    shutil.copytree(scene, tmp_path / "scene")
    asked = cameras(scene, 3)
    with on_cluster(client, tmp_path / "scene") as renderer:
        shutil.rmtree(tmp_path / "scene")
        with pytest.raises(StoreNotFound, match=r"the worker tcp://\S+ looked for it"):
            list(renderer.pictures(asked))


def test_other_versions_are_refused(client: Any, scene: Path) -> None:
    def pretend(version: str | None) -> None:
        """Be another version, or the same again."""
        from distributed import versions

        from plenostream.cluster import opening

        told = versions.get_package_info
        if version is None:
            versions.get_package_info, opening.__version__ = told.whole, told.ours
            return

        def tell(packages: Any) -> dict[str, str | None]:
            return told(packages) | {"plenostream": version}

        tell.whole, tell.ours = told, opening.__version__  # type: ignore[attr-defined]
        versions.get_package_info, opening.__version__ = tell, version

    one = sorted(client.nthreads())[0]
    with on_cluster(client, scene) as late:
        client.run(pretend, "0.0.1", workers=[one])
        try:
            with pytest.raises(ClusterError, match=f"the worker {one} has plenostream 0.0.1, and"):
                check_versions(client)
            # A worker that comes later is found out when it is given something to draw.
            with pytest.raises(
                ClusterError, match=r"has plenostream 0\.0\.1, .* and the job plenos"
            ):
                list(late.pictures(cameras(scene, 12)))
        finally:
            client.run(pretend, None, workers=[one])


def test_pictures_that_are_not_wanted_any_more_stop(client: Any, scene: Path) -> None:
    asked = cameras(scene, 1, (1600, 1600))

    def cancel() -> bool:
        return n_busy(client) > 0

    with on_cluster(client, scene, RenderOptions(samples=8)) as renderer:
        with pytest.raises(RenderCancelled):
            list(renderer.pictures(asked, cancel=cancel))
        assert seconds_until(lambda: n_busy(client) == 0) < BUSY_S


def test_ctrl_c_ends_the_cluster_work(client: Any, scene: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "plenostream", "render", scene, tmp_path / "a.png", *SLOW]
    with subprocess.Popen(
        [*command, "--scheduler", client.scheduler.address], stderr=subprocess.PIPE, text=True
    ) as process:
        seconds_until(lambda: n_busy(client) > 0)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert seconds_until(lambda: n_busy(client) == 0) < BUSY_S
        assert process.stderr is not None
        assert process.stderr.read().endswith("plenostream: interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_ends_the_workers_of_this_machine_and_leaves_nothing(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    command = [sys.executable, "-m", "plenostream", "render", scene, tmp_path / "a.png", *SLOW]
    with subprocess.Popen([*command, "--workers", "1", "-q"]) as process:
        own = psutil.Process(process.pid)
        seconds_until(lambda: len(own.children()) > 1)
        started = own.children()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 128 + signal.SIGTERM
        assert seconds_until(lambda: not any(map(runs, started))) < BUSY_S
    assert list(tmp_path.iterdir()) == []


def runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"scheduler": "10.0.0.5"}, "expected an address such as tcp"),
        ({"scheduler": "tcp://user:word@host:1"}, "expected an address"),
        ({"workers": 0}, "expected auto or a whole number from 1"),
        ({"workers": 2, "scheduler": "tcp://a:1"}, "leave one of them out"),
    ],
)
def test_clusters_that_cannot_be_are_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        ClusterOptions(**asked)


def test_workers_that_do_not_fit_their_machine_are_refused(
    client: Any, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shrink(n_pages: int | None) -> None:
        import os as system

        whole = system.sysconf
        system.sysconf = lambda name: n_pages if name == "SC_PHYS_PAGES" else whole(name)  # type: ignore
        system.whole = whole  # type: ignore[attr-defined]

    def grow() -> None:
        import os as system

        system.sysconf = system.whole  # type: ignore[attr-defined]

    client.run(shrink, 2000)
    try:
        with (
            on_cluster(client, scene) as renderer,
            pytest.raises(
                BudgetError, match=r"\d workers on one machine would take .*; allow each less"
            ),
        ):
            renderer.plan(cameras(scene, 3))
    finally:
        client.run(grow)


def test_workers_that_are_all_gone_are_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(in_order, "_WORKERS_S", -1.0)
    monkeypatch.setattr(in_order, "_ALONE_S", 0.05)
    there = {"tcp://a:1": 1}
    paper = SimpleNamespace(status="running", nthreads=lambda: there)
    workers = in_order._Workers(paper)
    workers.look()
    there.clear()
    workers.look()
    assert "the worker tcp://a:1 is gone" in caplog.text
    time.sleep(0.1)
    with pytest.raises(ClusterError, match="none has come for"):
        workers.look()
    never = in_order._Workers(paper)
    never.look()
    time.sleep(0.1)
    with pytest.raises(ClusterError, match="none has come for"):
        never.look()


def test_picture_that_ends_one_worker_after_another_is_given_up(
    client: Any, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fatal = 57

    def die_of_it(dask_worker: Any) -> None:
        from plenostream.renderer import Renderer

        whole = Renderer.render

        def render(self: Renderer, camera: ps.Camera, **named: Any) -> RenderResult:
            return os._exit(1) if camera.width == fatal else whole(self, camera, **named)

        Renderer.render = render  # type: ignore[method-assign]

    client.run(die_of_it)
    monkeypatch.setattr(client.cluster.scheduler, "allowed_failures", 0)
    with (
        on_cluster(client, scene) as renderer,
        pytest.raises(ClusterError, match="one worker after another was lost"),
    ):
        list(renderer.pictures(cameras(scene, 3, (fatal, 40))))
