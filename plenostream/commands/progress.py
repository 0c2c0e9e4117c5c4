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

_BAR = (
    "{desc}: {percentage:3.0f} %|{bar}| {n_fmt}/{total_fmt} [{elapsed}, {remaining} left{postfix}]"
)


class Progress:
    """Counts through one stage after another, on standard error; a context manager.

    Parameters
    ----------
    quiet : say nothing
    unit : what is counted, in the plural; "frames" come with frames per second
    """

    def __init__(self, *, quiet: bool, unit: str = "") -> None:
        self._quiet, self._unit = quiet, unit
        self._terminal = sys.stderr.isatty()
        self._bar: tqdm[NoReturn] | None = None
        self._stage: str | None = None
        self._began = self._said = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def update(self, stage: str, done: int, total: int) -> None:
        """`done` of `total` of a stage are done; a new name begins a new stage."""
        if self._quiet:
            return
        now = time.monotonic()
        fresh = stage != self._stage
        if fresh:
            self._stage, self._began = stage, now
        rate = done / (now - self._began) if now > self._began else 0.0
        if self._terminal:
            self._draw(stage, done, total, rate, fresh=fresh)
        elif fresh or done == total or now - self._said >= _LINE_INTERVAL_S:
            self._said = now
            click.echo(self._line(stage, done, total, rate), err=True)

    def _draw(self, stage: str, done: int, total: int, rate: float, *, fresh: bool) -> None:
        if fresh:
            self.__exit__(None, None, None)
        bar = self._bar
        if bar is None:
            bar = tqdm(desc=stage, total=total, bar_format=_BAR, file=sys.stderr)
        self._bar, bar.total = bar, total
        if self._unit and done:
            bar.set_postfix_str(f"{rate:.3g} {self._unit}/s", refresh=False)
        bar.update(done - bar.n)

    def _line(self, stage: str, done: int, total: int, rate: float) -> str:
        unit = f" {self._unit}" if self._unit else ""
        line = f"{stage}: {done} of {total}{unit}"
        if self._unit and done:
            line += f", {rate:.3g} {self._unit}/s"
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
