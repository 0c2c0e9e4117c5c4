"""What comes out of a render."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.stats import FrameStats

__all__ = ["RayResult", "RenderResult"]


@dataclass(frozen=True, slots=True, eq=False)
class RenderResult:
    """A picture."""

    rgb: NDArray[np.float32]
    """[H, W, 3]: colour over the background; may exceed 1, as in svox2."""
    alpha: NDArray[np.float32]
    """[H, W]: 1 - transmittance, in [0, 1]."""
    depth: NDArray[np.float32]
    """[H, W]: svox2's expected termination, world units along the ray, not divided by alpha."""
    stats: FrameStats
    """What it cost."""


@dataclass(frozen=True, slots=True, eq=False)
class RayResult:
    """The colours of arbitrary rays."""

    rgb: NDArray[np.float32]
    """[n, 3], as in `RenderResult`."""
    alpha: NDArray[np.float32]
    """[n]."""
    depth: NDArray[np.float32]
    """[n]."""
    stats: FrameStats
    """What it cost."""
