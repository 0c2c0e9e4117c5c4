"""The flags that say where the cameras are, and the cameras they stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import click
import numpy as np

from plenostream.cameras import (
    Asked,
    Camera,
    CameraSet,
    interpolated_cameras,
    look_at_camera,
    orbit_cameras,
    read_cameras,
    spiral_cameras,
)
from plenostream.cameras.placement import (
    DEFAULT_ELEVATION_DEGREES,
    DEFAULT_FOV_DEGREES,
    DEFAULT_SIZE,
    DEFAULT_UP,
)
from plenostream.cameras.similarity import mean_pose
from plenostream.cli.command import Flag
from plenostream.cli.parameters import rule_option, spelled_flag
from plenostream.errors import InvalidInput
from plenostream.field.grid import GridSpec
from plenostream.field.ndc import Ndc
from plenostream.options import (
    CAMERA_AXES,
    CAMERA_FORMAT,
    DISTANCE,
    ELEVATION,
    FOV,
    FRAMES,
    LOOK_AT,
    LOOK_FROM,
    ORBIT,
    PATH,
    POSES,
    REGION,
    SCENE_SCALE,
    SIZE,
    UP,
    VIEWS,
)

__all__ = [
    "CAMERAS",
    "FILE_OPTIONS",
    "NumberedCamera",
    "Viewpoints",
    "camera_file_options",
    "camera_options",
    "choose_cameras",
]

NumberedCamera = tuple[int, Camera]
"""A camera with its number: of the file's frame, or counted from 0."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Viewpoints:
    """Where the cameras are."""

    cameras: list[NumberedCamera]
    found: str = ""
    """What the camera file was found to be; empty without one."""
    ndc: Ndc | None = None
    """See `CameraSet.ndc`."""
    fps: float | None = None
    """See `CameraSet.fps`."""
    about_ndc: str = ""
    """What there is to say of the coordinates that rays are brought to."""

    def lines(self) -> list[str]:
        """The same as lines to read."""
        told = {"cameras": self.found, "ndc": self.about_ndc}
        return [f"{what}: {words}" for what, words in told.items() if words]


FILE_OPTIONS = ("views", "scene_scale", "camera_format", "poses", "camera_axes")
"""Options about a camera file alone."""
DEFAULT_FRAMES = 120
"""Four seconds of a film."""
_COURSES = ("interpolate", "spiral")
"""What --path may be but a file."""
_UNPLACED = (
    "the scene is in normalised device coordinates (--ndc), which do not say where its middle is"
)
_WAYS = {
    "cameras": (*FILE_OPTIONS, "fov", "path", "frames"),
    "path": (*FILE_OPTIONS, "fov", "frames"),
    "orbit": ("elevation", "distance", "up", "fov"),
    "look_from": ("look_at", "up", "fov"),
}
"""The ways to place cameras, with the flags that belong to each; `path` is one where it names a file."""

CAMERAS = "Cameras"
"""Heading of the flags that say where they are."""
_camera_flag = partial(rule_option, heading=CAMERAS)

_FILE_FLAGS = (
    _camera_flag("--views", rule=VIEWS),
    _camera_flag("--scene-scale", rule=SCENE_SCALE, shown="auto"),
    _camera_flag("--camera-format", rule=CAMERA_FORMAT),
    _camera_flag("--poses", rule=POSES, shown="svox2"),
    _camera_flag("--camera-axes", rule=CAMERA_AXES),
)
_FLAGS = (
    click.option(
        "--cameras",
        cls=Flag,
        heading=CAMERAS,
        metavar="PATH",
        help="Views of a file or data set: JSON of NeRF-synthetic, instant-ngp, nerfstudio (their "
        "camera paths too) or Open3D; COLMAP, LLFF (poses_bounds.npy), NSVF; plain matrices "
        "(.txt, .npy). Formats and lenses: docs/cameras.md.",
    ),
    *_FILE_FLAGS,
    _camera_flag("--path", rule=PATH),
    _camera_flag("--frames", rule=FRAMES, shown=f"those of a path file, else {DEFAULT_FRAMES}"),
    _camera_flag("--orbit", rule=ORBIT),
    _camera_flag("--elevation", rule=ELEVATION, shown=f"{DEFAULT_ELEVATION_DEGREES:g}"),
    _camera_flag("--distance", rule=DISTANCE),
    _camera_flag("--look-from", rule=LOOK_FROM),
    _camera_flag("--look-at", rule=LOOK_AT, shown="the middle of the scene"),
    _camera_flag("--up", rule=UP, shown=DEFAULT_UP),
    _camera_flag("--fov", rule=FOV, shown=f"{DEFAULT_FOV_DEGREES:g}"),
    _camera_flag(
        "--size",
        rule=SIZE,
        shown="what the file or the pictures it names have, else "
        f"{DEFAULT_SIZE[0]}x{DEFAULT_SIZE[1]}",
    ),
    _camera_flag("--region", rule=REGION, shown="all of it"),
)


def camera_options(command: _Command) -> _Command:
    """Decorator: the flags of `choose_cameras`, handed to the command under the same names."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    return command


def camera_file_options(command: _Command) -> _Command:
    """Decorator: the flags about a camera file alone, which are fields of `cameras.Asked` but for
    `camera_format`."""
    for flag in reversed(_FILE_FLAGS):
        command = flag(command)
    return command


def choose_cameras(
    grid: GridSpec,
    *,
    in_ndc: bool,
    size: tuple[int, int] | None,
    region: tuple[int, int, int, int] | None = None,
    **flags: Any,
) -> Viewpoints:
    """The cameras that the flags ask for, each with its number: of the file's frame, or counted.

    Of a scene `in_ndc`, `grid` does not say where in the world it is.

    Raises
    ------
    InvalidInput : none or several of the ways to place cameras, a flag of another way, a way
    that takes the scene's place in the world where that is not known, or a region that is not inside
    a picture.
    CameraError : the file cannot be used.
    """
    if in_ndc:
        _refuse_unplaced(flags)
    placed = _placed_cameras(grid, in_ndc=in_ndc, size=size, **flags)
    if region is None:
        return placed
    parts = [(number, camera.region(*region)) for number, camera in placed.cameras]
    return replace(placed, cameras=parts)


def _refuse_unplaced(flags: dict[str, Any]) -> None:
    """Refuse ways that go by the middle of the scene, which normalised device coordinates hide."""
    if flags["orbit"] is not None:
        raise InvalidInput(
            f"{_UNPLACED}; name the cameras with --cameras FILE.json, not with --orbit"
        )
    if flags["look_from"] is not None and flags["look_at"] is None:
        raise InvalidInput(f"{_UNPLACED}; say --look-at X,Y,Z beside --look-from")


def _placed_cameras(
    grid: GridSpec, *, in_ndc: bool, size: tuple[int, int] | None, **flags: Any
) -> Viewpoints:
    is_course = flags["path"] in _COURSES
    ways = [way for way in _WAYS if flags[way] is not None and not (way == "path" and is_course)]
    if len(ways) != 1:
        got = " and ".join(map(spelled_flag, ways))
        raise InvalidInput(
            f"{f'got {got}' if ways else 'there are no cameras'}; name the cameras in one way: "
            "--cameras PATH, --path FILE, --orbit N or --look-from X,Y,Z"
        )
    (way,) = ways
    given = {name: value for name, value in flags.items() if value is not None and name != way}
    for name in given:
        if name not in _WAYS[way]:
            owners = [spelled_flag(other) for other, own in _WAYS.items() if name in own]
            raise InvalidInput(
                f"{spelled_flag(name)} belongs to {' or '.join(owners)}, not to {spelled_flag(way)}"
            )
    if way in ("cameras", "path"):
        return _cameras_of_file(None if in_ndc else grid, flags[way], size, given, way == "path")
    # The library knows the defaults; only what was said is passed on.
    placed: dict[str, Any] = {} if size is None else {"size": size}
    if "fov" in given:
        placed["fov_degrees"] = given["fov"]
    if "up" in given:
        placed["up"] = given["up"]
    if way == "look_from":
        target = given.get("look_at", grid.center)
        return Viewpoints([(0, look_at_camera(flags["look_from"], target, **placed))])
    if "elevation" in given:
        placed["elevation_degrees"] = given["elevation"]
    if "distance" in given:
        placed["distance"] = given["distance"]
    return Viewpoints(list(enumerate(orbit_cameras(grid, flags["orbit"], **placed))))


def _cameras_of_file(
    grid: GridSpec | None,
    path: str,
    size: tuple[int, int] | None,
    given: dict[str, Any],
    is_path: bool,
) -> Viewpoints:
    """Those of the file `path`, or on a course between them; `is_path`: it was named as a path.

    A `grid` of None has no place in the world that is known.
    """
    if "frames" in given and not (is_path or "path" in given):
        raise InvalidInput("--frames belongs to --path, which is not said")
    asked = {
        name: given[name] for name in FILE_OPTIONS if name in given and name != "camera_format"
    }
    read = read_cameras(
        path, Asked(size=size, fov_degrees=given.get("fov"), **asked), given.get("camera_format")
    )
    found = f"{read.found}, {len(read.views)} view{'s' * (len(read.views) != 1)}"
    course = given.get("path")
    if is_path and ("frames" in given or not read.is_path):
        course = "interpolate"
    cameras = [view.camera for view in read.views]
    numbers: Iterable[int] = [view.number for view in read.views]
    if course is not None:
        n = given.get("frames", DEFAULT_FRAMES)
        if course == "interpolate":
            cameras = interpolated_cameras(cameras, n)
        else:
            cameras = spiral_cameras(cameras, n, focus=_focus(read, grid))
        found, numbers = f"{found}; path: {course}, {n} frames", range(n)
    return Viewpoints([*zip(numbers, cameras, strict=True)], found, read.ndc, read.fps)


def _focus(read: CameraSet, grid: GridSpec | None) -> float:
    """Where a spiral looks: as the format says, else how far before its cameras the scene's middle
    is."""
    if read.focus is not None:
        return read.focus
    if grid is None:
        raise InvalidInput(f"{_UNPLACED}; --path interpolate leads through the views")
    poses = np.stack([view.camera.c2w for view in read.views])
    axes, middle = mean_pose(poses)
    return float(axes[:, 2] @ (np.array(grid.center) - middle))
