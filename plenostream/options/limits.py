"""How large or small the numbers of options may be."""

__all__ = [
    "LARGE",
    "LARGEST_COORDINATE",
    "LARGEST_EDGE",
    "LARGEST_PROJECTION",
    "MOST_THREADS",
    "SHORTEST_PROJECTION",
    "SMALL",
]

LARGE, SMALL = 1e30, 1e-30
"""Float32 holds these, and what they become in the units of any grid that it holds."""
LARGEST_COORDINATE = LARGE
"""Of places in the world (world units)."""
LARGEST_EDGE = 65_536
"""Pixels along one edge of an image, at most."""
SHORTEST_PROJECTION, LARGEST_PROJECTION = 1e-6, 1e6
"""Pixels of a reference camera."""
MOST_THREADS = 1024
