"""`plenostream inspect`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from plenostream.cli.command import Command, Flag, Place
from plenostream.cli.parameters import (
    Settings,
    cache_options,
    quiet_option,
    record_options,
    rule_option,
    take_record,
)
from plenostream.cli.progress import Progress
from plenostream.cli.viewpoints import Viewpoints, camera_options, choose_cameras
from plenostream.errors import InvalidInput, printable, shown
from plenostream.files.paths import scene_name
from plenostream.options import PIXEL, RenderOptions

if TYPE_CHECKING:
    from plenostream.sketch.content import Sketch

__all__ = ["inspect"]

_NOT_OF_RAYS = (
    *("background", "last_sample_opaque", "model", "samples"),
    *("outputs", "depth_density"),
)
"""Options of the picture that do not move a sample of a single ray."""


@click.command(
    cls=Command,
    short_help="Look at bricks, cameras and the samples of a pixel.",
    epilog="""\b
Examples:
  plenostream inspect model.zarr
  plenostream inspect model.zarr --cameras transforms_test.json --out cameras.png
  plenostream inspect model.zarr --cameras transforms_test.json --views 0 --pixel 400,300
""",
)
@click.argument("scene", cls=Place)
@camera_options
@rule_option("--pixel", rule=PIXEL)
@click.option(
    "--out",
    cls=Flag,
    metavar="FILE.png",
    help="Write a picture instead of opening a window; where there is no display, one is written "
    "anyway.  [default: SCENE.inspect.png in the current folder, without a display]",
)
@click.option("--overwrite", is_flag=True, help="Replace the picture if it exists.")
@record_options(RenderOptions, without=_NOT_OF_RAYS)
@cache_options
@quiet_option
@click.pass_obj
def inspect(
    settings: Settings,
    /,
    scene: str,
    pixel: tuple[int, int] | None,
    out: str | None,
    overwrite: bool,
    **flags: Any,
) -> None:
    """Show what a SCENE is made of: occupied bricks, cameras, and the samples of rays.

    Opens a window (Open3D: pip install 'plenostream[inspect]') or, with --out or without a display,
    writes a picture. Nothing is rendered: of bricks the tables say which are occupied, and only those
    that a ray of --pixel meets are read. Options of the picture say where its samples lie; light is
    that of the model cuvol.
    """
    from plenostream.engine.projection import choose_ndc
    from plenostream.scene import open_scene
    from plenostream.sketch.content import make_sketch

    place = _picture_place(scene, out, overwrite=overwrite)
    options = take_record(RenderOptions, flags)
    kept = {name: flags.pop(name) for name in ("cache", "cache_size")}
    with (
        open_scene(scene, **kept) as opened,
        Progress(quiet=settings.quiet) as progress,
    ):
        ndc = choose_ndc(options, opened.meta).camera
        viewpoints = Viewpoints([])
        if any(value is not None for value in flags.values()):
            viewpoints = choose_cameras(opened.grid, in_ndc=ndc is not None, **flags)
        progress.update("reading", 0, 1)
        sketch = make_sketch(opened.store, viewpoints.cameras, pixel, options, ndc=ndc)
        progress.update("reading", 1, 1)
        if place is not None:
            _write(place, sketch, progress, overwrite=overwrite)
    if not settings.quiet:
        made = [f"{printable(str(place))}: drawn"] if place is not None else []
        click.echo("\n".join(made + viewpoints.lines() + sketch.told))
    if place is None:
        from plenostream.sketch.window import show_sketch

        show_sketch(sketch, title=f"plenostream: {scene_name(scene)}")


def _picture_place(scene: str, out: str | None, *, overwrite: bool) -> Path | None:
    """Where a picture is to be written; None for a window."""
    from plenostream.files.atomic import checked_output, try_place

    if out is None:
        if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
            return None
        out = f"{scene_name(scene).removesuffix('.zarr')}.inspect.png"
    if Path(out).suffix.lower() != ".png":
        raise InvalidInput(f"--out is {shown(out)}; expected a name that ends in .png")
    checked_output(out, overwrite=overwrite, what="picture")
    try_place(out, what="picture")
    return Path(out)


def _write(place: Path, sketch: Sketch, progress: Progress, *, overwrite: bool) -> None:
    from plenostream.export.picture_files import write_png
    from plenostream.sketch.drawing import draw_sketch

    write_png(place, draw_sketch(sketch, progress.update), overwrite=overwrite)
