"""The rule of colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plenostream.rules.base import Rule
from plenostream.rules.points import real_array

__all__ = ["Colour"]

_WORDS: Mapping[str, float] = {"white": 1.0, "black": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour(Rule):
    """One number for all channels, or red, green and blue; kept as a float or a tuple of three."""

    words: tuple[str, ...] = ()
    """Words that are taken too, and kept."""

    @property
    def expected(self) -> str:
        words = ", ".join((*_WORDS, *self.words))
        return f"{words}, one number or three R,G,B, {self.range}"

    @property
    def range(self) -> str:
        return "each 0 to 1"

    @property
    def metavar(self) -> str:
        return f"{'|'.join((*_WORDS, *self.words))}|NUMBER|R,G,B"

    def _checked(self, name: str, value: object) -> float | str | tuple[float, ...]:
        if isinstance(value, str) and value in self.words:
            return value
        if isinstance(value, str) and value in _WORDS:
            return _WORDS[value]
        try:
            channels = real_array(value)
        except ValueError:
            raise self.refusal(name, value) from None
        if channels.shape not in ((), (3,)) or not ((channels >= 0) & (channels <= 1)).all():
            raise self.refusal(name, value)
        kept: float | list[float] = channels.tolist()
        return tuple(kept) if isinstance(kept, list) else kept

    def parse(self, text: str) -> object:
        try:
            channels = tuple(float(part) for part in text.split(","))
        except ValueError:
            return text.strip()
        return channels[0] if len(channels) == 1 else channels
