"""`plenostream points`."""

from __future__ import annotations

import click

from plenostream.cli.parameters import Settings, quiet_option, rule_option
from plenostream.errors import printable
from plenostream.options import MIN_DENSITY

__all__ = ["points"]


@click.command(
    short_help="Write the voxels of a scene as a point cloud.",
    epilog="""\b
Example:
  plenostream points model.zarr model.ply --min-density 10

Needs open3d: pip install 'plenostream[points]'.
""",
)
@click.argument("scene")
@click.argument("out")
@rule_option("--min-density", rule=MIN_DENSITY, default=0.0)
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@quiet_option
@click.pass_obj
def points(
    settings: Settings, /, scene: str, out: str, min_density: float, overwrite: bool
) -> None:
    """Write the voxels of a SCENE as a coloured point cloud, OUT.ply."""
    from plenostream.export.points import write_points

    n_points = write_points(scene, out, min_density=min_density, overwrite=overwrite)
    if not settings.quiet:
        click.echo(f"{printable(out)}: {n_points} point{'s' * (n_points != 1)}")
