"""What a second worker brings: a film on clusters of this machine, each worker on one core of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.pinned import pinned_client, require_cores
from benchmarks.table import Row, ratio, spread
from benchmarks.timing import Say, Timing, take_turns, timed
from plenostream.cameras import Camera
from plenostream.cluster.renderer import ClusterRenderer
from plenostream.errors import InternalError
from plenostream.options import RenderOptions, StreamOptions
from plenostream.renderer import Renderer
from plenostream.rules.bytesize import format_bytes
from plenostream.scene import open_scene

__all__ = ["ClusterRun", "cluster_rows", "measure_cluster"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRun:
    """A film by each number of workers."""

    films: Mapping[int, Timing]
    n_pictures: int
    sent_bytes: int
    """Bytes of all pictures, which came from the workers."""

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {
            "films": {str(n): timing.to_dict() for n, timing in self.films.items()},
            "pictures": self.n_pictures,
            "sent_bytes": self.sent_bytes,
        }


def measure_cluster(
    place: str,
    cameras: Sequence[Camera],
    *,
    workers: Sequence[int],
    options: RenderOptions,
    stream: StreamOptions,
    rounds: int,
    say: Say,
) -> ClusterRun:
    """Draw the pictures of `cameras` on a cluster of each number of `workers`, in turns.

    All draw with pools that hold what they showed before. Pictures are compared, bit by bit, with those
    of this process before anything is measured.

    Raises
    ------
    InvalidInput : more workers than cores.
    """
    require_cores(workers)
    options = replace(options, outputs=("rgb",))
    stream = replace(stream, n_threads=1)
    with open_scene(place) as scene, ExitStack() as stack:
        say("the pictures of this process")
        with Renderer(scene, options, stream) as renderer:
            expected = [picture.rgb for picture in renderer.pictures(cameras)]
        films, sent_bytes = {}, 0
        for n in workers:
            client = stack.enter_context(pinned_client(n, say=say))
            cluster = stack.enter_context(ClusterRenderer(client, scene, options, stream))
            sent_bytes = cluster.plan(cameras).share.sent_bytes
            _compare(cluster, cameras, expected)
            films[f"{n}"] = timed(partial(_draw, cluster, cameras))
        timings = take_turns(films, rounds=rounds, say=say, warm=False)
    return ClusterRun(
        films={int(n): timing for n, timing in timings.items()},
        n_pictures=len(cameras),
        sent_bytes=sent_bytes,
    )


def _draw(cluster: ClusterRenderer, cameras: Sequence[Camera]) -> None:
    for picture in cluster.pictures(cameras):
        del picture


def _compare(
    cluster: ClusterRenderer, cameras: Sequence[Camera], expected: list[NDArray[np.float32]]
) -> None:
    for picture, rgb in zip(cluster.pictures(cameras), expected, strict=True):
        if not np.array_equal(picture.rgb, rgb):
            raise InternalError("a picture of the cluster is not that of this process")


def cluster_rows(found: ClusterRun) -> Iterator[Row]:
    """The figures, by the number of workers."""
    least = min(found.films)
    for n, timing in found.films.items():
        section = f"{n} worker{'s' * (n != 1)} of one core"
        yield Row(section, f"{found.n_pictures} pictures", spread(timing))
        if n != least:
            speed_up = ratio(found.films[least].median, timing.median)
            yield Row(section, f"times as fast as {least}", speed_up)
    yield Row("pictures", "bytes from the workers", format_bytes(found.sent_bytes))
    yield Row("pictures", "equal to one machine's", "to the last bit")
