"""Rules of numbers, counts, sizes and truth values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from numbers import Integral, Real

import numpy as np

from plenostream.rules.base import Rule
from plenostream.rules.bytesize import parse_bytes

__all__ = ["Memory", "Number", "Pixel", "Region", "Size", "Truth", "Whole", "format_number"]


def format_number(value: float) -> str:
    """1e-06 -> "1e-6": a limit as people write it."""
    if value == int(value) and abs(value) <= 1_000_000:
        return str(int(value))
    return re.sub(r"e([+-])0*", lambda m: "e" + m[1].replace("+", ""), f"{value:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Rule):
    """A number of a range that float32, in which pictures are computed, holds.

    Where zero is in the range, so is all that float32 rounds to zero.
    """

    least: float
    most: float
    unit: str = ""
    words: tuple[str, ...] = ()
    """Words that are taken too."""

    @property
    def expected(self) -> str:
        return " or ".join([*self.words, f"a number from {self.range}"])

    @property
    def range(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"{format_number(self.least)} to {format_number(self.most)}{unit}"

    @property
    def metavar(self) -> str:
        return "|".join([*self.words, "NUMBER"])

    def _checked(self, name: str, value: object) -> float | str:
        if isinstance(value, str) and value in self.words:
            return value
        number = math.nan
        # NumPy's scalars count as numbers, truth values do not.
        if isinstance(value, Real) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:  # an integer beyond float64
                number = math.inf
        if not self.least <= number <= self.most:
            raise self.refusal(name, value)
        return number

    def parse(self, text: str) -> object:
        try:
            return float(text)
        except ValueError:
            return text.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Rule):
    """A count."""

    least: int
    most: int
    unit: str = ""
    words: tuple[str, ...] = ()
    """Words that are taken too."""

    @property
    def expected(self) -> str:
        return " or ".join([*self.words, f"a whole number from {self.range}"])

    @property
    def range(self) -> str:
        return f"{self.least} to {self.most} {self.unit}".rstrip()

    @property
    def metavar(self) -> str:
        return "|".join([*self.words, "N"])

    def _checked(self, name: str, value: object) -> int | str:
        if isinstance(value, str) and value in self.words:
            return value
        if isinstance(value, Integral) and not isinstance(value, bool):
            number = int(value)
            if self.least <= number <= self.most:
                return number
        raise self.refusal(name, value)

    def parse(self, text: str) -> object:
        try:
            return int(text)
        except ValueError:
            return text.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory(Rule):
    """Bytes: an integer, or text such as "512MB"; kept as it is given."""

    @property
    def expected(self) -> str:
        return "a size such as 512MB, 2GB or 1.5GiB"

    @property
    def range(self) -> str:
        return "1B to 1000000TB"

    @property
    def metavar(self) -> str:
        return "SIZE"

    def _checked(self, name: str, value: object) -> object:
        parse_bytes(value, name=name)  # type: ignore[arg-type]
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Size(Rule):
    """Width and height of a picture."""

    most: int
    """Pixels of an edge."""
    _edge: Whole = field(init=False, repr=False)

    def __post_init__(self) -> None:
        edge = Whole(help="", least=1, most=self.most, unit="pixels")
        object.__setattr__(self, "_edge", edge)

    @property
    def expected(self) -> str:
        return f"WIDTHxHEIGHT, such as 800x600, each {self._edge.range}"

    @property
    def range(self) -> str:
        return f"each {self._edge.range}"

    @property
    def metavar(self) -> str:
        return "WxH"

    def _checked(self, name: str, value: object) -> tuple[int, int]:
        edges = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else []
        if len(edges) != 2:
            raise self.refusal(name, value)
        try:
            width, height = (self._edge.check(name, edge) for edge in edges)
        except ValueError:
            raise self.refusal(name, value) from None
        return width, height

    def parse(self, text: str) -> object:
        match = re.fullmatch(r"([0-9]{1,9})\s*[xX]\s*([0-9]{1,9})", text.strip())
        return text if match is None else (int(match[1]), int(match[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Region(Rule):
    """A part of a picture: its left top, width and height."""

    most: int
    """Pixels of an edge."""

    @property
    def expected(self) -> str:
        return f"LEFT,TOP,WIDTH,HEIGHT in whole pixels, such as 100,0,400,300, up to {self.most}"

    @property
    def range(self) -> str:
        return ""

    @property
    def metavar(self) -> str:
        return "X,Y,W,H"

    def _checked(self, name: str, value: object) -> tuple[int, int, int, int]:
        given = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else []
        if len(given) != 4:
            raise self.refusal(name, value)
        corner = Whole(help="", least=0, most=self.most, unit="pixels")
        edge = Whole(help="", least=1, most=self.most, unit="pixels")
        try:
            left, top = (corner.check(name, number) for number in given[:2])
            width, height = (edge.check(name, number) for number in given[2:])
        except ValueError:
            raise self.refusal(name, value) from None
        return left, top, width, height

    def parse(self, text: str) -> object:
        match = re.fullmatch(r"\s*,\s*".join([r"([0-9]{1,9})"] * 4), text.strip())
        return text if match is None else tuple(map(int, match.groups()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixel(Rule):
    """Column and row of a pixel, counted from 0."""

    most: int
    """Pixels of an edge."""

    @property
    def expected(self) -> str:
        return f"COLUMN,ROW in whole pixels from 0, such as 400,300, up to {self.most}"

    @property
    def range(self) -> str:
        return ""

    @property
    def metavar(self) -> str:
        return "X,Y"

    def _checked(self, name: str, value: object) -> tuple[int, int]:
        given = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else []
        edge = Whole(help="", least=0, most=self.most)
        if len(given) != 2:
            raise self.refusal(name, value)
        try:
            column, row = (edge.check(name, number) for number in given)
        except ValueError:
            raise self.refusal(name, value) from None
        return column, row

    def parse(self, text: str) -> object:
        match = re.fullmatch(r"([0-9]{1,9})\s*,\s*([0-9]{1,9})", text.strip())
        return text if match is None else (int(match[1]), int(match[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth(Rule):
    """True or False; a flag without a value."""

    @property
    def expected(self) -> str:
        return "True or False"

    @property
    def metavar(self) -> str:
        return ""

    def _checked(self, name: str, value: object) -> bool:
        if not isinstance(value, bool | np.bool_):
            raise self.refusal(name, value)
        return bool(value)
