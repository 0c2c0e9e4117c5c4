"""What comes of rays: tiles of them that are at their ends, on their way to whoever wants them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Finished", "Place"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finished:
    """t tiles of 64 rays each."""

    tile: NDArray[np.int64]
    """[t]: their numbers among those that are drawn."""
    rgb: NDArray[np.float32]
    """[t, 64, 3], with what is behind."""
    depth: NDArray[np.float32]
    """[t, 64]: weights times distances (world units), added up."""
    alpha: NDArray[np.float32]
    """[t, 64]."""
    aovs: NDArray[np.float32]
    """[t, 64, E], see `Aovs`."""

    def part(self, some: slice) -> Finished:
        """Some of the tiles."""
        return Finished(
            tile=self.tile[some],
            rgb=self.rgb[some],
            depth=self.depth[some],
            alpha=self.alpha[some],
            aovs=self.aovs[some],
        )

    def parts(self, most: int) -> list[Finished]:
        """All of them, at most so many at once."""
        return [self.part(slice(at, at + most)) for at in range(0, len(self.tile), most)]


Place = Callable[[Finished], None]
"""Takes finished tiles, from several threads at once, no tile twice; copies what it keeps."""
