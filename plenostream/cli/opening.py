"""From flags to an open scene with a renderer and its cameras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from plenostream.cli.parameters import take_record
from plenostream.cli.viewpoints import NumberedCamera, choose_cameras
from plenostream.integrator.xla.environment import prepare_jax
from plenostream.options import RenderOptions, StreamOptions

if TYPE_CHECKING:
    from plenostream.renderer import Renderer

__all__ = ["opened_renderer"]


@contextmanager
def opened_renderer(
    scene: str, flags: dict[str, Any]
) -> Iterator[tuple[Renderer, list[NumberedCamera], RenderOptions]]:
    """A renderer of `scene` as `flags` ask for it (those of options and of cameras)."""
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    prepare_jax()
    from plenostream.renderer import Renderer
    from plenostream.scene import open_scene

    with open_scene(scene) as opened:
        cameras = choose_cameras(opened.grid, **flags)
        with Renderer(opened, options=options, stream=stream) as renderer:
            yield renderer, cameras, options
