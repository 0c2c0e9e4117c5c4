"""What is drawn of a scene to look inside."""

from __future__ import annotations

from plenostream.options.limits import LARGEST_EDGE
from plenostream.rules import Pixel

__all__ = ["PIXEL"]

PIXEL = Pixel(
    most=LARGEST_EDGE,
    unsaid="no rays",
    help="Also draw the rays of that pixel of each camera, counted from 0 at the left top, and their "
    "samples: larger and red where they contribute.",
)
