"""Rules of points and of tables of them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InvalidInput, shown
from plenostream.rules.base import Rule
from plenostream.rules.numbers import format_number

__all__ = ["Lengths", "Point", "real_array", "real_rows"]


def real_array(value: object) -> NDArray[np.float64]:
    """`value` as float64, the same array where it is one; numbers beyond float64 are infinite.

    Raises
    ------
    ValueError : text, complex numbers, truth values, masked values, rows of unequal lengths,
        anything else; says which, in words that follow "is not".
    """
    if np.ma.isMaskedArray(value):
        if np.ma.getmaskarray(value).any():
            raise ValueError("a table of real numbers (some are masked)")
        value = np.ma.getdata(value)
    try:
        array = value if isinstance(value, np.ndarray) else _from_sequence(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError("a table of numbers (its rows are of unequal lengths)") from error
    except UserWarning as error:
        raise ValueError("a table of real numbers (some are masked)") from error
    if array.dtype.kind == "O":  # integers beyond 64 bits are, and so is what is no number
        for item in array.flat:
            if not isinstance(item, Real) or isinstance(item, bool):
                raise ValueError(f"a table of real numbers (it holds {shown(item)})")
    elif array.dtype.kind not in "iuf":
        raise ValueError(f"a table of real numbers (its type is {array.dtype.name})")
    try:
        with np.errstate(over="ignore"):  # infinity is refused by whoever asks, with its place
            return array.astype(np.float64, copy=False)
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError("a table of real numbers (one is too large)") from error


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
        try:
            point = real_array(value)
        except ValueError:
            raise self.refusal(name, value) from None
        if point.shape != (3,) or not (np.abs(point) <= self.most).all():
            raise self.refusal(name, value)
        return point

    def parse(self, text: str) -> object:
        try:
            x, y, z = (float(part) for part in text.split(","))
        except ValueError:
            return text
        return x, y, z


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths(Rule):
    """Lengths along the three axes; kept as a tuple."""

    least: float
    most: float
    """Smallest and largest length (world units)."""

    @property
    def expected(self) -> str:
        return f"three lengths X,Y,Z, such as 0.7,0.7,1.5, {self.range}"

    @property
    def range(self) -> str:
        return f"each {format_number(self.least)} to {format_number(self.most)} world units"

    @property
    def metavar(self) -> str:
        return "X,Y,Z"

    def _checked(self, name: str, value: object) -> tuple[float, ...]:
        try:
            lengths = real_array(value)
        except ValueError:
            raise self.refusal(name, value) from None
        if lengths.shape != (3,) or not ((lengths >= self.least) & (lengths <= self.most)).all():
            raise self.refusal(name, value)
        return tuple(lengths.tolist())

    def parse(self, text: str) -> object:
        try:
            return tuple(float(part) for part in text.split(","))
        except ValueError:
            return text


def real_rows(name: str, value: object, *, most: float | None = None) -> NDArray[np.float64]:
    """`value` as float64 [n, 3], the same array where it is one.

    Raises
    ------
    InvalidInput : not real numbers, not of this shape, not finite, or larger than `most`.
    """
    try:
        rows = real_array(value)
    except ValueError as error:
        raise InvalidInput(
            f"{name} is {shown(value)}; expected [n, 3], and it is not {error}"
        ) from error
    if rows.ndim != 2 or rows.shape[1] != 3:
        raise InvalidInput(f"{name} has the shape {rows.shape}; expected [n, 3]")
    sound = np.isfinite(rows) if most is None else np.abs(rows) <= most
    if not sound.all():
        row = int(np.argmin(sound.all(axis=1)))
        said = "finite numbers" if most is None else f"numbers up to {format_number(most)}"
        raise InvalidInput(f"{name} of ray {row} is {rows[row]}; expected {said}")
    return rows
