"""What is measured of scenes far away, tried on a small one that is near."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from plenostream.cameras import look_at_camera
from plenostream.options import RenderOptions, StreamOptions
from plenostream.testing.checkpoints import CheckpointArrays

pytest.importorskip("obstore")
pytestmark = pytest.mark.slow  # servers are processes of their own

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from benchmarks.remote import measure_remote, remote_rows  # noqa: E402
from benchmarks.shards import measure_shards  # noqa: E402


def quiet(_: str) -> None:
    pass


def test_a_scene_far_away_is_asked_for_once_and_what_is_kept_not_again(
    gyroid: CheckpointArrays, make_scene: Callable[..., Path]
) -> None:
    cameras = [look_at_camera((2.2, -1.4, z), (0, 0, 0), size=(16, 16)) for z in (1.2, 1.0)]
    scene = make_scene(gyroid)
    found = measure_remote(
        str(scene),
        cameras,
        latencies_ms=[0.0],
        rate=1e9,
        options=RenderOptions(),
        stream=StreamOptions(),
        rounds=1,
        say=quiet,
    )
    local, far, kept = found.values()
    chunks = sum("/c/" in str(path) and path.is_file() for path in scene.rglob("*"))
    assert (local.requests, far.requests, kept.requests) == (0, chunks + 1, 1)
    assert local.bytes_read == far.bytes_read == kept.bytes_read > 0
    assert len(list(remote_rows(found, len(cameras)))) == 6 + 7 + 7


def test_shards_save_requests(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> None:
    scene = str(make_scene(gyroid))
    (found,) = measure_shards(scene, latencies_ms=[0.0], rate=1e9, rounds=1, say=quiet).values()
    assert (
        found["shards of 64, 16 at once"].n_requests < found["a file each, 16 at once"].n_requests
    )
