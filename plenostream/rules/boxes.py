"""Rules of boxes and of steps along the axes."""

from __future__ import annotations

from dataclasses import dataclass

from plenostream.rules.base import Rule
from plenostream.rules.numbers import format_number
from plenostream.rules.points import real_array

__all__ = ["Box", "Steps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box(Rule):
    """Two opposite corners, the lower one first; kept as a tuple of six numbers."""

    most: float
    """Largest magnitude of a coordinate."""

    @property
    def expected(self) -> str:
        return (
            "six numbers X0,Y0,Z0,X1,Y1,Z1, such as -1,-1,0,1,1,0.5, the first three below the "
            f"others, {self.range}"
        )

    @property
    def range(self) -> str:
        most = format_number(self.most)
        return f"each -{most} to {most}"

    @property
    def metavar(self) -> str:
        return "X0,Y0,Z0,X1,Y1,Z1"

    def _checked(self, name: str, value: object) -> tuple[float, ...]:
        try:
            corners = real_array(value)
        except ValueError:
            raise self.refusal(name, value) from None
        flat = corners.reshape(-1)
        if flat.shape != (6,) or not (abs(flat) <= self.most).all():
            raise self.refusal(name, value)
        if not (flat[:3] < flat[3:]).all():
            raise self.refusal(name, value)
        return tuple(flat.tolist())

    def parse(self, text: str) -> object:
        try:
            return tuple(float(part) for part in text.split(","))
        except ValueError:
            return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps(Rule):
    """Whole numbers along the three axes; kept as a tuple."""

    most: int
    """Largest magnitude."""
    unit: str
    least: int | None = None
    """Smallest number; None: minus `most`."""

    @property
    def _smallest(self) -> int:
        return -self.most if self.least is None else self.least

    @property
    def expected(self) -> str:
        example = "64,0,-32" if self._smallest < 0 else "64,96,128"
        return f"three whole numbers X,Y,Z, such as {example}, {self.range}"

    @property
    def range(self) -> str:
        return f"each {self._smallest} to {self.most} {self.unit}"

    @property
    def metavar(self) -> str:
        return "X,Y,Z"

    def _checked(self, name: str, value: object) -> tuple[int, int, int]:
        try:
            steps = real_array(value)
        except ValueError:
            raise self.refusal(name, value) from None
        whole = [int(step) for step in steps.reshape(-1) if float(step).is_integer()]
        if len(whole) != 3 or steps.shape != (3,):
            raise self.refusal(name, value)
        if min(whole) < self._smallest or max(whole) > self.most:
            raise self.refusal(name, value)
        return whole[0], whole[1], whole[2]

    def parse(self, text: str) -> object:
        try:
            return tuple(int(part) for part in text.split(","))
        except ValueError:
            return text
