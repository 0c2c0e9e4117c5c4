"""The same work on a cluster of two processes gives the same bytes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plenostream.cli.main import main
from plenostream.errors import CheckpointError
from plenostream.field.grid import GridSpec
from plenostream.importers.arrays.write import write_scene
from plenostream.importers.svox2.convert import convert
from plenostream.options import ConvertOptions
from plenostream.testing.checkpoints import random_checkpoint

distributed = pytest.importorskip("distributed", reason="needs dask.distributed")

OPTIONS = ConvertOptions(brick_size=8)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two processes of one thread each."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield cluster


def files(scene: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(scene)): path.read_bytes()
        for path in scene.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("host_memory", ["1GB", None], ids=["all at once", "one at a time"])
def test_cluster_gives_the_same_bytes(
    tmp_path: Path, cluster: Any, host_memory: str | None
) -> None:
    source = random_checkpoint(1, size=(150, 30, 30)).save(tmp_path / "a.npz")
    here = convert(source, tmp_path / "here", ConvertOptions(brick_size=8, workers=1))
    options = ConvertOptions(brick_size=8, host_memory=host_memory or here.planned_bytes)
    told: list[int] = []

    def progress(step: str, done: int, total: int) -> None:
        if step == "pack":
            told.append(done)

    with distributed.Client(cluster):
        convert(source, tmp_path / "cluster", options, progress=progress)
    assert files(tmp_path / "cluster") == files(tmp_path / "here")
    assert told == [0, 1, 2, 3, 4, 5]


def test_error_on_the_cluster_comes_back_and_leaves_nothing(tmp_path: Path, cluster: Any) -> None:
    arrays = random_checkpoint(1, size=(150, 10, 10))
    arrays.density[-1] = np.nan
    source = arrays.save(tmp_path / "a.npz")
    with distributed.Client(cluster), pytest.raises(CheckpointError, match="a density is nan"):
        convert(source, tmp_path / "s", OPTIONS)
    assert list(tmp_path.iterdir()) == [source]


def test_work_that_was_interrupted_on_the_cluster_is_resumed_here(
    tmp_path: Path, cluster: Any
) -> None:
    source = random_checkpoint(1, size=(150, 30, 30)).save(tmp_path / "a.npz")
    convert(source, tmp_path / "whole", OPTIONS)

    def interrupt(step: str, done: int, total: int) -> None:
        if step == "pack" and done == 1:
            raise KeyboardInterrupt

    with distributed.Client(cluster), pytest.raises(KeyboardInterrupt):
        convert(source, tmp_path / "s", OPTIONS, progress=interrupt)
    convert(source, tmp_path / "s", ConvertOptions(brick_size=8, resume=True))
    assert files(tmp_path / "s") == files(tmp_path / "whole")


def test_a_killed_worker_costs_its_tasks_only_and_chunks_go_straight_to_a_url(
    tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fsspec")
    monkeypatch.chdir(tmp_path)
    source = random_checkpoint(1, size=(150, 30, 30)).save(tmp_path / "a.npz")
    convert(source, tmp_path / "here", OPTIONS)
    with distributed.Client(cluster) as client:
        first = next(iter(client.run(os.getpid).values()))

        def kill(step: str, done: int, total: int) -> None:
            if step == "pack" and done == 1:
                os.kill(first, signal.SIGKILL)

        convert(source, f"file://{tmp_path}/there", OPTIONS, progress=kill)
        assert first not in client.run(os.getpid).values()
    assert files(tmp_path / "there") == files(tmp_path / "here")


def test_the_command_packs_on_a_cluster_that_sees_its_work(
    tmp_path: Path,
    cluster: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = random_checkpoint(1, size=(70, 10, 10)).save(tmp_path / "a.npz")
    convert(source, tmp_path / "here", OPTIONS)
    flags = ("--brick-size", "8", "--scheduler", cluster.scheduler_address)
    assert main(["convert", str(source), str(tmp_path / "there"), "-q", *flags]) == 0
    assert files(tmp_path / "there") == files(tmp_path / "here")
    monkeypatch.setattr(distributed.Client, "run", lambda *_: {"tcp://far:1": False})
    assert main(["convert", str(source), str(tmp_path / "s"), "-q", *flags]) == 1
    assert "the worker tcp://far:1 does not see" in capsys.readouterr().err
    assert (tmp_path / ".s.partial" / "journal.json").exists()  # for --resume


def test_arrays_are_packed_on_the_cluster_to_the_same_bytes(tmp_path: Path, cluster: Any) -> None:
    rng = np.random.default_rng(4)
    density = np.where(rng.random((70, 30, 20)) < 0.02, 3.0, 0.0)
    source = density, rng.random((70, 30, 20, 3))
    grid = GridSpec(size=(70, 30, 20))
    write_scene(tmp_path / "here", grid, source, OPTIONS)
    with distributed.Client(cluster):
        write_scene(tmp_path / "cluster", grid, source, OPTIONS)
    assert files(tmp_path / "cluster") == files(tmp_path / "here")
