"""How a cluster draws a scene: by frames, or by sets of bricks."""

from __future__ import annotations

from typing import Any

from distributed import Client

from plenostream.cluster.drawing import Refused
from plenostream.cluster.jobs import make_job
from plenostream.cluster.renderer import ClusterRenderer
from plenostream.cluster.sheet_tasks import count_subvolumes
from plenostream.cluster.subvolume_renderer import SubvolumeRenderer
from plenostream.engine.joining import refuse_what_does_not_join
from plenostream.errors import InvalidInput
from plenostream.files.paths import PathLike
from plenostream.options import RenderOptions, StreamOptions
from plenostream.options.clusters import Split
from plenostream.scene import Scene

__all__ = ["open_cluster_renderer"]


def open_cluster_renderer(
    client: Client,
    path: PathLike,
    scene: Scene,
    options: RenderOptions | None = None,
    stream: StreamOptions | None = None,
    *,
    split: Split = "auto",
    cache: PathLike | None = None,
    cache_size: int | str = "20GB",
) -> ClusterRenderer | SubvolumeRenderer:
    """What draws `scene`, which was opened from `path`, on the workers of `client`.

    Parameters
    ----------
    split : what workers share, see `ClusterOptions.split`
    cache, cache_size : as of `open_scene`, on each worker's machine

    Raises
    ------
    InvalidInput : `split` is "bricks", and the options ask for what cannot be put together from parts.
    Else as `ClusterRenderer`.
    """
    options = RenderOptions() if options is None else options
    stream = StreamOptions() if stream is None else stream
    kept: dict[str, Any] = {"cache": cache, "cache_size": cache_size}
    if split == "auto":
        job = make_job(client, path, scene, options, stream, **kept)
        split = "frames"
        if _may_be_split(options) and (n := len(client.nthreads())) > 1:
            count = client.submit(count_subvolumes, job, least=2, pure=False).result()
            if isinstance(count, Refused):
                raise count.error
            if count.total_bytes > count.allowed_bytes and 0 < count.fewest <= n:
                split = "bricks"
    kind = SubvolumeRenderer if split == "bricks" else ClusterRenderer
    return kind(client, path, scene, options, stream, **kept)


def _may_be_split(options: RenderOptions) -> bool:
    try:
        refuse_what_does_not_join(options)
    except InvalidInput:
        return False
    return True
