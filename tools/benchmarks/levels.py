"""What level auto changes in a view and what it saves, from nearer and farther away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.table import Row, both_ratios
from benchmarks.timing import Say, Timing, take_turns, timed
from benchmarks.views import moved
from plenostream.cameras import Camera
from plenostream.options import RenderOptions, StreamOptions
from plenostream.renderer import Renderer
from plenostream.results import FrameStats
from plenostream.rules.bytesize import format_bytes
from plenostream.scene import open_scene

__all__ = ["LevelView", "level_rows", "measure_levels"]

_DISTANCES = (1.0, 2.0, 4.0, 8.0)
"""From the middle of the grid, in those of the view."""
_SMOOTH = 8
"""Samples along each edge of a pixel of the picture that both are compared with, too."""
_MOST = 1e-15
"""Squared error that counts as none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelView:
    """A view at one distance."""

    exact: Timing
    auto: Timing
    first_exact: FrameStats
    """From an empty pool."""
    first_auto: FrameStats
    psnr: float
    """Between the two, dB."""
    largest: float
    """Difference of a channel."""
    smooth_exact: float
    """PSNR against the exact picture of `_SMOOTH` x `_SMOOTH` samples a pixel, dB."""
    smooth_auto: float

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {
            "exact": self.exact.to_dict() | {"first": self.first_exact.to_dict()},
            "auto": self.auto.to_dict() | {"first": self.first_auto.to_dict()},
            "psnr": self.psnr,
            "largest": self.largest,
            "psnr_to_smooth": {"exact": self.smooth_exact, "auto": self.smooth_auto},
        }


def _psnr(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(-10 * np.log10(max(float(np.square(one - other).mean()), _MOST)))


def measure_levels(
    place: str,
    camera: Camera,
    *,
    options: RenderOptions,
    stream: StreamOptions,
    rounds: int,
    say: Say,
) -> dict[str, LevelView]:
    """Draw a scene with levels from several distances, as it is and with level auto."""
    found = {}
    with open_scene(place) as scene:
        for distance in _DISTANCES:
            view = moved(camera, scene.grid, distance)
            say(f"levels: {distance:g} times as far")
            smooth = replace(options, level=0, samples=_SMOOTH)
            with Renderer(scene, options=smooth, stream=stream) as renderer:
                wanted = renderer.render(view).rgb
            with (
                Renderer(scene, options=replace(options, level=0), stream=stream) as exact,
                Renderer(scene, options=replace(options, level="auto"), stream=stream) as auto,
            ):
                pictures = [renderer.render(view) for renderer in (exact, auto)]
                timings = take_turns(
                    {
                        "exact": timed(partial(exact.render, view)),
                        "auto": timed(partial(auto.render, view)),
                    },
                    rounds=rounds,
                    say=lambda word: None,
                )
            one, other = (picture.rgb for picture in pictures)
            found[f"{distance:g} times as far"] = LevelView(
                exact=timings["exact"],
                auto=timings["auto"],
                first_exact=pictures[0].stats,
                first_auto=pictures[1].stats,
                psnr=_psnr(one, other),
                largest=float(np.abs(one - other).max()),
                smooth_exact=_psnr(one, wanted),
                smooth_auto=_psnr(other, wanted),
            )
    return found


def level_rows(views: Mapping[str, LevelView]) -> Iterator[Row]:
    """The figures, by distance."""
    for name, view in views.items():
        reads = [format_bytes(s.bytes_read) for s in (view.first_exact, view.first_auto)]
        bricks = [str(s.bricks_visible) for s in (view.first_exact, view.first_auto)]
        yield Row(name, "PSNR to exact", f"{view.psnr:.1f} dB, {view.largest:.3f} at most")
        yield Row(name, "PSNR to exact, 8x8 samples", f"{view.smooth_auto:.1f} dB")
        yield Row(name, "of exact to that", f"{view.smooth_exact:.1f} dB")
        yield Row(name, "read, exact and auto", ", ".join(reads))
        took = [f"{s.seconds:.2g} s" for s in (view.first_exact, view.first_auto)]
        yield Row(name, "first picture, exact and auto", ", ".join(took))
        yield Row(name, "bricks, exact and auto", ", ".join(bricks))
        yield Row(name, "time of auto, of exact", both_ratios(view.auto, view.exact))
