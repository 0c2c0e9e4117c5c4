"""Flags that several commands have, and the views that they ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from plenostream.cli.parameters import record_options
from plenostream.cli.viewpoints import camera_options, choose_cameras
from plenostream.options import RenderOptions, StreamOptions

__all__ = [
    "ORBIT",
    "ROOT",
    "cameras_asked",
    "json_option",
    "line_options",
    "rounds_option",
    "scene_flags",
    "workers_option",
]

ROOT = Path(__file__).resolve().parents[3]
"""The checkout."""
ORBIT = 60
"""Views around the scene, unless others are asked for."""

Command = TypeVar("Command", bound=Callable[..., Any])

json_option = click.option(
    "--json",
    "target",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write the figures as JSON.",
)
rounds_option = click.option(
    "--rounds",
    type=click.IntRange(1, 1000),
    default=7,
    show_default=True,
    help="Turns of each contestant.",
)


def scene_flags(command: Any) -> Any:
    """Decorator that gives a command a SCENE, views of it, how they are drawn, and --json."""
    drawing = record_options(RenderOptions), record_options(StreamOptions)
    for flag in (json_option, *reversed(drawing), camera_options):
        command = flag(command)
    return click.argument("place", metavar="SCENE")(command)


def line_options(command: Any) -> Any:
    """Decorator that gives a command --latency and --rate of a line that is simulated."""
    latency = click.option(
        "--latency",
        type=click.FloatRange(0, 10_000),
        multiple=True,
        default=(1.0, 20.0, 100.0),
        show_default=True,
        help="Milliseconds until an answer begins; may be repeated.",
    )
    rate = click.option(
        "--rate",
        type=click.FloatRange(0, min_open=True),
        default=100.0,
        show_default=True,
        help="Megabytes a second that all answers together come with.",
    )
    return latency(rate(command))


def workers_option(default: str) -> Callable[[Command], Command]:
    """Decorator that gives a command --workers: numbers, separated by commas, each 1 or more."""

    def numbers(context: click.Context, flag: click.Parameter, text: str) -> list[int]:
        parts = text.split(",")
        if not all(part.isdecimal() and int(part) > 0 for part in parts):
            raise click.BadParameter(f"{text!r}; expected numbers of workers, such as {default}")
        return [int(part) for part in parts]

    return click.option(
        "--workers", metavar="NUMBERS", default=default, show_default=True, callback=numbers
    )


def cameras_asked(place: str, flags: dict[str, Any], *, orbit: int) -> list[Any]:
    """The cameras that the flags ask for, an orbit of so many views unless said."""
    from plenostream.scene import open_scene

    if not any(flags[way] is not None for way in ("cameras", "orbit", "look_from")):
        flags["orbit"] = orbit
    with open_scene(place) as opened:
        in_ndc = opened.meta.ndc is not None
        return [camera for _, camera in choose_cameras(opened.grid, in_ndc=in_ndc, **flags).cameras]
