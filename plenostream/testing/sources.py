"""Kinds of rays without any rays: what is compiled and planned for them depends on no ray."""

from __future__ import annotations

import numpy as np

from plenostream.cameras.rays import pinhole_rays
from plenostream.engine.rays import packets_of
from plenostream.integrator.interface import RaySource

__all__ = ["PACKETS", "PIXELS"]

PIXELS = RaySource(
    make=pinhole_rays,
    per_tile=(np.empty((0, 2), np.int32),),
    nothing=(np.full((1, 2), -8, np.int32),),
    shared=(np.eye(3, 4), np.ones(4), np.ones(2, np.int32)),
)
"""Pixels of a camera."""
PACKETS = packets_of(np.empty((0, 3)), np.empty((0, 3)))
"""Packets of arbitrary rays."""
