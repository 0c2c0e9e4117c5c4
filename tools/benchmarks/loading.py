"""What loading a checkpoint takes NumPy, and a still the command line."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.first_frame import FirstFrame
from benchmarks.table import Row, ratio, spread
from benchmarks.timing import Say, Timing, take_turns, timed

__all__ = ["Loading", "loading_rows", "measure_loading"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """Whole loads and whole processes, with the disk's cache warm."""

    arrays: Timing
    """All arrays of the checkpoint, by `numpy.load`."""
    still: Timing
    """`plenostream render` of one view at 800x800, from the program's start to its end."""


def measure_loading(checkpoint: Path, scene: Path, *, repeats: int, say: Say) -> Loading:
    """Load a checkpoint's arrays, and draw a still of its scene, again and again."""

    def load() -> None:
        with np.load(checkpoint) as arrays:
            for name in arrays.files:
                arrays[name]

    with tempfile.TemporaryDirectory(prefix="plenostream-still-") as folder:
        command = [sys.executable, "-m", "plenostream", "render", str(scene), f"{folder}/still.png"]
        command += ["--orbit", "1", "--size", "800x800", "--overwrite", "--quiet"]
        contestants = {
            "numpy.load": timed(load),
            "a still": timed(lambda: subprocess.run(command, check=True)),
        }
        times = take_turns(contestants, rounds=repeats, say=lambda what: say(f"loading: {what}"))
    return Loading(arrays=times["numpy.load"], still=times["a still"])


def loading_rows(found: Loading, first: Mapping[str, FirstFrame]) -> Iterator[Row]:
    """The figures, and the first frames beside them."""
    section = "first frame after opening"
    yield Row(section, "numpy.load of the checkpoint", spread(found.arrays))
    for state, frame in first.items():
        figure = ratio(frame.whole.median, found.arrays.median)
        yield Row(section, f"  {state} / numpy.load", figure)
    yield Row("a still", "plenostream render, whole process", spread(found.still))
