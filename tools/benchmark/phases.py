"""Where the time of a frame goes on the host: by phase, and by kind of thread.

The renderer carries no timers. For the time of a measurement the functions at its seams are
wrapped; what a wrapped function calls counts for the inner one. A device's programs run to their
end in the thread that calls them on a CPU, so they count as a phase like the others.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any
from unittest import mock

from plenostream.bench.table import Row
from plenostream.cameras import Camera
from plenostream.engine import frame, pinhole
from plenostream.engine.frame import Frame
from plenostream.engine.workers import Worker
from plenostream.format.reader import SceneStore
from plenostream.integrator.xla.device import Ledger
from plenostream.integrator.xla.pool import BrickPool
from plenostream.integrator.xla.programs import Program
from plenostream.plan import PinholeView
from plenostream.renderer import Renderer
from plenostream.stream import BrickFetcher
from plenostream.stream.residency import Residency

__all__ = ["SEAMS", "HostPhases", "measure_phases", "phase_rows"]

_PROGRAMS = {
    "pinhole rays": "rays",
    "ray state": "rays",
    "integrate": "march and shade",
    "live tiles": "report",
    "compose": "composite",
    "write bricks": "upload",
    "write rows": "upload",
    "pool": "upload",
}

SEAMS: tuple[tuple[Any, str, str], ...] = (
    (pinhole, "camera_view", "schedule"),
    (frame, "plan_waves", "schedule"),
    (PinholeView, "hidden", "schedule"),
    (Frame, "_calls", "schedule"),
    (Residency, "begin_frame", "schedule"),
    (Residency, "missing", "schedule"),
    (Residency, "admit", "schedule"),
    (BrickFetcher, "request", "read"),
    (BrickFetcher, "cancel", "read"),
    (BrickFetcher, "take", "read"),
    (SceneStore, "fetch_chunk", "read"),
    (SceneStore, "decode_chunk", "read"),
    (frame, "pack_bricks", "pack"),
    (BrickPool, "stage", "upload"),
    (BrickPool, "write", "upload"),
    (Frame, "compose", "wait for workers"),
    (Frame, "_compose", "composite"),
    (Frame, "_draw_wave", "bookkeeping"),
    (Ledger, "sample", "bookkeeping"),
    (Ledger, "watch", "bookkeeping"),
    (Worker, "wait", "wait for workers"),
    (Worker, "submit", "wait for workers"),
    (Program, "__call__", ""),
)
"""Owner and name of each function that is wrapped, and its phase; that of a program is found by
the program's name."""

_FRAME = "other"
"""What a frame does outside of all seams."""


@dataclass(slots=True)
class _Thread:
    """The phases that a thread is in, innermost last, and since when it is in the last."""

    phases: list[str] = field(default_factory=list)
    since: float = 0.0


class _Clock:
    """Adds up, for each kind of thread, how long its threads were in each phase."""

    def __init__(self) -> None:
        self.seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._lock = threading.Lock()
        self._own = threading.local()
        self._main = threading.current_thread()

    @contextmanager
    def inside(self, phase: str) -> Iterator[None]:
        """For the time of the context this thread is in `phase`."""
        own = self._thread()
        self._lap(own)
        own.phases.append(phase)
        try:
            yield
        finally:
            self._lap(own)
            own.phases.pop()

    def _thread(self) -> _Thread:
        if not hasattr(self._own, "thread"):
            self._own.thread = _Thread()
        found: _Thread = self._own.thread
        return found

    def _lap(self, own: _Thread) -> None:
        now = time.perf_counter()
        if own.phases:
            with self._lock:
                self.seconds[self._kind(), own.phases[-1]] += now - own.since
        own.since = now

    def _kind(self) -> str:
        thread = threading.current_thread()
        if thread is self._main:
            return "host loop"
        return "workers" if thread.name.startswith("plenostream-part") else "readers"

    def wrap(self, function: Callable[..., Any], phase: str) -> Callable[..., Any]:
        """`function`, in its phase; of a generator, each step."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.inside(phase or _PROGRAMS.get(args[0].name, args[0].name)):
                return function(*args, **kwargs)

        @wraps(function)
        def steps(*args: Any, **kwargs: Any) -> Iterator[Any]:
            running = function(*args, **kwargs)
            done = object()
            while True:
                with self.inside(phase):
                    value = next(running, done)
                if value is done:
                    return
                yield value

        return steps if inspect.isgeneratorfunction(function) else call


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPhases:
    """Seconds of a frame, by kind of thread and phase, means over some frames."""

    seconds: dict[tuple[str, str], float]
    frame_s: float
    """The frame as a whole, timers running."""

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        kinds: dict[str, dict[str, float]] = {}
        for (kind, phase), seconds in self.seconds.items():
            kinds.setdefault(kind, {})[phase] = seconds
        return {"frame_s": self.frame_s, "threads": kinds}


def measure_phases(renderer: Renderer, camera: Camera, *, n_frames: int) -> HostPhases:
    """Draw `n_frames` with timers, after one without."""
    renderer.render(camera)
    clock = _Clock()
    with ExitStack() as stack:
        for owner, name, phase in SEAMS:
            wrapped = clock.wrap(getattr(owner, name), phase)
            stack.enter_context(mock.patch.object(owner, name, wrapped))
        began = time.perf_counter()
        for _ in range(n_frames):
            with clock.inside(_FRAME):
                renderer.render(camera)
        seconds = time.perf_counter() - began
    shares = {key: total / n_frames for key, total in clock.seconds.items()}
    return HostPhases(seconds=shares, frame_s=seconds / n_frames)


def phase_rows(section: str, phases: HostPhases) -> list[Row]:
    """A row for each kind of thread and phase, the longest first within a kind."""
    kinds = ("host loop", "workers", "readers")
    ordered = sorted(phases.seconds.items(), key=lambda item: (kinds.index(item[0][0]), -item[1]))
    rows = [Row(section, "frame, with timers", f"{phases.frame_s * 1e3:.1f} ms")]
    for (kind, phase), seconds in ordered:
        rows.append(Row(section, f"  {kind}: {phase}", f"{seconds * 1e3:.1f} ms"))
    return rows
