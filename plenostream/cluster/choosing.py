"""How a cluster draws a scene: by frames, or by sets of bricks."""

from __future__ import annotations

from distributed import Client

from plenostream.cluster.drawing import Refused
from plenostream.cluster.in_order import in_order
from plenostream.cluster.jobs import make_job
from plenostream.cluster.renderer import ClusterRenderer
from plenostream.cluster.sheet_tasks import count_subvolumes
from plenostream.cluster.subvolume_renderer import SubvolumeRenderer
from plenostream.engine.joining import refuse_what_does_not_join
from plenostream.errors import InvalidInput
from plenostream.format.layout import TABLES
from plenostream.options import RenderOptions, StreamOptions
from plenostream.options.clusters import Split
from plenostream.scene import Scene

__all__ = ["open_cluster_renderer"]

_TABLES_SHARE = 0.5
"""Of the host memory, what tables may take of a worker that keeps some bricks."""


def open_cluster_renderer(
    client: Client,
    scene: Scene,
    options: RenderOptions | None = None,
    stream: StreamOptions | None = None,
    *,
    split: Split = "auto",
) -> ClusterRenderer | SubvolumeRenderer:
    """What draws `scene` on the workers of `client`.

    Parameters
    ----------
    split : what workers share, see `ClusterOptions.split`

    Raises
    ------
    InvalidInput : `split` is "bricks", and the options ask for what cannot be put together from parts.
    Else as `ClusterRenderer`.
    """
    options = RenderOptions() if options is None else options
    stream = StreamOptions() if stream is None else stream
    if split == "auto":
        job = make_job(client, scene, options, stream)
        split = "frames"
        n = len(client.nthreads())
        if n > 1 and _may_be_split(options) and _may_hold_tables(scene, stream):
            (count,) = in_order(client, count_subvolumes, [(job, 2)], most=1)
            if isinstance(count, Refused):
                raise count.error
            if count.total_bytes > count.allowed_bytes and 0 < count.fewest <= n:
                split = "bricks"
    kind = SubvolumeRenderer if split == "bricks" else ClusterRenderer
    return kind(client, scene, options, stream)


def _may_hold_tables(scene: Scene, stream: StreamOptions) -> bool:
    """Whether a worker has room for the tables of all bricks: who keeps some holds those of all."""
    specs = scene.store.specs
    n_bytes = sum(
        specs[f"bricks/{name}"].shape[0] * specs[f"bricks/{name}"].row_bytes for name in TABLES
    )
    return n_bytes <= _TABLES_SHARE * stream.host_bytes


def _may_be_split(options: RenderOptions) -> bool:
    try:
        refuse_what_does_not_join(options)
    except InvalidInput:
        return False
    return True
