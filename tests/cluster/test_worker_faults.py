"""Workers may fail or fit badly: pictures are the same, or what is wrong is said."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from three_workers import OPTIONS, assert_same, cameras, n_busy, on_cluster, run, seconds_until

import plenostream as ps
from plenostream.cluster import in_order
from plenostream.cluster.opening import check_versions
from plenostream.errors import BudgetError, ClusterError, StoreNotFound
from plenostream.options import StreamOptions
from plenostream.results import RenderResult
from plenostream.testing.web import serving

pytest.importorskip("distributed", reason="needs dask.distributed")


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
