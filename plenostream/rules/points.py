"""Rules of points and of tables of them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InvalidInput
from plenostream.rules.base import Rule
from plenostream.rules.numbers import format_number
from plenostream.text import shown

__all__ = ["Point", "real_rows"]


def _real_array(value: object) -> NDArray[np.float64] | None:
    """`value` as float64, the same array where it is one; None for all but real numbers.

    Numbers beyond float64 become infinite.
    """
    if np.ma.isMaskedArray(value):
        if np.ma.getmaskarray(value).any():
            return None
        value = np.ma.getdata(value)
    try:
        array = value if isinstance(value, np.ndarray) else _from_sequence(value)
    except (TypeError, ValueError, OverflowError, Warning):
        return None
    if array.dtype.kind not in "iuf":
        return None
    with np.errstate(over="ignore"):
        return array.astype(np.float64, copy=False)


def _from_sequence(value: object) -> NDArray[Any]:
    with warnings.catch_warnings():
        # That a masked value in a list would become NaN, NumPy says in a warning only.
        warnings.simplefilter("error")
        return np.asarray(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point(Rule):
    """A place in the world, [3]."""

    most: float
    """Largest magnitude of a coordinate (world units)."""

    @property
    def expected(self) -> str:
        return f"three numbers X,Y,Z, such as 1.5,-2,0.8, {self.range}"

    @property
    def range(self) -> str:
        most = format_number(self.most)
        return f"each -{most} to {most} world units"

    @property
    def metavar(self) -> str:
        return "X,Y,Z"

    def _checked(self, name: str, value: object) -> NDArray[np.float64]:
        point = _real_array(value)
        if point is None or point.shape != (3,) or not (np.abs(point) <= self.most).all():
            raise self.refusal(name, value)
        return point

    def parse(self, text: str) -> object:
        try:
            x, y, z = (float(part) for part in text.split(","))
        except ValueError:
            return text
        return x, y, z


def real_rows(name: str, value: object, *, most: float | None = None) -> NDArray[np.float64]:
    """`value` as float64 [n, 3], the same array where it is one.

    Raises
    ------
    InvalidInput : not real numbers, not of this shape, not finite, or larger than `most`.
    """
    rows = _real_array(value)
    if rows is None:
        kind = getattr(value, "dtype", type(value).__name__)
        raise InvalidInput(
            f"{name} is {shown(value)} ({kind}); expected real numbers [n, 3], none of them masked"
        )
    if rows.ndim != 2 or rows.shape[1] != 3:
        raise InvalidInput(f"{name} has the shape {rows.shape}; expected [n, 3]")
    sound = np.isfinite(rows) if most is None else np.abs(rows) <= most
    if not sound.all():
        row = int(np.argmin(sound.all(axis=1)))
        said = "finite numbers" if most is None else f"numbers up to {format_number(most)}"
        raise InvalidInput(f"{name} of ray {row} is {rows[row]}; expected {said}")
    return rows
