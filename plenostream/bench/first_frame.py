"""The first frame after opening a scene, in a process of its own, compile cache cold and warm."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from plenostream.bench.apart import answer, ask
from plenostream.bench.timing import Say, Timing
from plenostream.cameras import Camera
from plenostream.integrator.xla.environment import prepare_jax
from plenostream.options import RenderOptions, StreamOptions
from plenostream.process.leftovers import temporary_folder
from plenostream.renderer import Renderer
from plenostream.scene import open_scene

__all__ = ["FirstFrame", "first_frames"]

_MODULE = "plenostream.bench.first_frame"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstFrame:
    """The first frame of a process that has imported everything, its parts, and the second."""

    opening: Timing
    """Opening the scene: its documents and tables."""
    first: Timing
    """From making a renderer to the picture: plan, kernels, reading, upload, drawing."""
    second: Timing
    """The same picture again."""
    compiles: int
    """Programs that were compiled, or loaded from the compile cache."""

    @property
    def whole(self) -> Timing:
        """Opening and first picture together."""
        pairs = zip(self.opening.seconds, self.first.seconds, strict=True)
        return Timing(seconds=tuple(a + b for a, b in pairs))

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        times = {"whole": self.whole, "opening": self.opening}
        times |= {"first": self.first, "second": self.second}
        return {**{name: t.to_dict() for name, t in times.items()}, "compiles": self.compiles}


def first_frames(
    scene: str,
    camera: Camera,
    *,
    options: RenderOptions,
    stream: StreamOptions,
    repeats: int,
    environment: Mapping[str, str],
    say: Say,
) -> dict[str, FirstFrame]:
    """With an empty compile cache (once), and with a warm one (`repeats` times).

    The disk's cache is warm if the scene has been read before. The compile cache is a folder of
    this measurement's own.
    """
    view = {field.name: getattr(camera, field.name) for field in fields(camera)}
    request = {
        "scene": scene,
        "camera": {**view, "c2w": camera.c2w.tolist()},
        "options": asdict(options),
        "stream": asdict(stream),
    }
    with (
        tempfile.TemporaryDirectory(prefix="plenostream-compiled-") as cache,
        temporary_folder(cache),
    ):
        own = {
            **environment,
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        say("first frame: compile cache cold")
        cold = [ask(_MODULE, request, environment=own)]
        warm = []
        for number in range(repeats):
            say(f"first frame: compile cache warm, {number + 1} of {repeats}")
            warm.append(ask(_MODULE, request, environment=own))
    return {"cold": _first_frame(cold), "warm": _first_frame(warm)}


def _first_frame(answers: list[dict[str, Any]]) -> FirstFrame:
    def timing(name: str) -> Timing:
        return Timing(seconds=tuple(found[name] for found in answers))

    return FirstFrame(
        opening=timing("opening"),
        first=timing("first"),
        second=timing("second"),
        compiles=answers[0]["compiles"],
    )


def _measure(request: dict[str, Any]) -> dict[str, Any]:
    prepare_jax()
    camera = Camera(**request["camera"])
    options, stream = RenderOptions(**request["options"]), StreamOptions(**request["stream"])
    began = time.perf_counter()
    with open_scene(request["scene"]) as scene:
        opened = time.perf_counter()
        with Renderer(scene, options=options, stream=stream) as renderer:
            stats = renderer.render(camera).stats
            drawn = time.perf_counter()
            second = renderer.render(camera).stats.seconds
    return {
        "opening": opened - began,
        "first": drawn - opened,
        "second": second,
        "compiles": stats.compiles,
    }


if __name__ == "__main__":
    answer(_measure)
