"""Pictures of a scene, drawn by the workers of a cluster: the same bytes as a `Renderer` draws."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError

import distributed

from plenostream.cameras import Camera
from plenostream.cluster.drawing import WorkerPlan, draw, plan, taken
from plenostream.cluster.holding import CLOSING_S, let_go
from plenostream.cluster.in_order import in_order
from plenostream.cluster.making import Making
from plenostream.cluster.on_workers import OnWorkers, largest
from plenostream.cluster.sharing import ClusterPlan, Share, require_room, share_out
from plenostream.options import RenderOptions, StreamOptions
from plenostream.results import Cancel, Progress, RenderResult
from plenostream.scene import Scene

__all__ = ["ClusterRenderer"]


class ClusterRenderer(OnWorkers):
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
        super().__init__(client, scene, options or RenderOptions(), stream or StreamOptions())

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

    def plan(self, cameras: Sequence[Camera]) -> ClusterPlan:
        """What pictures of `cameras` will take of each worker, and what travels.

        The largest is planned by a worker, which opens the scene for that.

        Raises
        ------
        BudgetError : it does not fit a worker, or the workers do not fit their machine. Else as
        `pictures`.
        """
        camera, share = largest(cameras), self._share(cameras)
        bottom = share.parts[0][0][1] if len(share.parts[0]) > 1 else camera.height
        asked = camera.region(0, 0, camera.width, min(bottom, camera.height))
        (found,) = in_order(self._client, plan, [(self._job, asked)], most=1)
        worker: WorkerPlan = taken(found)
        require_room(worker.needed_bytes, worker.machine_bytes, self._job.beside)
        self._planned = worker
        return ClusterPlan(share=share, worker=worker)

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
        if self._planned is None and cameras:
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
                    making.put(top, taken(next(drawn)))
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
