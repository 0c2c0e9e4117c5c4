"""The same view drawn by another backend than the one that is taken by itself, or by its other code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fractions import Fraction
from functools import partial
from unittest import mock

from benchmarks.frames import Rivals, pool_budget
from benchmarks.timing import Contestant, Say
from plenostream.cameras import Camera
from plenostream.errors import DeviceError
from plenostream.integrator.native import library
from plenostream.options import RenderOptions, StreamOptions
from plenostream.renderer import Renderer
from plenostream.scene import open_scene

__all__ = ["all_rivals", "backend_rivals", "variant_rivals"]

_EVERYWHERE = "xla"
"""Draws on every device."""
_NARROW = "v3"
"""The variant of the native kernels for processors with AVX2 and no AVX-512."""
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


@contextmanager
def variant_rivals(
    path: str, camera: Camera, *, options: RenderOptions, stream: StreamOptions
) -> Iterator[Rivals]:
    """The native kernels for AVX2 beside a resident frame, where this processor would take others."""
    with ExitStack() as stack:

        def rivals(line: str, _: StreamOptions) -> dict[str, Contestant]:
            if line != "resident" or _NARROW not in _other_variants():
                return {}
            scene = stack.enter_context(open_scene(path))
            narrow = partial(library.load_kernels, _NARROW)
            with mock.patch.object(library, "load_kernels", narrow):
                renderer = Renderer(
                    scene, options=options, stream=replace(stream, backend="native")
                )
            stack.enter_context(renderer)
            return {f"native, {_NARROW}, {line}": lambda: renderer.render(camera).stats.seconds}

        yield rivals


def _other_variants() -> list[str]:
    """Variants of the native kernels that this processor runs, without the best."""
    try:
        return library.variants(library.open_library())[1:]
    except DeviceError:
        return []


def all_rivals(*several: Rivals) -> Rivals:
    """Those of each."""

    def rivals(line: str, stream: StreamOptions) -> dict[str, Contestant]:
        return {name: run for some in several for name, run in some(line, stream).items()}

    return rivals
