"""What it takes to start: the interpreter, NumPy, JAX, `plenostream --help`, and a render."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from plenostream.bench.table import Row, spread
from plenostream.bench.timing import Contestant, Timing, take_turns

__all__ = ["BEYOND_JAX", "measure_startup", "startup_rows"]

_PYTHON = {
    "python": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import jax": ["-c", "import jax"],
    "plenostream --help": ["-m", "plenostream", "--help"],
}
_RENDER = "plenostream render, without its frame"
BEYOND_JAX = "the same, without importing JAX"


def measure_startup(
    scene: Path, *, rounds: int, environment: Mapping[str, str], say: Callable[[str], None]
) -> dict[str, Timing]:
    """Whole processes, by name; the compile cache is the environment's, and warm.

    Of `plenostream render` the frame's own seconds are taken off: kernels that come out of the
    compile cache, and drawing.
    """
    with tempfile.TemporaryDirectory(prefix="plenostream-startup-") as folder:
        contestants: dict[str, Contestant] = {
            name: _Process([sys.executable, *arguments], environment)
            for name, arguments in _PYTHON.items()
        }
        contestants[_RENDER] = _Render(scene, Path(folder), environment)
        times = take_turns(contestants, rounds=rounds, say=lambda what: say(f"start-up: {what}"))
    pairs = zip(times[_RENDER].seconds, times["import jax"].seconds, strict=True)
    times[BEYOND_JAX] = Timing(seconds=tuple(whole - jax for whole, jax in pairs))
    return times


def startup_rows(times: Mapping[str, Timing]) -> list[Row]:
    """The figures."""
    return [Row("start-up", name, spread(timing)) for name, timing in times.items()]


class _Process:
    """Runs a program from its start to its end."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self._command, self._environment = command, dict(environment)

    def __call__(self) -> float:
        began = time.perf_counter()
        subprocess.run(self._command, check=True, env=self._environment, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


class _Render(_Process):
    """Renders a small picture, and leaves the frame's own seconds out."""

    def __init__(self, scene: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self._stats = folder / "stats.json"
        options: list[Any] = ["--look-from", "2,2,1", "--size", "64x64", "--overwrite", "--quiet"]
        command = [sys.executable, "-m", "plenostream", "render", str(scene)]
        command += [str(folder / "out.npy"), *options, "--stats", str(self._stats)]
        super().__init__(command, environment)

    def __call__(self) -> float:
        whole = super().__call__()
        frame = json.loads(self._stats.read_text())["seconds"]
        return whole - float(frame)
