"""What a worker is told, once for all pictures of a render, and the renderer that it opens for that."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from distributed import get_worker

from plenostream.cluster.holding import held
from plenostream.cluster.opening import host_of, this_version
from plenostream.errors import ClusterError, StoreFormat, StoreNotFound
from plenostream.files.paths import without_secrets
from plenostream.format.layout import SceneMeta
from plenostream.integrator.xla.environment import prepare_jax
from plenostream.options import RenderOptions, StreamOptions
from plenostream.process.closing import Closing
from plenostream.renderer import Renderer
from plenostream.scene import Scene, open_scene

__all__ = ["Job", "is_unwanted", "opened_scene", "renderer_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A scene and how it is drawn. It travels with each task, and is small."""

    scene: str = field(repr=False)
    """Path or URL, the same for all workers; it may hold secrets, and tasks are shown by their repr."""
    meta: SceneMeta = field(repr=False)
    """What the scene says about itself where the job was made."""
    options: RenderOptions
    stream: StreamOptions
    cache: str | None = field(default=None, repr=False)
    cache_size: int | str = "20GB"
    beside: Mapping[str, int] = field(default_factory=dict, repr=False)
    """Workers on each machine, which share its cores."""
    version: str = field(default_factory=this_version, repr=False)


class _Opened(Closing):
    """A scene, and the renderer of it."""

    def __init__(self, scene: Scene, renderer: Renderer) -> None:
        self.scene, self.renderer = scene, renderer

    def close(self) -> None:
        self.renderer.close()
        self.scene.close()


def renderer_of(job: Job) -> Renderer:
    """This worker's renderer for `job`, which stays open for its next pictures.

    Raises
    ------
    ClusterError : this process is of another version than the job. Else as `opened_scene` and
    `Renderer`.
    """
    if job.version != this_version():
        raise ClusterError(
            f"the worker {get_worker().address} has {this_version()}, and the job {job.version}; "
            "both have to be the same"
        )

    def make() -> _Opened:
        stream = with_fair_threads(job)
        prepare_jax(stream.device_bytes)
        scene = opened_scene(job)
        try:
            return _Opened(scene, Renderer(scene, job.options, stream))
        except BaseException:
            scene.close()
            raise

    return held(job, make).renderer


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
        scene = open_scene(job.scene, cache=job.cache, cache_size=job.cache_size)
    except StoreNotFound as error:
        raise StoreNotFound(
            f"{error} ({where} looked for it: all workers need the same path or URL)"
        ) from None
    if scene.meta != job.meta:
        scene.close()
        raise StoreFormat(
            f"{where} finds another scene at {without_secrets(job.scene)} than was asked for; "
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
