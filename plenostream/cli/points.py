"""`plenostream points`: `export --format points` by its older name."""

from __future__ import annotations

import click

from plenostream.cli.command import Command, Place
from plenostream.cli.parameters import Settings, keeps_read, quiet_option, rule_option
from plenostream.cli.progress import Progress
from plenostream.options import MIN_DENSITY, ExportOptions

__all__ = ["points"]


@click.command(
    cls=Command,
    short_help="Write the voxels of a scene as a point cloud (export --format points).",
    epilog="""\b
Example:
  plenostream points model.zarr model.ply --min-density 10
""",
)
@click.argument("scene", cls=Place)
@click.argument("out", cls=Place)
@rule_option("--min-density", rule=MIN_DENSITY, default=0.0)
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@keeps_read
@quiet_option
@click.pass_obj
def points(
    settings: Settings, /, scene: str, out: str, min_density: float, overwrite: bool
) -> None:
    """Write the voxels of a SCENE as a coloured point cloud, OUT.ply.

    The same as `plenostream export SCENE OUT.ply`, which has more options.
    """
    options = ExportOptions(format="points", min_density=min_density, overwrite=overwrite)
    from plenostream.export.scene import export_scene

    with Progress(quiet=settings.quiet) as progress:
        report = export_scene(scene, out, options, progress=progress.update)
    if not settings.quiet:
        click.echo("\n".join(report.lines()))
