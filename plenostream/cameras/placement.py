"""Cameras placed by hand: looking from one point at another, and orbits around a scene."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plenostream.cameras.pinhole import LARGEST_COORDINATE, LARGEST_EDGE, Camera
from plenostream.cameras.values import finite_number, real_array, shown
from plenostream.errors import InvalidInput
from plenostream.grid import GridSpec

__all__ = ["checked_size", "look_at_camera", "orbit_cameras"]

DEFAULT_FOV_DEGREES = 40.0
"""Horizontal field of view; that of the NeRF-synthetic scenes is 39.6."""
DEFAULT_ELEVATION_DEGREES = 30.0
DEFAULT_SIZE = (800, 800)
"""Width and height, in pixels, of a picture of which nothing says how large it is."""
SMALLEST_FOV_DEGREES, LARGEST_FOV_DEGREES = 1e-3, 179.9
"""Beyond these a pixel is smaller than what float32 tells apart, or the picture is all edge."""
LARGEST_ORBIT = 1_000_000
"""Cameras of one orbit, at most."""


def look_at_camera(
    eye: ArrayLike,
    target: ArrayLike,
    *,
    fov_degrees: float = DEFAULT_FOV_DEGREES,
    size: tuple[int, int] = DEFAULT_SIZE,
) -> Camera:
    """A camera at `eye` that has `target` in the middle of its picture, with +z up.

    Looking straight up or down, the top of the picture points to +y.

    Parameters
    ----------
    eye, target : three numbers each (world); not the same point
    fov_degrees : horizontal field of view, 0.001 to 179.9
    size : width and height in pixels

    Raises
    ------
    InvalidInput : points that are not three finite numbers or coincide, a field of view or size
        that cannot be.
    """
    eye_world, target_world = _point("eye", eye), _point("target", target)
    gaze = target_world - eye_world
    distance = math.hypot(*gaze)
    if not distance > 0:
        raise InvalidInput(
            f"the camera at {_text(eye_world)} cannot look at {_text(target_world)}: "
            "the distance is zero"
        )
    forward = gaze / distance
    # The horizontal part of the gaze says what is right; it vanishes when looking straight down.
    level = math.hypot(forward[0], forward[1])
    right = (
        np.array([forward[1], -forward[0], 0.0]) / level
        if level > 1e-9
        else np.array([-math.copysign(1.0, forward[2]), 0.0, 0.0])
    )
    return _camera(eye_world, right, forward, fov_degrees=fov_degrees, size=size)


def orbit_cameras(
    grid: GridSpec,
    n: int,
    *,
    elevation_degrees: float = DEFAULT_ELEVATION_DEGREES,
    distance: float | None = None,
    fov_degrees: float = DEFAULT_FOV_DEGREES,
    size: tuple[int, int] = DEFAULT_SIZE,
) -> list[Camera]:
    """`n` cameras evenly around the vertical axis (+z) through the middle of `grid`, looking at it.

    The first stands on the side of +x; they go round counter-clockwise as seen from above.

    Parameters
    ----------
    elevation_degrees : height above the horizon, -90 to 90
    distance : of the eye from the middle (world units); None: the nearest that shows the whole box
        from every side
    fov_degrees : horizontal field of view, 0.001 to 179.9
    size : width and height in pixels

    Raises
    ------
    InvalidInput : a value outside of what is said above.
    """
    if not isinstance(grid, GridSpec):
        raise InvalidInput(f"the grid is {shown(grid)}; expected that of a scene")
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or not 1 <= n <= LARGEST_ORBIT:
        raise InvalidInput(f"an orbit of {shown(n)} cameras; expected 1 to {LARGEST_ORBIT}")
    if not -90 <= _number("elevation", elevation_degrees) <= 90:
        raise InvalidInput(f"the elevation is {elevation_degrees}; expected -90 to 90 degrees")
    tangents = _tangents(fov_degrees, size)
    elevation = math.radians(elevation_degrees)
    if distance is None:
        distance = _distance_of_whole_box(grid, elevation, tangents)
    elif not 0 < _number("distance", distance) <= LARGEST_COORDINATE:
        raise InvalidInput(
            f"the distance is {distance}; expected above 0 and at most {LARGEST_COORDINATE:g}"
        )
    center = np.asarray(grid.center, np.float64)
    cameras = []
    for azimuth in 2 * math.pi * np.arange(n) / n:
        outward = np.array([math.cos(azimuth), math.sin(azimuth), 0.0]) * math.cos(elevation)
        outward[2] = math.sin(elevation)
        right = np.array([-math.sin(azimuth), math.cos(azimuth), 0.0])
        eye_world = center + distance * outward
        cameras.append(_camera(eye_world, right, -outward, fov_degrees=fov_degrees, size=size))
    return cameras


def _distance_of_whole_box(
    grid: GridSpec, elevation: float, tangents: tuple[float, float]
) -> float:
    """Nearest distance at which the upright cylinder around the box is inside the picture.

    A point c (from the middle) is seen where |c.right| <= tan_x (D + c.forward), likewise with
    down. On the rim of radius r and height +-h, with elevation e, the largest D this asks for is
    r hypot(1 / tan_x, cos e) + h |sin e| sideways, and up and down, with s = +-1,
    r |cos e - s sin e / tan_y| + h |sin e + s cos e / tan_y|.
    """
    tan_x, tan_y = tangents
    rim, half_height = math.hypot(grid.radius[0], grid.radius[1]), grid.radius[2]
    sin_e, cos_e = math.sin(elevation), math.cos(elevation)
    sideways = rim * math.hypot(1 / tan_x, cos_e) + half_height * abs(sin_e)
    upright = max(
        rim * abs(cos_e - sign * sin_e / tan_y) + half_height * abs(sin_e + sign * cos_e / tan_y)
        for sign in (-1, 1)
    )
    return max(sideways, upright)


def _tangents(fov_degrees: float, size: Sequence[int]) -> tuple[float, float]:
    """Tangents of half the horizontal and half the vertical field of view, square pixels."""
    fov_degrees = _number("field of view", fov_degrees)
    if not SMALLEST_FOV_DEGREES <= fov_degrees <= LARGEST_FOV_DEGREES:
        raise InvalidInput(
            f"the field of view is {fov_degrees}; expected {SMALLEST_FOV_DEGREES:g} to "
            f"{LARGEST_FOV_DEGREES:g} degrees"
        )
    size = checked_size(size)
    tan_x = math.tan(math.radians(fov_degrees) / 2)
    return tan_x, tan_x * size[1] / size[0]


def _camera(
    eye_world: NDArray[np.float64],
    right: NDArray[np.float64],
    forward: NDArray[np.float64],
    *,
    fov_degrees: float,
    size: tuple[int, int],
) -> Camera:
    tan_x, _ = _tangents(fov_degrees, size)
    width, height = checked_size(size)
    focal = 0.5 * width / tan_x
    return Camera(
        c2w=np.stack([right, np.cross(forward, right), forward, eye_world], axis=1),
        fx=focal,
        fy=focal,
        cx=width / 2,
        cy=height / 2,
        width=width,
        height=height,
    )


def checked_size(size: object) -> tuple[int, int]:
    """Width and height of a picture, in pixels.

    Raises
    ------
    InvalidInput : not two whole numbers of 1 to 65,536.
    """
    edges = size.tolist() if isinstance(size, np.ndarray) else size
    if (
        not isinstance(edges, (tuple, list))
        or len(edges) != 2
        or any(isinstance(e, bool) or not isinstance(e, (int, np.integer)) for e in edges)
        or not all(1 <= edge <= LARGEST_EDGE for edge in edges)
    ):
        raise InvalidInput(
            f"the size is {shown(size)}; expected two edges of 1 to {LARGEST_EDGE} pixels"
        )
    return int(edges[0]), int(edges[1])


def _number(name: str, value: object) -> float:
    number = finite_number(value)
    if number is None:
        raise InvalidInput(f"the {name} is {shown(value)}; expected a finite number")
    return number


def _point(name: str, value: object) -> NDArray[np.float64]:
    try:
        point = real_array(value)
    except ValueError as error:
        raise InvalidInput(f"{name} is {shown(value)}; expected three numbers") from error
    if point.shape != (3,) or not (np.abs(point) <= LARGEST_COORDINATE).all():
        raise InvalidInput(
            f"{name} is {shown(value)}; expected three finite numbers of at most "
            f"{LARGEST_COORDINATE:g}"
        )
    return point


def _text(point: NDArray[np.float64]) -> str:
    return ",".join(f"{v:g}" for v in point)
