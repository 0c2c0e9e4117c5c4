"""How far the work is: a bar on a terminal, a line now and then elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import NoReturn, Self

import click
from tqdm import tqdm

__all__ = ["Progress"]

_LINE_INTERVAL_S = 5.0
"""Seconds between lines where there is no terminal."""


class Progress:
    """Counts through one stage after another, on standard error; a context manager.

    Parameters
    ----------
    quiet : say nothing
    unit : what is counted, in the plural, which is then told with how many a second; without it
        only the share is told
    """

    def __init__(self, *, quiet: bool, unit: str = "") -> None:
        self._quiet, self._unit = quiet, f" {unit}"
        self._terminal = sys.stderr.isatty()
        self._done = "{desc}: {n_fmt} of {total_fmt}" if unit else "{desc}: {percentage:3.0f} %"
        self._left = "{remaining} left" + (", {rate_noinv_fmt}" if unit else "")
        self._bar: tqdm[NoReturn] | None = None
        self._stage: str | None = None
        self._began = self._said = 0.0
        self._first = 0

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
        if self._terminal:
            self._draw(stage, done, total)
        elif done > 0:
            self._say(stage, done, total)

    def line(self, text: str) -> None:
        """Say a line, above the bar where there is one."""
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        else:
            click.echo(text, err=True)

    def _draw(self, stage: str, done: int, total: int) -> None:
        bar = self._bar
        if bar is None or bar.desc != stage:
            self.__exit__(None, None, None)
            form = f"{self._done}|{{bar}}| [{{elapsed}}, {self._left}]"
            bar = self._bar = tqdm(
                desc=stage, initial=done, total=total, unit=self._unit, bar_format=form
            )
        bar.total = total
        bar.update(done - bar.n)

    def _say(self, stage: str, done: int, total: int) -> None:
        now, fresh = time.monotonic(), stage != self._stage
        if fresh:
            # The first step may compile or open things: it says nothing about those that follow.
            self._stage, self._began, self._first = stage, now, done
        if fresh or done == total or now - self._said >= _LINE_INTERVAL_S:
            self._said = now
            line = tqdm.format_meter(
                done,
                total,
                now - self._began,
                initial=self._first,
                prefix=stage,
                unit=self._unit,
                bar_format=self._done if fresh else f"{self._done}, {self._left}",
            )
            click.echo(line, err=True)
