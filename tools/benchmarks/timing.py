"""Repeated measurements: contestants take turns, so that drifts of the machine meet all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Contestant", "Say", "Timing", "take_turns", "timed"]

Contestant = Callable[[], float | tuple[float, float]]
"""Does what is measured, once; gives the seconds that count, and the processor time where that is
another process's."""
Say = Callable[[str], None]
"""Told, in a line, what is being measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Repeated measurements of one thing."""

    seconds: tuple[float, ...]
    """Wall time of each repeat, in the order they were made."""
    cpu_seconds: tuple[float, ...] = ()
    """Processor time of all threads in each repeat: on a busy machine the steadier figure."""

    @property
    def median(self) -> float:
        """Median of the wall times, seconds."""
        return float(np.median(self.seconds))

    @property
    def median_cpu(self) -> float:
        """Median of the processor times, seconds; NaN where they were not taken."""
        return float(np.median(self.cpu_seconds)) if self.cpu_seconds else float("nan")

    @property
    def quartiles(self) -> tuple[float, float]:
        """The wall times that a quarter and three quarters of the repeats stay below, seconds."""
        low, high = np.percentile(self.seconds, [25, 75])
        return float(low), float(high)

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        low, high = self.quartiles
        told: dict[str, Any] = {
            "median_s": self.median,
            "quartiles_s": [low, high],
            "min_s": min(self.seconds),
            "seconds": list(self.seconds),
        }
        if self.cpu_seconds:
            told["median_cpu_s"] = self.median_cpu
        return told


def take_turns(
    contestants: Mapping[str, Contestant], *, rounds: int, say: Say, warm: bool = True
) -> dict[str, Timing]:
    """Measure each contestant `rounds` times, in turns, every other round in reverse order.

    With `warm`, each turn is run twice and the second run counts: the first finds the caches as
    the contestant before left them, and that one's threads may still be going to sleep.
    """
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for name in list(contestants)[:: -1 if number % 2 else 1]:
            run = contestants[name]
            if warm:
                run()
            began = time.process_time()
            took = run()
            own = time.process_time() - began
            measured[name].append(took if isinstance(took, tuple) else (took, own))
    found = {}
    for name, pairs in measured.items():
        wall, processor = zip(*pairs, strict=True)
        found[name] = Timing(seconds=wall, cpu_seconds=processor)
    return found


def timed(action: Callable[[], object]) -> Contestant:
    """A contestant whose whole run counts."""

    def run() -> float:
        began = time.perf_counter()
        action()
        return time.perf_counter() - began

    return run
