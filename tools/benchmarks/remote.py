"""A scene that is far away beside the same on this disk: the first frame, an orbit, the requests."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.far_away import far_away
from benchmarks.table import Row, as_json, ratio, spread
from benchmarks.timing import Say, Timing
from plenostream.cameras import Camera
from plenostream.errors import InvalidInput
from plenostream.options import RenderOptions, StreamOptions
from plenostream.renderer import Renderer
from plenostream.rules.bytesize import format_bytes
from plenostream.scene import open_scene
from plenostream.testing.distance import Distance

__all__ = ["RemoteRun", "measure_remote", "remote_rows"]

_LOCAL = "this disk"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteRun:
    """An orbit from nothing, the first frame apart."""

    opening: Timing
    first: Timing
    """Opening and the first frame together."""
    later: Timing
    """All frames after it together."""
    bytes_read: int
    opening_requests: int
    requests: int
    """Of opening and the orbit together."""

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {
            "opening": as_json(self.opening),
            "first_frame": as_json(self.first),
            "later_frames": as_json(self.later),
            "bytes_read": self.bytes_read,
            "opening_requests": self.opening_requests,
            "requests": self.requests,
        }


@dataclass(frozen=True, slots=True)
class _Once:
    opening_s: float
    first_s: float
    later_s: float
    bytes_read: int
    opening_requests: int
    requests: int


def measure_remote(
    place: str,
    cameras: Sequence[Camera],
    *,
    latencies_ms: Sequence[float],
    rate: float,
    options: RenderOptions,
    stream: StreamOptions,
    rounds: int,
    say: Say,
) -> dict[str, RemoteRun]:
    """Draw `cameras` with the scene in the folder `place`: from there, from a server in another process
    that is `latencies_ms` away, over a line of `rate` bytes a second, and with what a cache kept of that.

    Each run has a renderer of its own; they take turns. Raises InvalidInput where `place` is no folder.
    """
    if not Path(place).is_dir():
        raise InvalidInput(f"{place} is no folder; a server serves the files of one")
    found: dict[str, list[_Once]] = {}

    def measure(name: str, where: str, n_requests: Callable[[], int], **kept: Any) -> None:
        once = _draw(where, cameras, options, stream, n_requests, kept)
        found.setdefault(name, []).append(once)

    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        measure(_LOCAL, place, lambda: 0)
        for latency in latencies_ms:
            distance = Distance(latency / 1e3, rate)
            with (
                far_away(place, distance) as (url, requests),
                tempfile.TemporaryDirectory(prefix="plenostream-kept-") as cache,
            ):
                measure(f"{latency:g} ms", url, requests)
                kept = {"cache": cache, "cache_size": "20GB"}
                _draw(url, cameras[:1], options, stream, requests, kept)
                measure(f"{latency:g} ms, kept", url, requests, **kept)
    return {name: _run(runs) for name, runs in found.items()}


def _run(runs: Sequence[_Once]) -> RemoteRun:
    return RemoteRun(
        opening=Timing(seconds=tuple(run.opening_s for run in runs)),
        first=Timing(seconds=tuple(run.first_s for run in runs)),
        later=Timing(seconds=tuple(run.later_s for run in runs)),
        bytes_read=runs[0].bytes_read,
        opening_requests=runs[0].opening_requests,
        requests=runs[0].requests,
    )


def _draw(
    where: str,
    cameras: Sequence[Camera],
    options: RenderOptions,
    stream: StreamOptions,
    n_requests: Callable[[], int],
    kept: Mapping[str, Any],
) -> _Once:
    before, bytes_read = n_requests(), 0
    began = time.perf_counter()
    with open_scene(where, **kept) as scene:
        opened, asked = time.perf_counter(), n_requests()
        with Renderer(scene, options=options, stream=stream) as renderer:
            drawn = opened
            for number, camera in enumerate(cameras):
                bytes_read += renderer.render(camera).stats.bytes_read
                if number == 0:
                    drawn = time.perf_counter()
            ended = time.perf_counter()
    return _Once(
        opened - began,
        drawn - began,
        ended - drawn,
        bytes_read,
        asked - before,
        n_requests() - before,
    )


def remote_rows(runs: Mapping[str, RemoteRun], n_frames: int) -> Iterator[Row]:
    """The figures, by where the scene is."""
    local = runs[_LOCAL]
    for name, run in runs.items():
        yield Row(name, "opening", spread(run.opening))
        yield Row(name, "first frame after nothing", spread(run.first))
        yield Row(name, "  of that on this disk", ratio(run.first.median, local.first.median))
        if n_frames > 1:
            label = f"the {n_frames - 1} frames after it"
            yield Row(name, label, spread(run.later))
            yield Row(name, "  of those on this disk", ratio(run.later.median, local.later.median))
        yield Row(name, "read", format_bytes(run.bytes_read))
        if name != _LOCAL:
            yield Row(name, "requests: opening, all", f"{run.opening_requests}, {run.requests}")
