"""A renderer on three workers, and what tests compare its pictures by."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import plenostream as ps
from plenostream.cli.main import main
from plenostream.cluster.renderer import ClusterRenderer
from plenostream.options import RenderOptions, StreamOptions
from plenostream.results import RenderResult

__all__ = [
    "OPTIONS",
    "STREAM",
    "assert_same",
    "cameras",
    "n_busy",
    "on_cluster",
    "run",
    "seconds_until",
]

OPTIONS = RenderOptions(outputs=("rgb", "alpha", "depth", "mean-depth", "normals", "cost"))
STREAM = StreamOptions(device_memory="64MB", host_memory="64MB", n_threads=1)
_ARRAYS = ("rgb", "alpha", "depth", "mean_depth", "normals", "cost")


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


def assert_same(found: RenderResult, expected: RenderResult) -> None:
    for name in _ARRAYS:
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
