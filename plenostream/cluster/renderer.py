"""Pictures of a scene, drawn by the workers of a cluster: the same bytes as a `Renderer` draws."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import fields
from typing import Any

import distributed
import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.cluster.drawing import Drawn, Refused, WorkerPlan, draw, plan
from plenostream.cluster.holding import let_go
from plenostream.cluster.in_order import in_order
from plenostream.cluster.jobs import make_job
from plenostream.cluster.sharing import ClusterPlan, Share, require_room, share_out
from plenostream.errors import InvalidInput
from plenostream.field.precision import ChosenPrecision
from plenostream.integrator.backends import ChosenBackend
from plenostream.options import RenderOptions, StreamOptions
from plenostream.process.closing import Closing
from plenostream.results import Cancel, FrameStats, Progress, RenderResult
from plenostream.scene import Scene

__all__ = ["CLOSING_S", "ClusterRenderer", "Making", "together"]

CLOSING_S = 2.0
"""Seconds that workers have for closing what they opened, before nobody waits for them any more."""

_LARGEST = ("peak_", "planned_", "allowed_")
"""Counters of which the largest of a picture's parts is told; those of time, and all others, add up."""


class ClusterRenderer(Closing):
    """Renders a scene on the workers of a Dask cluster; a context manager.

    Each worker opens the scene by itself, from the path or URL that it is given, and keeps its own
    renderer, pool and cache within `stream`, which is allowed each of them. Pictures travel from
    workers to this process, bricks do not. A worker that is lost costs what it was drawing.

    What of rgb, alpha and depth `options.outputs` does not name, and nothing else of it is made of, is
    not sent: it is NaN.
    """

    def __init__(
        self,
        client: distributed.Client,
        scene: Scene,
        options: RenderOptions | None = None,
        stream: StreamOptions | None = None,
    ) -> None:
        """Prepare to render `scene` on the cluster of `client`; waits until there is a worker.

        Workers open the scene where it was opened here, with the same `cache` on their machines.

        Raises
        ------
        ClusterError : another version of plenostream or Python on the cluster.
        """
        self.options = RenderOptions() if options is None else options
        self.stream = StreamOptions() if stream is None else stream
        self._client = client
        self._chosen: WorkerPlan | None = None
        self._job = make_job(client, scene, self.options, self.stream)
        self._beside = self._job.beside

    def close(self) -> None:
        """Have the workers close what they opened; may be called again."""
        if self._client.status != "running":
            return
        # Not `Client.run`, which waits half a minute for a worker that has just died.
        asked = [
            self._client.submit(let_go, self._job, workers=[address], pure=False, priority=1)
            for address in self._client.nthreads()
        ]
        with contextlib.suppress(TimeoutError, CancelledError):
            distributed.wait(asked, timeout=CLOSING_S)

    @property
    def backend(self) -> ChosenBackend:
        """The integrator of the worker that planned first, and why it is that one."""
        return self._planned().backend

    @property
    def precision(self) -> ChosenPrecision:
        """The type of densities and coefficients on its device, and why it is that one."""
        return self._planned().precision

    def _planned(self) -> WorkerPlan:
        if self._chosen is None:
            raise InvalidInput("nothing is planned yet, and workers choose for themselves")
        return self._chosen

    def plan(self, cameras: Sequence[Camera]) -> ClusterPlan:
        """What pictures of `cameras` will take of each worker, and what travels.

        The largest is planned by a worker, which opens the scene for that.

        Raises
        ------
        BudgetError : it does not fit a worker, or the workers do not fit their machine. Else as
        `pictures`.
        """
        if not cameras:
            raise InvalidInput("there are no cameras to plan for")
        share = self._share(cameras)
        largest = max(cameras, key=lambda camera: camera.width * camera.height)
        bottom = share.parts[0][0][1] if len(share.parts[0]) > 1 else largest.height
        asked = largest.region(0, 0, largest.width, min(bottom, largest.height))
        (found,) = in_order(self._client, plan, [(self._job, asked)], most=1)
        worker: WorkerPlan = _taken(found)
        require_room(worker.needed_bytes, worker.machine_bytes, self._beside)
        self._chosen = worker
        return ClusterPlan(share=share, worker=worker)

    def render(
        self, camera: Camera, *, cancel: Cancel | None = None, progress: Progress | None = None
    ) -> RenderResult:
        """The picture that `camera` takes, drawn in bands of rows by all workers; as `pictures`."""
        (picture,) = self.pictures([camera], cancel=cancel, progress=progress)
        return picture

    def pictures(
        self,
        cameras: Sequence[Camera],
        *,
        cancel: Cancel | None = None,
        progress: Progress | None = None,
    ) -> Iterator[RenderResult]:
        """The pictures that `cameras` take, in order, as they come.

        Few are under way at a time: the next ones are begun when these were taken. Where nothing was
        planned before, `plan` comes first.

        Parameters
        ----------
        cancel : says whether they are not wanted any more
        progress : told "drawing", how many pixels have come, and how many there are

        Raises
        ------
        ClusterError : the cluster was lost, or the workers are of another version. StoreNotFound,
        StoreFormat : a worker does not see the scene. RenderCancelled : `cancel` said so. Else as
        `Renderer` and `Renderer.render`.
        """
        if self._chosen is None and cameras:
            self.plan(cameras)
        share = self._share(cameras)
        calls = (
            (self._job, camera.region(0, top, camera.width, bottom - top))
            for camera, parts in zip(cameras, share.parts, strict=True)
            for top, bottom in parts
        )
        total, done = sum(camera.width * camera.height for camera in cameras), 0
        with contextlib.closing(
            in_order(self._client, draw, calls, most=share.most, cancel=cancel)
        ) as drawn:
            for camera, parts in zip(cameras, share.parts, strict=True):
                making = Making(camera)
                for top, bottom in parts:
                    making.put(top, _taken(next(drawn)))
                    done += camera.width * (bottom - top)
                    if progress is not None:
                        progress("drawing", done, total)
                yield making.finished()
                del making  # before the next picture takes as much again

    def _share(self, cameras: Sequence[Camera]) -> Share:
        return share_out(
            cameras,
            self.options.outputs,
            n_workers=max(1, len(self._client.nthreads())),
            host_bytes=self.stream.host_bytes,
        )


def _taken(found: Any) -> Any:
    """What a worker made, or the error that it found."""
    if isinstance(found, Refused):
        raise found.error
    return found


class Making:
    """A picture whose parts come one after another."""

    def __init__(self, camera: Camera) -> None:
        self._size = camera.height, camera.width
        self._arrays: dict[str, NDArray[np.float32]] = {}
        self._stats: list[FrameStats] = []

    def put(self, top: int, part: Drawn) -> None:
        """Fill in the rows from `top` on."""
        for name, rows in part.arrays.items():
            if len(rows) == self._size[0]:
                self._arrays[name] = rows  # all of them: nothing is copied
                continue
            if name not in self._arrays:
                self._arrays[name] = np.empty((self._size[0], *rows.shape[1:]), np.float32)
            self._arrays[name][top : top + len(rows)] = rows
        self._stats.append(part.stats)

    def finished(self) -> RenderResult:
        """The picture."""
        nothing = np.broadcast_to(np.float32(np.nan), (*self._size, 3))
        absent = {"rgb": nothing, "alpha": nothing[..., 0], "depth": nothing[..., 0]}
        return RenderResult(**absent | self._arrays, stats=together(self._stats))


def together(parts: Sequence[FrameStats]) -> FrameStats:
    """The counters of a picture from those of its parts."""
    whole = FrameStats()
    for counter in fields(FrameStats):
        values = [getattr(part, counter.name) for part in parts]
        if counter.name in ("backend", "precision"):
            joined: Any = values[0]
        else:
            joined = (max if counter.name.startswith(_LARGEST) else sum)(values)
        setattr(whole, counter.name, joined)
    return whole
