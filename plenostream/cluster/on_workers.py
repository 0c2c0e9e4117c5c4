"""What all renderers of a cluster have in common: a job, and what its workers chose for themselves."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

from distributed import Client

from plenostream.cameras import Camera
from plenostream.cluster.drawing import WorkerPlan
from plenostream.cluster.jobs import make_job
from plenostream.cluster.sheet_tasks import Planned
from plenostream.errors import InvalidInput
from plenostream.field.precision import ChosenPrecision
from plenostream.integrator.backends import ChosenBackend
from plenostream.options import RenderOptions, StreamOptions
from plenostream.process.closing import Closing
from plenostream.results import Cancel, Progress, RenderResult
from plenostream.scene import Scene

__all__ = ["OnWorkers", "largest"]


class OnWorkers(Closing):
    """Renders a scene on the workers of a cluster; a context manager."""

    def __init__(
        self, client: Client, scene: Scene, options: RenderOptions, stream: StreamOptions
    ) -> None:
        """Make the job; waits until there is a worker.

        Raises
        ------
        ClusterError : another version of plenostream or Python on the cluster.
        """
        self.options = options
        self.stream = stream
        self._client = client
        self._job = make_job(client, scene, options, stream)
        self._planned: WorkerPlan | Planned | None = None
        """What a worker planned, once one did."""

    @property
    def backend(self) -> ChosenBackend:
        """The integrator of the worker that planned, and why it is that one."""
        return self._chosen().backend

    @property
    def precision(self) -> ChosenPrecision:
        """The type of densities and coefficients on its device, and why it is that one."""
        return self._chosen().precision

    def _chosen(self) -> WorkerPlan | Planned:
        if self._planned is None:
            raise InvalidInput("nothing is planned yet, and workers choose for themselves")
        return self._planned

    def render(
        self, camera: Camera, *, cancel: Cancel | None = None, progress: Progress | None = None
    ) -> RenderResult:
        """The picture that `camera` takes, drawn by all workers; as `pictures`."""
        (picture,) = self.pictures([camera], cancel=cancel, progress=progress)
        return picture

    @abstractmethod
    def pictures(
        self,
        cameras: Sequence[Camera],
        *,
        cancel: Cancel | None = None,
        progress: Progress | None = None,
    ) -> Iterator[RenderResult]:
        """The pictures that `cameras` take, in order, as they come."""


def largest(cameras: Sequence[Camera]) -> Camera:
    """The camera with the most pixels; raises InvalidInput where there is none."""
    if not cameras:
        raise InvalidInput("there are no cameras to plan for")
    return max(cameras, key=lambda camera: camera.width * camera.height)
