"""The attributes of a scene: for each its type and range, said once for writers and readers."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeGuard

from plenostream.errors import StoreFormat, shown
from plenostream.field.basis import BASIS_DIMS, MOST_FUNCTIONS
from plenostream.field.grid import BRICK_SIZES
from plenostream.field.levels import MOST_LEVELS
from plenostream.format.table_sections import MOST_SECTIONS
from plenostream.options import LARGEST_PROJECTION, SHORTEST_PROJECTION

__all__ = [
    "ATTRIBUTES",
    "BACKGROUND_ATTRIBUTES",
    "BASIS_ATTRIBUTES",
    "MOST_FREQUENCIES",
    "MOST_HEIGHT",
    "MOST_LAYERS",
    "MOST_RESOLUTION",
    "MOST_VOXELS_AN_AXIS",
    "MOST_WIDTH",
    "NDC_ATTRIBUTES",
    "OPTIONAL",
    "Rule",
    "check_attributes",
]

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


def _is_finite(value: object) -> TypeGuard[float]:
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
    "radius": _triple(lambda value: _is_finite(value) and value > 0, _above_zero),
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
        accepts=lambda value: _is_finite(value) and value >= 0,
        expected="a finite number, 0 or more",
    ),
    "converter": _text(),
    "source_name": _text(),
    "source_bytes": _whole(0, 2**63 - 1),
    "source_digest": _digest(),
    "tables_digest": _digest(),
}
"""By name: all but those that say which scene this is (`format_version`, `complete`, `checksum`)."""

_LEVEL = {
    name: ATTRIBUTES[name]
    for name in (
        "n_bricks",
        "n_occupied",
        "n_voxels",
        "n_rows",
        "density_rounding",
        "tables_digest",
    )
}

_SECTIONS = {
    "table_places": _digest(),
    "table_sections": Rule(
        accepts=lambda value: (
            type(value) is list
            and len(value) <= MOST_SECTIONS
            and all(map(_digest().accepts, value))
        ),
        expected=f"a list of at most {MOST_SECTIONS} digests of 16 hexadecimal digits",
    ),
}

OPTIONAL: dict[str, Rule] = {
    **_SECTIONS,
    "levels": Rule(
        accepts=lambda value: (
            type(value) is list
            and len(value) <= MOST_LEVELS
            and all(
                type(level) is dict
                and set(_LEVEL) <= set(level)
                and all(rule.accepts(level[name]) for name, rule in _LEVEL.items())
                and all(
                    rule.accepts(level[name]) for name, rule in _SECTIONS.items() if name in level
                )
                for level in value
            )
        ),
        expected=f"a list of at most {MOST_LEVELS} levels, each with {', '.join(_LEVEL)}",
    ),
    "history": Rule(
        accepts=lambda value: (
            type(value) is list and len(value) <= _MOST_LINES and all(map(_text().accepts, value))
        ),
        expected=f"a list of at most {_MOST_LINES} lines of {_LONGEST_TEXT} characters",
    ),
}
"""What scenes that were made in some ways have beside."""

MOST_HEIGHT, MOST_LAYERS = 8192, 1024
"""Of background layers: texels from pole to pole, and layers."""
MOST_RESOLUTION = 512
"""Of a texture basis: voxels an axis."""
MOST_WIDTH, MOST_FREQUENCIES, _MOST_WIDTHS = 1024, 16, 16
"""Of a network: numbers between two layers, frequencies of the encoding, and `basis_widths`."""

BACKGROUND_ATTRIBUTES: dict[str, Rule] = {
    "background_height": _whole(1, MOST_HEIGHT),
    "background_layers": _whole(2, MOST_LAYERS),
    "background_rows": _whole(0, 2**31 - 1),
    "background_digest": _digest(),
}
"""Beside the others, of scenes that have a background."""

_LEARNED = {
    "basis_dim": _whole(1, MOST_FUNCTIONS),
    "basis_bound": _triple(
        lambda value: _is_finite(value) and value >= 0,
        "finite numbers, 0 or more",
    ),
    "basis_digest": _digest(),
}
BASIS_ATTRIBUTES: dict[str, dict[str, Rule]] = {
    "texture": {
        "basis_type": _one_of("texture"),
        "basis_resolution": _whole(2, MOST_RESOLUTION),
        **_LEARNED,
    },
    "MLP": {
        "basis_type": _one_of("MLP"),
        "basis_frequencies": _whole(0, MOST_FREQUENCIES),
        "basis_widths": Rule(
            accepts=lambda value: (
                type(value) is list
                and 2 <= len(value) <= _MOST_WIDTHS
                and all(_is_whole(width, 1, MOST_WIDTH) for width in value)
            ),
            expected=f"a list of 2 to {_MOST_WIDTHS} whole numbers from 1 to {MOST_WIDTH}",
        ),
        **_LEARNED,
    },
}
"""By `basis_type`, in place of the others or beside them, of scenes with another basis."""


NDC_ATTRIBUTES: dict[str, Rule] = {
    "ndc": Rule(
        accepts=lambda value: (
            type(value) is list
            and len(value) == 4
            and all(_is_finite(v) and SHORTEST_PROJECTION <= v <= LARGEST_PROJECTION for v in value)
        ),
        expected=f"a list of four numbers from {SHORTEST_PROJECTION:g} to {LARGEST_PROJECTION:g}",
    ),
}
"""Beside the others, of scenes in normalised device coordinates."""


def rules_of(attributes: Mapping[str, object]) -> dict[str, Rule]:
    """The rules of a scene's attributes; version 1 has no background and no other basis."""
    rules = ATTRIBUTES | {name: rule for name, rule in OPTIONAL.items() if name in attributes}
    if attributes.get("format_version", 1) == 1:
        return rules
    basis = attributes.get("basis_type")
    if isinstance(basis, str):
        rules |= BASIS_ATTRIBUTES.get(basis, {})
    if any(name in attributes for name in BACKGROUND_ATTRIBUTES):
        rules |= BACKGROUND_ATTRIBUTES
    if "ndc" in attributes:
        rules |= NDC_ATTRIBUTES
    return rules


def check_attributes(attributes: Mapping[str, object], *, where: str) -> None:
    """Refuse (StoreFormat) attributes that are missing or not what their rule says.

    The first one that is wrong is named, with what was got and what is expected; `where` is said.
    Attributes that have no rule are let be: a later version may add what changes nothing here.
    """
    for name, rule in rules_of(attributes).items():
        if name not in attributes:
            raise StoreFormat(f"{where}: the attributes have no {name}; expected {rule.expected}")
        value = attributes[name]
        if not rule.accepts(value):
            raise StoreFormat(
                f"{where}: the attributes have {name} {shown(value)}; expected {rule.expected}"
            )
