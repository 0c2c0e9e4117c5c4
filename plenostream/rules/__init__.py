"""Rules of options: what values each takes, in which unit, and how that is said.

A rule is the one home of an option's type and range: the library checks by it, and the command
line reads its flags and writes its help with it.
"""

from __future__ import annotations

from plenostream.rules.base import Rule, check_record, described, require_kind, rules_of
from plenostream.rules.boxes import Box, Steps
from plenostream.rules.colours import Colour
from plenostream.rules.numbers import (
    Memory,
    Number,
    Pixel,
    Region,
    Size,
    Truth,
    Whole,
    format_number,
)
from plenostream.rules.points import Lengths, Point, real_array, real_rows
from plenostream.rules.projection import Projection
from plenostream.rules.words import (
    Choice,
    DeviceName,
    Names,
    Spelled,
    ViewNumbers,
    parse_view_numbers,
)

__all__ = [
    "Box",
    "Choice",
    "Colour",
    "DeviceName",
    "Lengths",
    "Memory",
    "Names",
    "Number",
    "Pixel",
    "Point",
    "Projection",
    "Region",
    "Rule",
    "Size",
    "Spelled",
    "Steps",
    "Truth",
    "ViewNumbers",
    "Whole",
    "check_record",
    "described",
    "format_number",
    "parse_view_numbers",
    "real_array",
    "real_rows",
    "require_kind",
    "rules_of",
]
