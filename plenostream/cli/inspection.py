"""`plenostream info` and `plenostream verify`."""

from __future__ import annotations

import json

import click

from plenostream.cli.command import Command, Flag, Place
from plenostream.cli.parameters import Settings, json_option, keeps_read, quiet_option
from plenostream.cli.preview import PREVIEW_HELP, check_preview, write_preview
from plenostream.cli.progress import Progress
from plenostream.errors import printable

__all__ = ["info", "verify"]


@click.command(
    cls=Command,
    short_help="Say what a scene or a checkpoint holds.",
    epilog="""\b
Examples:
  plenostream info model.npz
  plenostream info model.zarr --histogram --preview model.png
""",
)
@click.argument("path", cls=Place)
@click.option(
    "--histogram", is_flag=True, help="Read all densities of a scene and say how many have which."
)
@click.option("--preview", cls=Flag, metavar="FILE.png", help=PREVIEW_HELP)
@click.option("--overwrite", is_flag=True, help="Replace the picture of --preview if it exists.")
@keeps_read
@json_option
@quiet_option
@click.pass_obj
def info(
    settings: Settings,
    /,
    path: str,
    histogram: bool,
    preview: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Say what the scene or the checkpoint (.npz) at PATH holds: grid, types, counts, bytes.

    Of a scene also its bricks, where it lies in the world and where it came from. Nothing is read
    but headers and tables, unless --histogram or --preview ask for more.
    """
    if path.lower().endswith(".npz"):
        from plenostream.importers.svox2.checkpoint import open_checkpoint

        if histogram or preview is not None:
            raise click.UsageError("--histogram and --preview belong to scenes; convert it first")
        checkpoint = open_checkpoint(path)
        found, lines = checkpoint.to_dict(), checkpoint.lines()
    else:
        from plenostream.format.info import info_lines, scene_info

        if preview is not None:
            check_preview(preview)
        with Progress(quiet=settings.quiet) as progress:
            found = scene_info(path, histogram=histogram, progress=progress.update)
        lines = info_lines(found)
    click.echo(json.dumps(found, indent=1) if as_json else "\n".join(lines))
    if preview is not None:
        write_preview(path, preview, overwrite=overwrite)
        if not (settings.quiet or as_json):
            click.echo(f"preview    {printable(preview)}")


@click.command(cls=Command, short_help="Check every byte of a scene.")
@click.argument("scene", cls=Place)
@json_option
@quiet_option
@click.pass_context
def verify(context: click.Context, scene: str, as_json: bool) -> None:
    """Read all of a SCENE and check every byte; exit code 1 if a brick is damaged.

    Names what is damaged: bricks, and the chunks they lie in. Of a scene at a URL that is what is
    there now: nothing is taken from a --cache.
    """
    from plenostream.format.verify import verify as check

    settings: Settings = context.obj
    with Progress(quiet=settings.quiet) as progress:
        report = check(scene, progress=progress.update)
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=1))
    elif not (settings.quiet and report.ok):
        click.echo("\n".join(report.lines()))
    if not report.ok:
        context.exit(1)
