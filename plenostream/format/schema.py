"""The attributes of a scene: for each its type and range, said once for writers and readers."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from plenostream.errors import StoreFormat, shown
from plenostream.field.basis import BASIS_DIMS
from plenostream.field.grid import BRICK_SIZES

__all__ = ["ATTRIBUTES", "MOST_VOXELS_AN_AXIS", "OPTIONAL", "Rule", "check_attributes"]

MOST_VOXELS_AN_AXIS = 1 << 24
"""Whole numbers beyond it are not all float32; and a Morton code has room for 2^21 bricks of 8."""
_MOST_COUNTED = 1 << 48
"""Rows or bricks: times the bytes of one, this still fits int64."""
_LONGEST_TEXT = 1024
"""Characters; file systems end at 255 bytes."""
_MOST_LINES = 4096
_DIGEST = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What an attribute may be."""

    accepts: Callable[[object], bool]
    expected: str
    """What is accepted, in words, to stand after "expected"."""


def _is_whole(value: object, low: int, high: int) -> bool:
    # JSON's true is not a 1, and 9.0 is not a 9: what wrote them is not to be trusted with counts.
    return type(value) is int and low <= value <= high


def _is_finite(value: object) -> bool:
    if type(value) is int:
        return abs(value) <= sys.float_info.max
    return type(value) is float and math.isfinite(value)


def _whole(low: int, high: int) -> Rule:
    return Rule(
        accepts=lambda value: _is_whole(value, low, high),
        expected=f"a whole number from {low} to {high}",
    )


def _triple(accepts: Callable[[object], bool], expected: str) -> Rule:
    return Rule(
        accepts=lambda value: type(value) is list and len(value) == 3 and all(map(accepts, value)),
        expected=f"a list of three {expected}",
    )


def _one_of(*values: int | str | bool) -> Rule:
    return Rule(
        accepts=lambda value: any(type(value) is type(v) and value == v for v in values),
        expected=" or ".join(map(repr, values)),
    )


def _text() -> Rule:
    return Rule(
        accepts=lambda value: type(value) is str and len(value) <= _LONGEST_TEXT,
        expected=f"text of at most {_LONGEST_TEXT} characters",
    )


def _digest() -> Rule:
    return Rule(
        accepts=lambda value: type(value) is str and _DIGEST.fullmatch(value) is not None,
        expected="16 hexadecimal digits",
    )


_above_zero = "finite numbers above zero"

ATTRIBUTES: dict[str, Rule] = {
    "grid_size": _triple(
        lambda value: _is_whole(value, 2, MOST_VOXELS_AN_AXIS),
        f"whole numbers from 2 to {MOST_VOXELS_AN_AXIS}",
    ),
    "radius": _triple(lambda value: _is_finite(value) and value > 0, _above_zero),  # type: ignore[operator]
    "center": _triple(_is_finite, "finite numbers"),
    "basis_type": _one_of("SH"),
    "basis_dim": _one_of(*BASIS_DIMS),
    "brick_size": _one_of(*BRICK_SIZES),
    "n_bricks": _whole(0, _MOST_COUNTED),
    "n_occupied": _whole(0, _MOST_COUNTED),
    "n_voxels": _whole(0, _MOST_COUNTED),
    "n_rows": _whole(0, _MOST_COUNTED),
    "sh_dtype": _one_of("float16", "float32"),
    "density_rounding": Rule(
        accepts=lambda value: _is_finite(value) and value >= 0,  # type: ignore[operator]
        expected="a finite number, 0 or more",
    ),
    "converter": _text(),
    "source_name": _text(),
    "source_bytes": _whole(0, 2**63 - 1),
    "source_digest": _digest(),
    "tables_digest": _digest(),
}
"""By name: all but those that say which scene this is (`format_version`, `complete`, `checksum`)."""

OPTIONAL: dict[str, Rule] = {
    "history": Rule(
        accepts=lambda value: (
            type(value) is list and len(value) <= _MOST_LINES and all(map(_text().accepts, value))
        ),
        expected=f"a list of at most {_MOST_LINES} lines of {_LONGEST_TEXT} characters",
    ),
}
"""What scenes that were made in some ways have beside."""


def check_attributes(
    attributes: Mapping[str, object], *, where: str, names: Collection[str] = ATTRIBUTES
) -> None:
    """Refuse (StoreFormat) attributes that are missing or not what their rule says.

    The first one that is wrong is named, with what was got and what is expected; `where` is said.
    Attributes that have no rule are let be: a later version may add what changes nothing here.
    """
    rules = {name: ATTRIBUTES[name] for name in names}
    rules |= {name: rule for name, rule in OPTIONAL.items() if name in attributes}
    for name, rule in rules.items():
        if name not in attributes:
            raise StoreFormat(f"{where}: the attributes have no {name}; expected {rule.expected}")
        value = attributes[name]
        if not rule.accepts(value):
            raise StoreFormat(
                f"{where}: the attributes have {name} {shown(value)}; expected {rule.expected}"
            )
