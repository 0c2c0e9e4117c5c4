"""Rules of what is chosen from a list: words, names and views."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from plenostream.errors import InvalidInput, shown
from plenostream.rules.base import Rule

__all__ = ["Choice", "DeviceName", "Names", "Spelled", "ViewNumbers", "parse_view_numbers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Rule):
    """One of a few words or whole numbers."""

    choices: tuple[str, ...] | tuple[int, ...]

    @property
    def expected(self) -> str:
        return f"one of {', '.join(map(str, self.choices))}"

    @property
    def range(self) -> str:
        return ""

    @property
    def metavar(self) -> str:
        return "|".join(map(str, self.choices))

    def _checked(self, name: str, value: object) -> str | int:
        simple = isinstance(value, str | Integral) and not isinstance(value, bool)
        for choice in self.choices:
            if simple and choice == value:
                return choice
        raise self.refusal(name, value)

    def parse(self, text: str) -> object:
        return next((choice for choice in self.choices if str(choice) == text), text)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceName(Rule):
    """A platform that JAX may have and, where it has several devices, the number of one of them."""

    platforms: tuple[str, ...]

    @property
    def expected(self) -> str:
        return f"one of {', '.join(self.platforms)}, or that and a number, such as cuda:1"

    @property
    def range(self) -> str:
        return ""

    @property
    def metavar(self) -> str:
        return f"{'|'.join(self.platforms)}[:N]"

    def _checked(self, name: str, value: object) -> str:
        if isinstance(value, str):
            platform, colon, number = value.partition(":")
            sound = re.fullmatch("[0-9]{1,4}", number) if colon else True
            if platform in self.platforms and sound:
                return value
        raise self.refusal(name, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names(Rule):
    """One or more of a few names, each once; kept as a tuple in the order of `choices`."""

    choices: tuple[str, ...]

    @property
    def expected(self) -> str:
        return f"one or more of {', '.join(self.choices)}, each once"

    @property
    def range(self) -> str:
        return ""

    @property
    def metavar(self) -> str:
        return ",".join(self.choices)

    def _checked(self, name: str, value: object) -> tuple[str, ...]:
        given = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else []
        known = [one for one in given if isinstance(one, str) and one in self.choices]
        if not given or len(known) < len(given) or len(set(known)) < len(known):
            raise self.refusal(name, value)
        return tuple(choice for choice in self.choices if choice in known)

    def parse(self, text: str) -> object:
        return tuple(part.strip() for part in text.split(","))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelled(Rule):
    """Text of a certain form."""

    pattern: str
    """Regular expression of the whole text."""
    form: str
    """The same for people, with an example."""
    shown_as: str
    """What stands for it in a command's help."""

    @property
    def expected(self) -> str:
        return self.form

    @property
    def range(self) -> str:
        return ""

    @property
    def metavar(self) -> str:
        return self.shown_as

    def _checked(self, name: str, value: object) -> str:
        if not isinstance(value, str) or re.fullmatch(self.pattern, value) is None:
            raise self.refusal(name, value)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewNumbers(Rule):
    """ViewNumbers of a file, counted from 0: numbers, or text such as "0,3,8-12"."""

    @property
    def expected(self) -> str:
        return "numbers from 0 and runs of them, such as 0,3,8-12"

    @property
    def range(self) -> str:
        return "from 0"

    @property
    def metavar(self) -> str:
        return "0,3,8-12"

    def _checked(self, name: str, value: object) -> Any:
        """Runs of views, in order."""
        if isinstance(value, str):
            return parse_view_numbers(value, name=name)
        listed: Any = value.tolist() if isinstance(value, np.ndarray) else value
        sound = isinstance(listed, Sequence) and not isinstance(listed, bytes | bytearray)
        given: list[Any] = [*listed] if sound else []
        if given and all(
            isinstance(run, range) and run and run.start >= 0 and run.step == 1 for run in given
        ):
            return given  # what this has given before
        whole = [n for n in given if isinstance(n, Integral) and not isinstance(n, bool)]
        numbers = [int(n) for n in whole]
        if not given or len(numbers) < len(given) or min(numbers) < 0:
            raise self.refusal(name, value)
        if len(set(numbers)) < len(numbers):
            raise InvalidInput(f"{name} is {shown(value)}; a number was named before")
        return [range(n, n + 1) for n in numbers]


def parse_view_numbers(text: str, *, name: str = "views") -> list[range]:
    """Runs of view numbers that `text` names, in its order: "0,3,8-12" -> [0], [3], [8 to 12].

    Raises
    ------
    InvalidInput : not of this form, a run that ends before it begins, a number named twice.
    """
    runs: list[range] = []
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        sound = first.isascii() and first.isdigit() and len(first) < 16
        if dash:
            sound = sound and last.isascii() and last.isdigit() and len(last) < 16
        if not sound:
            raise InvalidInput(
                f"{name} is {shown(text)}: {shown(part.strip())} is not a view; expected numbers "
                "from 0 and runs of them, such as 0,3,8-12"
            )
        run = range(int(first), int(last if dash else first) + 1)
        if not run:
            raise InvalidInput(
                f"{name} is {shown(text)}: the run {shown(part.strip())} ends before it begins"
            )
        runs.append(run)
    in_order = sorted(runs, key=lambda run: run.start)
    for one, other in zip(in_order, in_order[1:], strict=False):
        if other.start < one.stop:
            raise InvalidInput(f"{name} is {shown(text)}: {other.start} was named before")
    return runs
