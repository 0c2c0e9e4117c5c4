"""Three worker processes draw what one machine draws, and stop when nobody wants it any more."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from three_workers import (
    OPTIONS,
    STREAM,
    assert_same,
    cameras,
    n_busy,
    on_cluster,
    run,
    seconds_until,
)

import plenostream as ps
from plenostream.errors import InvalidInput, RenderCancelled
from plenostream.options import ClusterOptions, RenderOptions
from plenostream.results import RenderResult

pytest.importorskip("distributed", reason="needs dask.distributed")
cloudpickle = pytest.importorskip("cloudpickle")
# Workers cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

BUSY_S = 2.0
"""In which the workers of a render that is not wanted any more have stopped."""
SLOW = ("--look-from", "2,1.5,1", "--size", "1600x1600", "--samples", "8")
"""A picture that takes many seconds."""


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
    # Whoever runs tests in the background has it ignored, and so would the program.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [*command, "--scheduler", client.scheduler.address], stderr=subprocess.PIPE, text=True
    ) as process:
        signal.signal(signal.SIGINT, before)
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
