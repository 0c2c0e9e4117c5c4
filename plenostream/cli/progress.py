"""How far the work is: a bar on a terminal, a line now and then elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import NoReturn, Self

import click
from tqdm import tqdm

__all__ = ["Progress", "format_seconds"]

_LINE_INTERVAL_S = 5.0
"""Seconds between lines where there is no terminal."""

_BAR = "{desc}: {percentage:3.0f} %|{bar}| [{elapsed}, {remaining} left{postfix}]"


class Progress:
    """Counts through one stage after another, on standard error; a context manager.

    Parameters
    ----------
    quiet : say nothing
    unit : what is counted, in the plural, which is then told with how many a second; without it
        only the share is told
    """

    def __init__(self, *, quiet: bool, unit: str = "") -> None:
        self._quiet, self._unit = quiet, unit
        self._terminal = sys.stderr.isatty()
        self._bar: tqdm[NoReturn] | None = None
        self._stage: str | None = None
        self._said_of: str | None = None
        self._began = self._said = 0.0
        self._first = 0
        """Steps done when the rate began to be taken."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            # A refusal is not preceded by a bar that stands at nothing.
            self._bar.leave = error is None or self._bar.n > 0
            self._bar.close()
            self._bar = None

    def update(self, stage: str, done: int, total: int) -> None:
        """`done` of `total` of a stage are done; a new name begins a new stage."""
        if self._quiet:
            return
        now = time.monotonic()
        fresh = stage != self._stage
        if fresh or not self._first:
            # The first step may compile or open things: it says nothing about those that follow.
            self._stage, self._began, self._first = stage, now, done
        rate = (done - self._first) / (now - self._began) if now > self._began else 0.0
        if self._terminal:
            self._draw(stage, done, total, rate, fresh=fresh)
        elif done > 0 and (
            stage != self._said_of or done == total or now - self._said >= _LINE_INTERVAL_S
        ):
            self._said_of = stage
            self._said = now
            click.echo(self._line(stage, done, total, rate), err=True)

    def _draw(self, stage: str, done: int, total: int, rate: float, *, fresh: bool) -> None:
        if fresh:
            self.__exit__(None, None, None)
        bar = self._bar
        if bar is None:
            bar = tqdm(desc=stage, total=total, bar_format=_BAR, file=sys.stderr)
        self._bar, bar.total = bar, total
        if self._unit and rate:
            counted = f"{done} of {total}, {rate:.3g} {self._unit}/s"
            bar.set_postfix_str(counted, refresh=False)
        bar.update(done - bar.n)

    def _line(self, stage: str, done: int, total: int, rate: float) -> str:
        if self._unit:
            unit = self._unit.removesuffix("s") if total == 1 else self._unit
            line = f"{stage}: {done} of {total} {unit}"
            line += f", {rate:.3g} {self._unit}/s" if rate else ""
        else:
            line = f"{stage}: {100 * done // max(total, 1)} %"
        if 0 < done < total and rate > 0:
            line += f", {format_seconds((total - done) / rate)} left"
        return line


def format_seconds(seconds: float) -> str:
    """`seconds` for reading: 0.42 s, 73 s, 12 min 5 s, 3 h 4 min."""
    if seconds < 99.5:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
