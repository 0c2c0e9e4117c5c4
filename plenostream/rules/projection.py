"""Rule of a reference camera: what normalised device coordinates are made with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from plenostream.errors import InvalidInput
from plenostream.rules.base import Rule
from plenostream.rules.numbers import Number

__all__ = ["Projection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection(Rule):
    """Width, height and focal lengths, kept as four numbers; or one of `words`."""

    least: float
    most: float
    """Of each number, in pixels."""
    words: tuple[str, ...] = ()

    @property
    def _number(self) -> Number:
        return Number(help="", least=self.least, most=self.most, unit="pixels")

    @property
    def expected(self) -> str:
        words = "".join(f", or {word}" for word in self.words)
        return f"WIDTH,HEIGHT,FOCAL_X[,FOCAL_Y], each {self._number.range}{words}"

    @property
    def range(self) -> str:
        return ""

    @property
    def metavar(self) -> str:
        return "|".join(["W,H,FX[,FY]", *self.words])

    def _checked(self, name: str, value: object) -> Any:
        if isinstance(value, str):
            if value in self.words:
                return value
            raise self.refusal(name, value)
        given = list(value) if isinstance(value, Iterable) else []
        if len(given) not in (3, 4):
            raise self.refusal(name, value)
        try:
            checked = [self._number.check(name, each) for each in given]
        except InvalidInput:
            raise self.refusal(name, value) from None
        return (*checked, checked[-1]) if len(checked) == 3 else tuple(checked)

    def parse(self, text: str) -> object:
        try:
            return tuple(float(part) for part in text.split(","))
        except ValueError:
            return text.strip()
