"""The flags that say where the cameras are, and the cameras they stand for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from plenostream.cameras import Camera, load_cameras, look_at_camera, orbit_cameras
from plenostream.cameras.placement import (
    DEFAULT_ELEVATION_DEGREES,
    DEFAULT_FOV_DEGREES,
    DEFAULT_SIZE,
)
from plenostream.cli.parameters import rule_option, spelled_flag
from plenostream.errors import InvalidInput
from plenostream.field.grid import GridSpec
from plenostream.options import (
    DISTANCE,
    ELEVATION,
    FOV,
    FRAMES,
    LOOK_AT,
    LOOK_FROM,
    ORBIT,
    REGION,
    SCENE_SCALE,
    SIZE,
)

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
        "nerfstudio (fl_x, ...; lenses in docs/cameras.md), its camera paths; or a list of `views`.",
    ),
    rule_option("--frames", rule=FRAMES),
    rule_option("--scene-scale", rule=SCENE_SCALE, shown="auto"),
    rule_option("--orbit", rule=ORBIT),
    rule_option("--elevation", rule=ELEVATION, shown=f"{DEFAULT_ELEVATION_DEGREES:g}"),
    rule_option("--distance", rule=DISTANCE),
    rule_option("--look-from", rule=LOOK_FROM),
    rule_option("--look-at", rule=LOOK_AT, shown="the middle of the scene"),
    rule_option("--fov", rule=FOV, shown=f"{DEFAULT_FOV_DEGREES:g}"),
    rule_option(
        "--size",
        rule=SIZE,
        shown="what the file or the pictures it names have, else "
        f"{DEFAULT_SIZE[0]}x{DEFAULT_SIZE[1]}",
    ),
    rule_option("--region", rule=REGION, shown="all of it"),
)


def camera_options(command: _Command) -> _Command:
    """Decorator: the flags of `choose_cameras`, handed to the command under the same names."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    return command


def choose_cameras(
    grid: GridSpec,
    *,
    in_ndc: bool,
    size: tuple[int, int] | None,
    region: tuple[int, int, int, int] | None = None,
    **flags: Any,
) -> list[NumberedCamera]:
    """The cameras that the flags ask for, each with its number: of the file's frame, or counted.

    Of a scene `in_ndc`, `grid` does not say where in the world it is.

    Raises
    ------
    InvalidInput : none or several of the three ways to place cameras, a flag of another way, a way
    that takes the scene's place in the world where that is not known, or a region that is not inside
    a picture.
    CameraError : the file cannot be used.
    """
    if in_ndc:
        _refuse_unplaced(flags)
    placed = _placed_cameras(grid, size=size, **flags)
    if region is None:
        return placed
    return [(number, camera.region(*region)) for number, camera in placed]


def _refuse_unplaced(flags: dict[str, Any]) -> None:
    """Refuse ways that go by the middle of the scene, which normalised device coordinates hide."""
    where = "the scene is in normalised device coordinates (--ndc), which do not say where its middle is"
    if flags["orbit"] is not None:
        raise InvalidInput(f"{where}; name the cameras with --cameras FILE.json, not with --orbit")
    if flags["look_from"] is not None and flags["look_at"] is None:
        raise InvalidInput(f"{where}; say --look-at X,Y,Z beside --look-from")


def _placed_cameras(
    grid: GridSpec, *, size: tuple[int, int] | None, **flags: Any
) -> list[NumberedCamera]:
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
        runs = given.get("frames", [range(len(loaded))])
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
