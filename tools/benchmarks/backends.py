"""The same view drawn by another backend than the one that is taken by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fractions import Fraction

from benchmarks.frames import Rivals, pool_budget
from benchmarks.timing import Contestant, Say
from plenostream.cameras import Camera
from plenostream.options import RenderOptions, StreamOptions
from plenostream.renderer import Renderer
from plenostream.scene import open_scene

__all__ = ["all_rivals", "backend_rivals"]

_EVERYWHERE = "xla"
"""Draws on every device."""
_LINES = {"resident": None, "pool 1/4": Fraction(1, 4)}
"""Lines that it draws too, and the shares of the working set that its pools hold."""


@contextmanager
def backend_rivals(
    path: str, camera: Camera, *, options: RenderOptions, stream: StreamOptions, say: Say
) -> Iterator[Rivals]:
    """The backend that draws everywhere, beside two lines, unless it draws all of them already."""
    with ExitStack() as stack:
        scene = stack.enter_context(open_scene(path))

        def renderer(**changes: object) -> Renderer:
            changed = replace(stream, **changes)  # type: ignore[arg-type]
            return stack.enter_context(Renderer(scene, options=options, stream=changed))

        drawn_by_it = renderer().backend.name == _EVERYWHERE

        def rivals(line: str, _: StreamOptions) -> dict[str, Contestant]:
            if drawn_by_it or line not in _LINES:
                return {}
            say(f"warm frames: compiling, for {_EVERYWHERE}")
            other, share = renderer(backend=_EVERYWHERE), _LINES[line]
            if share is not None:
                memory = pool_budget(other.plan(camera), share)
                other = renderer(backend=_EVERYWHERE, device_memory=memory)
            return {f"{_EVERYWHERE}, {line}": lambda: other.render(camera).stats.seconds}

        yield rivals


def all_rivals(*several: Rivals) -> Rivals:
    """Those of each."""

    def rivals(line: str, stream: StreamOptions) -> dict[str, Contestant]:
        return {name: run for some in several for name, run in some(line, stream).items()}

    return rivals
