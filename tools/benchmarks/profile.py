"""A frame taken apart: where its threads are, and the stages of the integrator.

The renderer carries no timers. A thread looks every millisecond where the others are, and the
time since it last looked counts for the two innermost functions of the package that each is in. A
device's programs run to their end in the thread that calls them on a CPU, so they count too.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from benchmarks.stages import compiled_programs, measure_stages
from benchmarks.table import Row
from plenostream.cameras import Camera
from plenostream.integrator.xla.environment import prepare_jax
from plenostream.options import RenderOptions, StreamOptions
from plenostream.renderer import Renderer
from plenostream.scene import open_scene

__all__ = ["FrameProfile", "profile_frame", "profile_rows"]

_EVERY_S = 0.001
_LEAST_S = 0.5
"""Seconds of frames that are looked at, however few are asked for."""
_DEPTH = 2
"""Functions that are told: the innermost and who called it."""
_LEAST_SHARE = 0.01
"""Of a frame or of all stages: what is less is left out of the table."""
_KINDS = {
    "plenostream-part": "workers",
    "plenostream-lead": "workers",
    "plenostream-read": "readers",
    "plenostream-stage": "readers",
}
"""How the names of threads begin; the thread that asked for the frame is the host loop."""


@dataclass(slots=True)
class FrameProfile:
    """Where the time of a warm frame goes."""

    frame_s: float = 0.0
    """The frame as a whole, looked at."""
    threads: dict[str, dict[str, float]] = field(default_factory=dict)
    """Seconds of the frame by kind of thread and by place in the package."""
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds of all threads by stage of the integrator, where XLA's programs have such."""


def profile_frame(
    path: str, camera: Camera, *, options: RenderOptions, stream: StreamOptions, n_frames: int
) -> FrameProfile:
    """Draw a view with a new renderer: frames that are looked at, one with XLA's profiler.

    At least `n_frames`, and as many as take `_LEAST_S`: what is lost before the first look and
    after the last is then little beside them.

    For a process that has not rendered before: programs that it has compiled are not seen.
    """
    prepare_jax()
    with (
        compiled_programs() as programs,
        open_scene(path) as scene,
        Renderer(scene, options=options, stream=stream) as renderer,
    ):
        for _ in range(2):  # a pool that is there may be planned with otherwise: other programs
            renderer.render(camera)
        began = time.perf_counter()
        drawn, whole = 0, 0.0
        with _looked_at() as seconds:
            while drawn < n_frames or whole < _LEAST_S:
                renderer.render(camera)
                drawn, whole = drawn + 1, time.perf_counter() - began
        threads: dict[str, dict[str, float]] = {}
        for (kind, place), total in sorted(seconds.items(), key=lambda item: -item[1]):
            threads.setdefault(kind, {})[place] = total / drawn
        return FrameProfile(whole / drawn, threads, measure_stages(renderer, camera, programs))


@contextmanager
def _looked_at() -> Iterator[dict[tuple[str, str], float]]:
    """Adds up, for the time of the context, how long threads are where in the package."""
    seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
    over = threading.Event()
    main = threading.get_ident()

    def look() -> None:
        before = time.perf_counter()
        while not over.wait(_EVERY_S):
            names = {thread.ident: thread.name for thread in threading.enumerate()}
            frames = sys._current_frames()
            now = time.perf_counter()
            for ident, frame in frames.items():
                kind = "host loop" if ident == main else _kind(names.get(ident, ""))
                if place := _place(frame):
                    seconds[kind, place] += now - before
            before = now

    looking = threading.Thread(target=look, name="looking")
    interval = sys.getswitchinterval()
    # A thread that computes in Python is interrupted soon, or it would be seen elsewhere.
    sys.setswitchinterval(_EVERY_S / 2)
    looking.start()
    try:
        yield seconds
    finally:
        over.set()
        looking.join()
        sys.setswitchinterval(interval)


def _kind(name: str) -> str:
    return next((kind for start, kind in _KINDS.items() if name.startswith(start)), "others")


def _place(frame: FrameType | None) -> str:
    """The innermost functions of the package that a thread is in; nothing if it is in none."""
    found: list[str] = []
    while frame is not None and len(found) < _DEPTH:
        package, _, module = frame.f_globals.get("__name__", "").partition(".")
        if package == "plenostream":
            place = f"{module.rpartition('.')[2]}.{frame.f_code.co_qualname}"
            found.append(place.replace(".<locals>", ""))
        frame = frame.f_back
    return " > ".join(found[::-1])


def profile_rows(name: str, profile: FrameProfile) -> Iterator[Row]:
    """The figures, the longest first; `name` says of what they are."""
    of = f" of {name}" if name else ""
    section = f"threads{of}, milliseconds of a frame"
    yield Row(section, "frame, looked at", f"{profile.frame_s * 1e3:.1f} ms")
    for kind, places in profile.threads.items():
        for place, seconds in places.items():
            if seconds >= _LEAST_SHARE * profile.frame_s:
                yield Row(section, f"  {kind}: {place}", f"{seconds * 1e3:.1f} ms")
    section, whole = f"stages{of}, milliseconds of all threads", sum(profile.stages.values())
    for stage, seconds in profile.stages.items():
        if seconds >= _LEAST_SHARE * whole:
            yield Row(section, f"  {stage}", f"{seconds * 1e3:.1f} ms, {seconds / whole:.0%}")
