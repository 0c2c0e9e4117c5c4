"""From flags to an open scene with what draws it, and its cameras."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from plenostream.cli.parameters import take_record
from plenostream.cli.viewpoints import Viewpoints, choose_cameras
from plenostream.integrator.xla.environment import prepare_jax
from plenostream.options import ClusterOptions, RenderOptions, StreamOptions

if TYPE_CHECKING:
    from plenostream.cameras import Camera
    from plenostream.cluster.renderer import ClusterRenderer
    from plenostream.cluster.subvolume_renderer import SubvolumeRenderer
    from plenostream.field.ndc import Ndc
    from plenostream.renderer import Renderer
    from plenostream.results import Progress, RenderResult
    from plenostream.scene import Scene

__all__ = ["Drawing", "cameras_of", "opened_renderer", "opened_scene", "opened_scene_alone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What draws a scene: one of the two."""

    here: Renderer | None = None
    """This process."""
    cluster: ClusterRenderer | SubvolumeRenderer | None = None
    """The workers of a cluster."""

    @property
    def renderer(self) -> Renderer | ClusterRenderer | SubvolumeRenderer:
        """That one."""
        renderer = self.here or self.cluster
        assert renderer is not None
        return renderer

    def pictures(
        self, cameras: Sequence[Camera], progress: Progress | None = None
    ) -> Iterator[RenderResult]:
        """The pictures that `cameras` take, in order; `progress` is told of their pixels."""
        return self.renderer.pictures(cameras, progress=progress)


@contextmanager
def opened_renderer(
    scene: str, flags: dict[str, Any]
) -> Iterator[tuple[Drawing, Viewpoints, RenderOptions]]:
    """What draws `scene` as `flags` ask for (those of options, of a cluster and of cameras)."""
    asked = _asked(scene, flags)
    from plenostream.engine.projection import choose_ndc, take_ndc_of_data_set

    with _opened_scene(asked) as opened:
        in_ndc = choose_ndc(asked.options, opened.meta).camera is not None
        viewpoints = choose_cameras(opened.grid, in_ndc=in_ndc, **flags)
        options, about_ndc = take_ndc_of_data_set(asked.options, opened.meta, viewpoints.ndc)
        viewpoints = replace(viewpoints, about_ndc=about_ndc)
        with _opened_drawing(opened, options, asked) as drawing:
            yield drawing, viewpoints, options


@contextmanager
def opened_scene(
    scene: str, flags: dict[str, Any], ndc: Ndc | None
) -> Iterator[tuple[Drawing, RenderOptions, str]]:
    """The same for cameras that are chosen elsewhere, with what there is to say of their `ndc`
    (`CameraSet.ndc`); `flags` are those of options and of a cluster."""
    asked = _asked(scene, flags)
    from plenostream.engine.projection import take_ndc_of_data_set

    with _opened_scene(asked) as opened:
        options, about_ndc = take_ndc_of_data_set(asked.options, opened.meta, ndc)
        with _opened_drawing(opened, options, asked) as drawing:
            yield drawing, options, about_ndc


@contextmanager
def opened_scene_alone(
    scene: str, flags: dict[str, Any]
) -> Iterator[tuple[Scene, RenderOptions, StreamOptions]]:
    """An open scene without a renderer, and the options for one."""
    asked = _asked(scene, flags)
    with _opened_scene(asked) as opened:
        yield opened, asked.options, asked.stream


def cameras_of(scene: str, options: RenderOptions, flags: dict[str, Any]) -> Viewpoints:
    """The cameras that `flags` ask for, about a scene that is closed again."""
    from plenostream.engine.projection import choose_ndc
    from plenostream.scene import open_scene

    with open_scene(scene) as opened:
        in_ndc = choose_ndc(options, opened.meta).camera is not None
        return choose_cameras(opened.grid, in_ndc=in_ndc, **flags)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the flags of a command say."""

    scene: str
    options: RenderOptions
    stream: StreamOptions
    cluster: ClusterOptions
    kept: dict[str, Any]
    """The disk cache: arguments of `open_scene`."""


def _asked(scene: str, flags: dict[str, Any]) -> _Asked:
    """Take the flags of options out of `flags`."""
    return _Asked(
        scene,
        take_record(RenderOptions, flags),
        take_record(StreamOptions, flags),
        take_record(ClusterOptions, flags),
        {name: flags.pop(name) for name in ("cache", "cache_size")},
    )


def _opened_scene(asked: _Asked) -> Scene:
    prepare_jax(asked.stream.device_bytes)
    from plenostream.scene import open_scene

    return open_scene(asked.scene, **asked.kept)


@contextmanager
def _opened_drawing(scene: Scene, options: RenderOptions, asked: _Asked) -> Iterator[Drawing]:
    if not asked.cluster.is_asked:
        from plenostream.renderer import Renderer

        with Renderer(scene, options=options, stream=asked.stream) as here:
            yield Drawing(here=here)
        return
    from plenostream.cluster.opening import open_client

    with open_client(asked.cluster, device=asked.stream.device) as client:
        # Not before: that library is an extra, and `open_client` says so.
        from plenostream.cluster.choosing import open_cluster_renderer

        with open_cluster_renderer(
            client, scene, options, asked.stream, split=asked.cluster.split
        ) as cluster:
            yield Drawing(cluster=cluster)
