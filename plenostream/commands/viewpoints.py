"""The flags that say where the cameras are, and the cameras they stand for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from plenostream.cameras import (
    Camera,
    load_cameras,
    look_at_camera,
    orbit_cameras,
    parse_frames,
)
from plenostream.cameras.placement import (
    DEFAULT_ELEVATION_DEGREES,
    DEFAULT_FOV_DEGREES,
    DEFAULT_SIZE,
)
from plenostream.commands.parameters import POINT, SCALE, SIZE, spelled_flag
from plenostream.errors import InvalidInput
from plenostream.grid import GridSpec

__all__ = ["NumberedCamera", "camera_options", "choose_cameras"]

NumberedCamera = tuple[int, Camera]
"""A camera with its number: of the file's frame, or counted from 0."""

_Command = TypeVar("_Command", bound=Callable[..., Any])

_WAYS = {
    "cameras": ("frames", "scene_scale"),
    "orbit": ("elevation", "distance", "fov"),
    "look_from": ("look_at", "fov"),
}
"""The three ways to place cameras, with the flags that belong to each."""

_FLAGS = (
    click.option(
        "--cameras",
        metavar="FILE.json",
        help="Views of a file: NeRF-synthetic transforms_*.json; transforms.json of instant-ngp or "
        "nerfstudio (fl_x, ..., without lens distortion); or a list of `views`.",
    ),
    click.option(
        "--frames",
        metavar="0,3,8-12",
        help="Which views of the file, counted from 0; all unless said.",
    ),
    click.option(
        "--scene-scale",
        type=SCALE,
        metavar=SCALE.name,
        help="What camera positions of the file are multiplied by. auto: 2/3 for files with "
        "camera_angle_x and no fl_x, as svox2 trains NeRF-synthetic scenes; 1 for all others.  "
        "[default: auto]",
    ),
    click.option(
        "--orbit",
        type=int,
        metavar="N",
        help="N views evenly around the scene, about the vertical axis (+z).",
    ),
    click.option(
        "--elevation",
        type=float,
        metavar="DEG",
        help="Height of the orbit above the horizon, -90 to 90 degrees.  "
        f"[default: {DEFAULT_ELEVATION_DEGREES:g}]",
    ),
    click.option(
        "--distance",
        type=float,
        metavar="R",
        help="Radius of the orbit in world units; the nearest that shows the whole box unless "
        "said.",
    ),
    click.option(
        "--look-from",
        type=POINT,
        metavar=POINT.name,
        help="One view from this point (world), with +z up.",
    ),
    click.option(
        "--look-at",
        type=POINT,
        metavar=POINT.name,
        help="What is in the middle of that view; the middle of the scene unless said.",
    ),
    click.option(
        "--fov",
        type=float,
        metavar="DEG",
        help="Horizontal field of view of --orbit and --look-from.  "
        f"[default: {DEFAULT_FOV_DEGREES:g}]",
    ),
    click.option(
        "--size",
        type=SIZE,
        metavar=SIZE.name,
        help="Pixels of the picture; a file's intrinsics are rescaled. Unless said, what the file "
        f"or the pictures it names have, else {DEFAULT_SIZE[0]}x{DEFAULT_SIZE[1]}.",
    ),
)


def camera_options(command: _Command) -> _Command:
    """Decorator: the flags of `choose_cameras`, handed to the command under the same names."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    return command


def choose_cameras(
    grid: GridSpec, *, size: tuple[int, int] | None, **flags: Any
) -> list[NumberedCamera]:
    """The cameras that the flags ask for, each with its number: of the file's frame, or counted.

    Raises
    ------
    InvalidInput : none or several of the three ways to place cameras, or a flag of another way.
    CameraError : the file cannot be used.
    """
    ways = [way for way in _WAYS if flags[way] is not None]
    if len(ways) != 1:
        got = " and ".join(map(spelled_flag, ways)) or "none"
        raise InvalidInput(
            f"got {got}; name the cameras in one way: --cameras FILE.json, --orbit N or "
            "--look-from X,Y,Z"
        )
    (way,) = ways
    given = {name: value for name, value in flags.items() if value is not None and name != way}
    for name in given:
        if name not in _WAYS[way]:
            owners = [spelled_flag(other) for other, own in _WAYS.items() if name in own]
            raise InvalidInput(
                f"{spelled_flag(name)} belongs to {' or '.join(owners)}, not to {spelled_flag(way)}"
            )
    if way == "cameras":
        path = Path(flags["cameras"])
        loaded = load_cameras(path, size=size, **given)
        runs = parse_frames(given["frames"]) if "frames" in given else [range(len(loaded))]
        return list(zip((number for run in runs for number in run), loaded, strict=True))
    # The library knows the defaults; only what was said is passed on.
    placed: dict[str, Any] = {} if size is None else {"size": size}
    if "fov" in given:
        placed["fov_degrees"] = given["fov"]
    if way == "look_from":
        target = given.get("look_at", grid.center)
        return [(0, look_at_camera(flags["look_from"], target, **placed))]
    if "elevation" in given:
        placed["elevation_degrees"] = given["elevation"]
    if "distance" in given:
        placed["distance"] = given["distance"]
    return list(enumerate(orbit_cameras(grid, flags["orbit"], **placed)))
