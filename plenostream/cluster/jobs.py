"""What a worker is told, once for all pictures of a render, and the renderer that it opens for that."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from distributed import Client, get_worker

from plenostream.cluster.holding import held
from plenostream.cluster.opening import check_versions, host_of, this_version, workers_by_host
from plenostream.errors import ClusterError, StoreFormat, StoreNotFound
from plenostream.files.paths import without_secrets
from plenostream.format.layout import SceneMeta
from plenostream.integrator.xla.environment import prepare_jax
from plenostream.options import RenderOptions, StreamOptions
from plenostream.process.closing import Closing
from plenostream.renderer import Renderer
from plenostream.scene import Scene, ScenePlace, open_scene

__all__ = [
    "Job",
    "held_for",
    "is_unwanted",
    "make_job",
    "opened_scene",
    "refuse_other_versions",
    "renderer_of",
    "with_fair_threads",
]


_Draws = TypeVar("_Draws", bound=Closing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A scene and how it is drawn. It travels with each task, and is small."""

    place: ScenePlace
    """The same for all workers."""
    meta: SceneMeta = field(repr=False)
    """What the scene says about itself where the job was made."""
    options: RenderOptions
    stream: StreamOptions
    beside: Mapping[str, int] = field(default_factory=dict, repr=False)
    """Workers on each machine, which share its cores."""
    version: str = field(default_factory=this_version, repr=False)


def make_job(client: Client, scene: Scene, options: RenderOptions, stream: StreamOptions) -> Job:
    """What the workers of `client` are told; waits until there is one. Raises as `ClusterRenderer`."""
    client.wait_for_workers(1)
    check_versions(client)
    return Job(
        place=scene.place,
        meta=scene.meta,
        options=options,
        stream=stream,
        beside=workers_by_host(client),
    )


class _Opened(Closing, Generic[_Draws]):
    """A scene, and what draws it."""

    def __init__(self, scene: Scene, draws: _Draws) -> None:
        self._scene, self.draws = scene, draws

    def close(self) -> None:
        self.draws.close()
        self._scene.close()


def held_for(job: Job, key: object, make: Callable[[Scene, StreamOptions], _Draws]) -> _Draws:
    """What `make` makes of the job's scene and this worker's share of the cores; it stays open for the next
    tasks with an equal `key`.

    Raises
    ------
    ClusterError : this process is of another version than the job. Else as `opened_scene` and `make`.
    """
    refuse_other_versions(job)

    def open_all() -> _Opened[_Draws]:
        stream = with_fair_threads(job)
        prepare_jax(stream.device_bytes)
        scene = opened_scene(job)
        try:
            return _Opened(scene, make(scene, stream))
        except BaseException:
            scene.close()
            raise

    return held(key, open_all).draws


def renderer_of(job: Job) -> Renderer:
    """This worker's renderer for `job`; raises as `held_for` and `Renderer`."""
    return held_for(job, job, lambda scene, stream: Renderer(scene, job.options, stream))


def refuse_other_versions(job: Job) -> None:
    """Raise ClusterError where this process is of another version than the job."""
    if job.version != this_version():
        raise ClusterError(
            f"the worker {get_worker().address} has {this_version()}, and the job {job.version}; "
            "both have to be the same"
        )


def with_fair_threads(job: Job) -> StreamOptions:
    """The job's `stream`, with this worker's share of its machine's cores where no threads are said."""
    if job.stream.n_threads is not None:
        return job.stream
    beside = job.beside.get(host_of(get_worker().address), 1)
    cores = len(os.sched_getaffinity(0))
    return replace(job.stream, n_threads=max(1, cores // beside))


def opened_scene(job: Job) -> Scene:
    """The job's scene as this worker sees it.

    Raises
    ------
    StoreNotFound : it does not see it. StoreFormat : it sees another scene there.
    """
    where = f"the worker {get_worker().address}"
    try:
        scene = open_scene(job.place.path, cache=job.place.cache, cache_size=job.place.cache_size)
    except StoreNotFound as error:
        raise StoreNotFound(
            f"{error} ({where} looked for it: all workers need the same path or URL)"
        ) from None
    if scene.meta != job.meta:
        scene.close()
        raise StoreFormat(
            f"{where} finds another scene at {without_secrets(job.place.path)} than was asked for; "
            "name a path or URL at which all machines find the same"
        )
    return scene


def is_unwanted() -> Callable[[], bool]:
    """A function that says whether the task that calls this is not wanted any more.

    Dask cannot stop a thread: a task that was cancelled, or whose client is gone, has to look.
    """
    worker = get_worker()
    key = worker.get_current_task()
    tasks = worker.state.tasks

    def unwanted() -> bool:
        task = tasks.get(key)
        return task is None or task.state == "cancelled"

    return unwanted
