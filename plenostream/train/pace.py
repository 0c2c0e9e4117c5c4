"""How fast a training goes: when it is over, and readings of how far it is."""

from __future__ import annotations

import math
import time

from plenostream.train.held import HeldViews
from plenostream.train.report import Reading, Told
from plenostream.train.schedule import Course
from plenostream.train.stage import Stage
from plenostream.train.state import TrainState

__all__ = ["Pace"]

_HELD_VIEWS = 8
"""Views that are drawn to see how far a training is in the middle of a stage, at most."""
_READING_S, _READING_SHARE = 20.0, 30
"""Seconds between readings, and how many times as long as one takes, at least."""
_SMOOTHING = 0.98
"""Share of the loss told before in that which readings tell."""
_LEAST_ERROR = 1e-12


class Pace:
    """A clock of a run, and of those before it."""

    def __init__(
        self, course: Course, state: TrainState, held: HeldViews | None, told: Told
    ) -> None:
        self._course, self._state, self._held, self._told = course, state, held, told
        self._began = time.perf_counter() - state.seconds
        self._first_share = self.share
        self._next_reading = time.perf_counter() + _READING_S
        self._loss: float | None = state.readings[-1].loss if state.readings else None

    @property
    def seconds(self) -> float:
        """Spent so far."""
        return time.perf_counter() - self._began

    @property
    def share(self) -> float:
        """How much of the training is done, 0 to 1."""
        return self._course.share(self._state.step, self.seconds)

    def took(self, loss: float) -> None:
        """A step was taken, with this loss before it."""
        before = loss if self._loss is None else self._loss
        self._loss = _SMOOTHING * before + (1.0 - _SMOOTHING) * loss

    def is_due(self) -> bool:
        """Whether it is time for a reading."""
        return time.perf_counter() >= self._next_reading

    def read(self, stage: Stage, *, whole: bool) -> None:
        """Take a reading, of all held views if `whole`, and tell of it."""
        began = time.perf_counter()
        held = None
        if self._held is not None:
            held = self._held.psnr(stage.walk, stage.behind, None if whole else _HELD_VIEWS)
        share = self.share
        done = share - self._first_share
        spent = self.seconds - self._state.seconds
        reading = Reading(
            seconds=self.seconds,
            seconds_left=spent * (1.0 - share) / done if done > 0.0 else 0.0,
            step=self._state.step,
            size=max(stage.voxel_set.grid.size),
            voxels=stage.voxel_set.n_voxels,
            loss=self._loss,
            psnr=None if self._loss is None else -10.0 * math.log10(max(self._loss, _LEAST_ERROR)),
            held_psnr=held,
        )
        self._state.readings.append(reading)
        self._told(reading)
        now = time.perf_counter()
        self._next_reading = now + max(_READING_S, _READING_SHARE * (now - began))
