"""How coarse a picture has to be to come in time, and which parts a fine one is drawn in."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pace", "Patch", "patches_of"]

_FAST_S, _AIM_S, _SLOW_S = 0.03, 0.05, 0.07
"""Seconds that a picture of a moving camera takes: below the first the next may be finer, above the
last it has to be coarser. Ten a second leave 0.1; between the two nothing changes, so that
pictures do not jump from one size to another and back."""
_PATCH_S = 0.1
"""Seconds that a patch may take: others wait for their turn meanwhile."""
_DIVISORS = (1, 2, 3, 4, 6, 8)
"""Parts of the resolution; few, since some backends compile programs for each size."""
_EDGES = (512, 256, 128)
"""Pixels along an edge of a patch, about."""
_FIRST_PIXELS = 128.0 * 128.0
_FEWEST_PIXELS, _MOST_PIXELS = 32.0 * 32.0, 1e8
_LEAST_CHANGE, _MOST_CHANGE = 0.4, 1.5
"""From one picture to the next: one that had to read bricks says little about the one after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A part of a picture, in pixels."""

    left: int
    top: int
    width: int
    height: int


class Pace:
    """Learns from pictures how large the next may be."""

    def __init__(self) -> None:
        self._pixels = _FIRST_PIXELS

    def divisor(self, width: int, height: int) -> int:
        """What to divide a moving picture's edges by."""
        for divisor in _DIVISORS:
            if width * height <= self._pixels * divisor * divisor:
                return divisor
        return _DIVISORS[-1]

    def drew(self, n_pixels: int, seconds: float) -> None:
        """A moving picture of so many pixels took so long."""
        if _FAST_S <= seconds <= _SLOW_S:
            return
        aim = _AIM_S if seconds < _FAST_S else _SLOW_S
        # What a picture takes beside its pixels makes this too few of them, never too many.
        within = n_pixels * aim / max(seconds, 1e-4)
        within = min(max(within, self._pixels * _LEAST_CHANGE), self._pixels * _MOST_CHANGE)
        self._pixels = min(max(within, _FEWEST_PIXELS), _MOST_PIXELS)

    @property
    def patch_edge(self) -> int:
        """Pixels along an edge of patches that take as long as they may, about."""
        within = self._pixels * _PATCH_S / _SLOW_S
        return next((edge for edge in _EDGES if edge * edge <= within), _EDGES[-1])


def patches_of(width: int, height: int, edge: int) -> list[Patch]:
    """Patches of one size that cover a picture, those in the middle first.

    The last of a row or column overlaps the one before, by a few pixels: with one size there is one
    set of compiled programs.
    """
    lefts, patch_width = _cuts(width, edge)
    tops, patch_height = _cuts(height, edge)
    patches = [
        Patch(left=left, top=top, width=patch_width, height=patch_height)
        for top in tops
        for left in lefts
    ]

    def off_the_middle(patch: Patch) -> float:
        x = patch.left + 0.5 * (patch.width - width)
        y = patch.top + 0.5 * (patch.height - height)
        return x * x + y * y

    return sorted(patches, key=off_the_middle)


def _cuts(length: int, edge: int) -> tuple[list[int], int]:
    n = -(-length // edge)
    part = -(-length // n)
    return [min(number * part, length - part) for number in range(n)], part
