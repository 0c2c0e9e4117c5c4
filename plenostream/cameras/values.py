"""Checks numbers of camera files and of callers: real, finite, not a truth value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, TypeGuard

from plenostream.errors import CameraError, shown

__all__ = ["finite_number", "is_number", "one_number", "one_pixels"]


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a real number: NumPy's scalars are, a truth value is none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def finite_number(value: object) -> float | None:
    """A real, finite number as a Python float; None for anything else."""
    if not is_number(value):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer beyond float64
        return None
    return number if math.isfinite(number) else None


def one_number(values: Mapping[str, Any], keys: Sequence[str]) -> float | None:
    """The number that one or more of `keys`, spellings of one thing, give; None without any.

    Raises
    ------
    CameraError : not a finite number, or spellings that contradict each other.
    """
    numbers: dict[str, float] = {}
    for key in keys:
        if key not in values:
            continue
        number = finite_number(values[key])
        if number is None:
            raise CameraError(f"`{key}` is {shown(values[key])}; expected a finite number")
        numbers[key] = number
    if len(set(numbers.values())) > 1:
        text = ", ".join(f"`{key}` is {number:g}" for key, number in numbers.items())
        raise CameraError(f"{text}: they mean the same and contradict each other")
    return next(iter(numbers.values()), None)


def one_pixels(values: Mapping[str, Any], keys: Sequence[str]) -> int | None:
    """The same for a whole number of pixels; 800.0 is one."""
    number = one_number(values, keys)
    if number is not None and number != int(number):
        key = next(key for key in keys if key in values)
        raise CameraError(f"`{key}` is {number}; expected a whole number of pixels")
    return None if number is None else int(number)
