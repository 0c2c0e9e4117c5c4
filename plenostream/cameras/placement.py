"""Cameras placed by hand: looking from one point at another, and orbits around a scene."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plenostream.cameras.camera import Camera
from plenostream.errors import InvalidInput, shown
from plenostream.field.grid import GridSpec
from plenostream.options import DISTANCE, ELEVATION, FOV, LOOK_AT, LOOK_FROM, ORBIT, SIZE, UP

__all__ = ["look_at_camera", "orbit_cameras"]

DEFAULT_FOV_DEGREES = 40.0
"""Horizontal field of view; that of the NeRF-synthetic scenes is 39.6."""
DEFAULT_ELEVATION_DEGREES = 30.0
DEFAULT_SIZE = (800, 800)
"""Width and height, in pixels, of a picture of which nothing says how large it is."""
DEFAULT_UP = "z"

_FRAMES = {
    "x": ("y", "z", "x"),
    "y": ("z", "x", "y"),
    "z": ("x", "y", "z"),
    "-x": ("y", "-z", "-x"),
    "-y": ("-z", "x", "-y"),
    "-z": ("x", "-y", "-z"),
}
"""For each axis that points up, a right-handed frame with it as the third: azimuths count from the
first. Before cameras of OpenCV's, which see along +z with y down, that is the side they stand on."""


def look_at_camera(
    eye: ArrayLike,
    target: ArrayLike,
    *,
    up: str = DEFAULT_UP,
    fov_degrees: float = DEFAULT_FOV_DEGREES,
    size: tuple[int, int] = DEFAULT_SIZE,
) -> Camera:
    """A camera at `eye` that has `target` in the middle of its picture, upright.

    Looking straight up or down, the top of the picture points to +y where z is up, and else to what
    stands for y in a frame that is turned so that z becomes `up`.

    Parameters
    ----------
    eye, target : three numbers each (world); not the same point
    up : axis of the world that points up: x, y, z, -x, -y or -z
    fov_degrees : horizontal field of view
    size : width and height in pixels

    Raises
    ------
    InvalidInput : a value against its rule (`options.LOOK_FROM`, `UP`, `FOV`, `SIZE`), points that
        coincide.
    """
    eye_world, target_world = LOOK_FROM.check("eye", eye), LOOK_AT.check("target", target)
    gaze = target_world - eye_world
    distance = math.hypot(*gaze)
    if distance < DISTANCE.least:
        raise InvalidInput(
            f"the camera at {_text(eye_world)} cannot look at {_text(target_world)}: it stands there"
        )
    frame = _frame(up)
    forward = (gaze / distance) @ frame
    # The horizontal part of the gaze says what is right; it vanishes when looking straight down.
    level = math.hypot(forward[0], forward[1])
    right = (
        np.array([forward[1], -forward[0], 0.0]) / level
        if level > 1e-9
        else np.array([-math.copysign(1.0, forward[2]), 0.0, 0.0])
    )
    return _camera(eye_world, frame @ right, frame @ forward, fov_degrees=fov_degrees, size=size)


def orbit_cameras(
    grid: GridSpec,
    n: int,
    *,
    elevation_degrees: float = DEFAULT_ELEVATION_DEGREES,
    distance: float | None = None,
    up: str = DEFAULT_UP,
    fov_degrees: float = DEFAULT_FOV_DEGREES,
    size: tuple[int, int] = DEFAULT_SIZE,
) -> list[Camera]:
    """`n` cameras evenly around the vertical axis through the middle of `grid`, looking at it.

    They go round counter-clockwise as seen from above. The first stands on the side of +x where z is
    up, of +z where y is, of -z where -y is.

    Parameters
    ----------
    elevation_degrees : height above the horizon
    distance : of the eye from the middle (world units); None: the nearest that shows the whole box
        from every side
    up : axis of the world that points up: x, y, z, -x, -y or -z
    fov_degrees : horizontal field of view
    size : width and height in pixels

    Raises
    ------
    InvalidInput : a value against its rule (`options.ORBIT`, `ELEVATION`, `DISTANCE`, ...).
    """
    if not isinstance(grid, GridSpec):
        raise InvalidInput(f"the grid is {shown(grid)}; expected that of a scene")
    n = ORBIT.check("n", n)
    elevation = math.radians(ELEVATION.check("elevation_degrees", elevation_degrees))
    distance = DISTANCE.check("distance", distance)
    tangents = _tangents(fov_degrees, size)
    frame = _frame(up)
    if distance is None:
        radius = np.abs(np.asarray(grid.radius) @ frame)
        distance = _distance_of_whole_box(radius, elevation, tangents)
    center = np.asarray(grid.center, np.float64)
    cameras = []
    for azimuth in 2 * math.pi * np.arange(n) / n:
        outward = np.array([math.cos(azimuth), math.sin(azimuth), 0.0]) * math.cos(elevation)
        outward[2] = math.sin(elevation)
        right = frame @ np.array([-math.sin(azimuth), math.cos(azimuth), 0.0])
        forward = -(frame @ outward)
        eye_world = center - distance * forward
        cameras.append(_camera(eye_world, right, forward, fov_degrees=fov_degrees, size=size))
    return cameras


def _frame(up: str) -> NDArray[np.float64]:
    """[3, 3]: columns are the axes of the world that stand for x, y and z where `up` points up."""
    axes = _FRAMES[str(UP.check("up", up))]
    columns = [
        np.eye(3)["xyz".index(axis[-1])] * (-1.0 if axis[0] == "-" else 1.0) for axis in axes
    ]
    return np.stack(columns, axis=1)


def _distance_of_whole_box(
    radius: NDArray[np.float64], elevation: float, tangents: tuple[float, float]
) -> float:
    """Nearest distance at which the upright cylinder around the box is inside the picture.

    `radius` [3] is half the box's extent, the height last.
    A point c (from the middle) is seen where |c.right| <= tan_x (D + c.forward), likewise with
    down. On the rim of radius r and height +-h, with elevation e, the largest D this asks for is
    r hypot(1 / tan_x, cos e) + h |sin e| sideways, and up and down, with s = +-1,
    r |cos e - s sin e / tan_y| + h |sin e + s cos e / tan_y|.
    """
    tan_x, tan_y = tangents
    rim, half_height = math.hypot(radius[0], radius[1]), float(radius[2])
    sin_e, cos_e = math.sin(elevation), math.cos(elevation)
    sideways = rim * math.hypot(1 / tan_x, cos_e) + half_height * abs(sin_e)
    upright = max(
        rim * abs(cos_e - sign * sin_e / tan_y) + half_height * abs(sin_e + sign * cos_e / tan_y)
        for sign in (-1, 1)
    )
    return max(sideways, upright)


def _tangents(fov_degrees: float, size: tuple[int, int]) -> tuple[float, float]:
    """Tangents of half the horizontal and half the vertical field of view, square pixels."""
    width, height = SIZE.check("size", size)
    tan_x = math.tan(math.radians(FOV.check("fov_degrees", fov_degrees)) / 2)
    return tan_x, tan_x * height / width


def _camera(
    eye_world: NDArray[np.float64],
    right: NDArray[np.float64],
    forward: NDArray[np.float64],
    *,
    fov_degrees: float,
    size: tuple[int, int],
) -> Camera:
    tan_x, _ = _tangents(fov_degrees, size)
    width, height = SIZE.check("size", size)
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


def _text(point: NDArray[np.float64]) -> str:
    return ",".join(f"{v:g}" for v in point)
