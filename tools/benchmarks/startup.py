"""What it takes to start: the interpreter, NumPy, JAX, `plenostream --help`, and a render."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from benchmarks.table import Row, spread
from benchmarks.timing import Contestant, Say, Timing, take_turns, timed

__all__ = ["measure_startup", "startup_rows"]

_PROGRAMS = {
    "python": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import jax": ["-c", "import jax"],
    "plenostream --help": ["-m", "plenostream", "--help"],
}
_RENDER = "plenostream render, without its frame"
_VIEW = ("--look-from", "2,2,1", "--size", "64x64", "--overwrite", "--quiet")


def measure_startup(scene: Path, *, rounds: int, say: Say) -> dict[str, Timing]:
    """Whole processes, by name; the compile cache is the environment's, and warm.

    Of `plenostream render` the frame's own seconds are taken off: kernels that come out of the
    compile cache, and drawing.
    """
    with tempfile.TemporaryDirectory(prefix="plenostream-startup-") as folder:
        contestants: dict[str, Contestant] = {
            name: timed(partial(_run, arguments)) for name, arguments in _PROGRAMS.items()
        }
        contestants[_RENDER] = partial(_render, scene, Path(folder))
        times = take_turns(
            contestants, rounds=rounds, say=lambda what: say(f"start-up: {what}"), warm=False
        )
    pairs = zip(times[_RENDER].seconds, times["import jax"].seconds, strict=True)
    beyond_jax = Timing(seconds=tuple(whole - jax for whole, jax in pairs))
    return {**times, "the same, without importing JAX": beyond_jax}


def startup_rows(times: Mapping[str, Timing]) -> list[Row]:
    """The figures."""
    return [Row("start-up", name, spread(timing)) for name, timing in times.items()]


def _run(arguments: list[str]) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


def _render(scene: Path, folder: Path) -> float:
    """Seconds of rendering a small picture without the frame itself."""
    target, stats = str(folder / "out.npy"), folder / "stats.json"
    command = ["-m", "plenostream", "render", str(scene), target, "--stats", str(stats), *_VIEW]
    began = time.perf_counter()
    _run(command)
    whole = time.perf_counter() - began
    return whole - float(json.loads(stats.read_text())["seconds"])
