"""`plenostream view`."""

from __future__ import annotations

import getpass
import socket
import webbrowser
from typing import Any

import click

from plenostream.cameras import Asked, Camera, read_cameras
from plenostream.cli.command import Command, Flag, Place
from plenostream.cli.opening import opened_scene_alone
from plenostream.cli.parameters import (
    cache_options,
    quiet_option,
    record_options,
    rule_option,
    spelled_flag,
    take_record,
)
from plenostream.cli.viewpoints import CAMERAS, FILE_OPTIONS, camera_file_options
from plenostream.errors import InvalidInput, printable
from plenostream.files.paths import scene_name
from plenostream.options import FOV, SIZE, RenderOptions, StreamOptions, ViewOptions

__all__ = ["view"]


@click.command(
    cls=Command,
    short_help="Look around in a scene, in the browser.",
    epilog="""\b
Examples:
  plenostream view model.zarr --open
  plenostream view model.zarr --cameras transforms_test.json
  plenostream view model.zarr --device-memory 512MB --port 9000

\b
Exit codes: 0 done, 1 data or input that cannot be used, or a port that is
taken, 2 usage, 3 budget too small, 130 Ctrl-C, which ends it.
""",
)
@click.argument("scene", cls=Place)
@click.option(
    "--cameras",
    cls=Flag,
    heading=CAMERAS,
    metavar="PATH",
    help="Views of a file or data set to jump to.",
)
@camera_file_options
@rule_option("--fov", rule=FOV, heading=CAMERAS, shown="45, for plain matrices")
@rule_option("--size", rule=SIZE, shown="what the file or the pictures it names have")
@record_options(ViewOptions)
@click.option("--open", "open_browser", is_flag=True, help="Open it in this machine's browser.")
@record_options(RenderOptions)
@record_options(StreamOptions)
@cache_options
@quiet_option
def view(scene: str, cameras: str | None, open_browser: bool, **flags: Any) -> None:
    """Serve a SCENE to browsers: page and pictures over one port of this machine.

    Drag to turn, wheel to come nearer, double click to look at what is there. Keys and all else:
    docs/viewer.md.
    """
    listening = take_record(ViewOptions, flags)
    # Late: websockets takes a while to load.
    from plenostream.viewer.server import Viewer

    views = _views(cameras, {name: flags.pop(name) for name in (*FILE_OPTIONS, "fov", "size")})
    with opened_scene_alone(scene, flags) as (opened, options, stream):
        with Viewer(
            scene_name(scene), opened, views, options=options, stream=stream, view=listening
        ) as viewer:
            click.echo("\n".join(_lines(viewer.url, viewer.port, listening)))
            if open_browser:
                webbrowser.open(viewer.url)
            viewer.wait()


def _views(path: str | None, asked: dict[str, Any]) -> list[Camera]:
    """The cameras of a data set, as the flags about it ask."""
    said = {name: value for name, value in asked.items() if value is not None}
    if path is None:
        if said:
            raise InvalidInput(f"{spelled_flag(next(iter(said)))} belongs to --cameras")
        return []
    camera_format = said.pop("camera_format", None)
    if "fov" in said:
        said["fov_degrees"] = said.pop("fov")
    return [view.camera for view in read_cameras(path, Asked(**said), camera_format).views]


def _lines(url: str, port: int, listening: ViewOptions) -> list[str]:
    """Where to find it, from here and from elsewhere."""
    lines = [f"look at {url}"]
    user, host = getpass.getuser(), socket.gethostname()
    local = url.partition(f":{port}")[2]
    if listening.is_loopback:
        lines += [
            "from another machine, while this runs there:",
            f"  ssh -L {port}:127.0.0.1:{port} {user}@{host}",
            f"  and look at http://localhost:{port}{local}",
        ]
    else:
        lines += [
            f"from another machine, at http://{host}:{port}{local}",
            "what is sent is not encrypted, the token in the address neither; ssh -L is safer:",
            f"  ssh -L {port}:127.0.0.1:{port} {user}@{host}",
        ]
    return [printable(line) for line in [*lines, "Ctrl-C ends it"]]
