"""From flags to an open scene with a renderer and its cameras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from plenostream.cli.parameters import take_record
from plenostream.cli.viewpoints import Viewpoints, choose_cameras
from plenostream.integrator.xla.environment import prepare_jax
from plenostream.options import RenderOptions, StreamOptions

if TYPE_CHECKING:
    from plenostream.field.ndc import Ndc
    from plenostream.renderer import Renderer
    from plenostream.scene import Scene

__all__ = ["cameras_of", "opened_renderer", "opened_scene", "opened_scene_alone"]


@contextmanager
def opened_renderer(
    scene: str, flags: dict[str, Any]
) -> Iterator[tuple[Renderer, Viewpoints, RenderOptions]]:
    """A renderer of `scene` as `flags` ask for it (those of options and of cameras)."""
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    from plenostream.engine.projection import choose_ndc, take_ndc_of_data_set

    with _opened_scene(scene, stream, flags) as opened:
        in_ndc = choose_ndc(options, opened.meta).camera is not None
        viewpoints = choose_cameras(opened.grid, in_ndc=in_ndc, **flags)
        options, about_ndc = take_ndc_of_data_set(options, opened.meta, viewpoints.ndc)
        viewpoints = replace(viewpoints, about_ndc=about_ndc)
        with _renderer(opened, options, stream) as renderer:
            yield renderer, viewpoints, options


@contextmanager
def opened_scene(
    scene: str, flags: dict[str, Any], ndc: Ndc | None
) -> Iterator[tuple[Renderer, RenderOptions, str]]:
    """The same for cameras that are chosen elsewhere, with what there is to say of their `ndc`
    (`CameraSet.ndc`); `flags` are those of options."""
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    from plenostream.engine.projection import take_ndc_of_data_set

    with _opened_scene(scene, stream, flags) as opened:
        options, about_ndc = take_ndc_of_data_set(options, opened.meta, ndc)
        with _renderer(opened, options, stream) as renderer:
            yield renderer, options, about_ndc


@contextmanager
def opened_scene_alone(
    scene: str, flags: dict[str, Any]
) -> Iterator[tuple[Scene, RenderOptions, StreamOptions]]:
    """An open scene without a renderer, and the options for one."""
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    with _opened_scene(scene, stream, flags) as opened:
        yield opened, options, stream


def cameras_of(scene: str, options: RenderOptions, flags: dict[str, Any]) -> Viewpoints:
    """The cameras that `flags` ask for, about a scene that is closed again."""
    from plenostream.engine.projection import choose_ndc
    from plenostream.scene import open_scene

    with open_scene(scene) as opened:
        in_ndc = choose_ndc(options, opened.meta).camera is not None
        return choose_cameras(opened.grid, in_ndc=in_ndc, **flags)


def _opened_scene(scene: str, stream: StreamOptions, flags: dict[str, Any]) -> Scene:
    prepare_jax(stream.device_bytes)
    from plenostream.scene import open_scene

    kept = {name: flags.pop(name) for name in ("cache", "cache_size")}
    return open_scene(scene, **kept)


def _renderer(scene: Scene, options: RenderOptions, stream: StreamOptions) -> Renderer:
    from plenostream.renderer import Renderer

    return Renderer(scene, options=options, stream=stream)
