"""Sizes in bytes, as people write them: "512MB" <-> 512_000_000.

Decimal units are powers of 1000 (kB, MB, GB, TB), binary ones of 1024 (KiB, MiB, GiB, TiB);
capitals do not matter. A plain number is a number of bytes.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Context
from fractions import Fraction
from numbers import Integral

from plenostream.errors import InvalidInput

__all__ = ["format_bytes", "format_least_bytes", "parse_bytes"]

_UNITS = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgt", start=1):
    _UNITS[_letter] = _UNITS[f"{_letter}b"] = 1000**_power
    _UNITS[f"{_letter}i"] = _UNITS[f"{_letter}ib"] = 1024**_power

_SIZE = re.compile(r"\s*([0-9]{1,24}(?:\.[0-9]{0,24})?|\.[0-9]{1,24})\s*([a-z]*)\s*", re.IGNORECASE)


LARGEST_BYTES = 10**18
"""More than any machine has, and less than overflows any count of ours."""


def parse_bytes(size: int | str, *, name: str = "size") -> int:
    """Number of bytes that `size` names, rounded down; `name` is said in the error.

    Raises
    ------
    InvalidInput : not a size, not above zero, or beyond `LARGEST_BYTES`.
    """
    if isinstance(size, str):
        match = _SIZE.fullmatch(size)
        unit = _UNITS.get(match[2].lower()) if match else None
        if match is None or unit is None:
            raise InvalidInput(
                f"{name} is {size[:80]!r}; expected a size such as 512MB, 2GB or 1.5GiB"
            )
        # A fraction: as a float, 0.29 GB would be a byte short of 290,000,000.
        n_bytes = int(Fraction(match[1]) * unit)
    elif isinstance(size, Integral) and not isinstance(size, bool):
        n_bytes = int(size)
    else:
        raise InvalidInput(
            f"{name} is {str(size)[:80]!r}; expected bytes as an integer, or text like '2GB'"
        )
    if n_bytes <= 0:
        raise InvalidInput(f"{name} is zero or less, which is no size; expected a size above zero")
    if n_bytes > LARGEST_BYTES:
        raise InvalidInput(f"{name} is larger than 1000000TB; expected a size such as 2GB")
    return n_bytes


def format_bytes(n_bytes: int) -> str:
    """`n_bytes` in decimal units with three digits or so: 2_711_148 -> "2.71 MB"."""
    value = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 999.5:
            return f"{n_bytes} B" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1000
    # There is no larger unit, and ".3g" turns to powers of ten at 1000.
    return f"{value:.3g} TB" if abs(value) < 999.5 else f"{value:.0f} TB"


def format_least_bytes(n_bytes: int) -> str:
    """`n_bytes` or up to a hundredth more, as an option takes it: 41_531_000_000 -> "41.6GB"."""
    # Rounded to the nearest, the size that is asked for would be refused when it is given.
    up = int(Context(prec=3, rounding=ROUND_CEILING).create_decimal(n_bytes))
    return format_bytes(up).replace(" ", "")
