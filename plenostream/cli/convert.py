"""`plenostream convert`."""

from __future__ import annotations

from typing import Any

import click

from plenostream.cli.parameters import Settings, quiet_option, record_options
from plenostream.cli.progress import Progress
from plenostream.options import ConvertOptions

__all__ = ["convert"]


@click.command(
    short_help="Convert a svox2 checkpoint (.npz) to a scene of bricks.",
    epilog="""\b
Examples:
  plenostream convert model.npz model.zarr
  plenostream convert big.npz big.zarr --host-memory 500MB --overwrite
""",
)
@click.argument("checkpoint")
@click.argument("scene")
@record_options(ConvertOptions)
@quiet_option
@click.pass_obj
def convert(settings: Settings, /, checkpoint: str, scene: str, **options: Any) -> None:
    """Convert a svox2 CHECKPOINT (.npz) to a SCENE of bricks (a folder).

    The scene is there only once it is whole. It keeps the checkpoint's values exactly, unless
    --dtype float16 is asked for.
    """
    asked = ConvertOptions(**options)  # refuse what cannot be before anything heavy is imported
    from plenostream.importers.svox2.convert import convert as convert_checkpoint

    with Progress(quiet=settings.quiet) as progress:
        report = convert_checkpoint(checkpoint, scene, asked, progress=progress.update)
    if not settings.quiet:
        click.echo("\n".join(report.lines()))
