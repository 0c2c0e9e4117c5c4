"""`plenostream export`."""

from __future__ import annotations

from typing import Any

import click

from plenostream.cli.command import Command, Place
from plenostream.cli.parameters import (
    Settings,
    keeps_read,
    quiet_option,
    record_options,
    take_record,
)
from plenostream.cli.progress import Progress
from plenostream.options import ExportOptions

__all__ = ["export"]


@click.command(
    cls=Command,
    short_help="Write a scene for other programs: svox2, points, mesh, volume.",
    epilog="""\b
Examples:
  plenostream export model.zarr model.npz
  plenostream export model.zarr model.ply --min-density 10 --normals
  plenostream export model.zarr model.glb
  plenostream export model.zarr model.ply --format mesh
  plenostream export model.zarr volume.ome.zarr
""",
)
@click.argument("scene", cls=Place)
@click.argument("out", cls=Place)
@record_options(ExportOptions)
@keeps_read
@quiet_option
@click.pass_obj
def export(settings: Settings, /, scene: str, out: str, **flags: Any) -> None:
    """Write a SCENE for other programs.

    OUT is a svox2 checkpoint (.npz, whose values are exactly the scene's), a point cloud (.ply), a
    surface (.obj, .glb, or .ply with --format mesh) or an OME-Zarr volume (.zarr). It is there only
    once it is whole.
    """
    options = take_record(ExportOptions, flags)
    from plenostream.export.scene import export_scene

    with Progress(quiet=settings.quiet) as progress:
        report = export_scene(scene, out, options, progress=progress.update)
    if not settings.quiet:
        click.echo("\n".join(report.lines()))
