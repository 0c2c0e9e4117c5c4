"""Scenes that are far away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchmarks.commands.flags import ORBIT, cameras_asked, json_option, line_options, rounds_option
from benchmarks.commands.telling import say, tell
from plenostream.cli.parameters import record_options, take_record
from plenostream.cli.viewpoints import camera_options
from plenostream.integrator.xla.environment import prepare_jax
from plenostream.options import RenderOptions, StreamOptions

__all__ = ["remote", "shards"]


@click.command()
@click.argument("place", metavar="SCENE")
@camera_options
@line_options
@rounds_option
@record_options(RenderOptions)
@record_options(StreamOptions)
@json_option
def remote(
    place: str,
    latency: tuple[float, ...],
    rate: float,
    rounds: int,
    target: Path | None,
    **flags: Any,
) -> None:
    """Measure a SCENE (a folder) that lies on a web server far away, beside the same on this disk.

    First frame and orbit from nothing, through a line that a server on this machine simulates, and again
    with what --cache kept of the first frame. An orbit of 60 views unless said.
    """
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    prepare_jax(stream.device_bytes)
    from benchmarks.remote import measure_remote, remote_rows

    cameras = cameras_asked(place, flags, orbit=ORBIT)
    found = measure_remote(
        place,
        cameras,
        latencies_ms=latency,
        rate=rate * 1e6,
        options=options,
        stream=stream,
        rounds=rounds,
        say=say,
    )
    tell(place, found, remote_rows(found, len(cameras)), target=target)


@click.command()
@click.argument("place", metavar="SCENE")
@line_options
@rounds_option
@json_option
def shards(
    place: str, latency: tuple[float, ...], rate: float, rounds: int, target: Path | None
) -> None:
    """Say whether shards would bring all rows of a SCENE (a folder) from afar sooner than a file a chunk."""
    from benchmarks.shards import measure_shards, shard_rows

    found = measure_shards(place, latencies_ms=latency, rate=rate * 1e6, rounds=rounds, say=say)
    tell(place, found, shard_rows(found), target=target)
