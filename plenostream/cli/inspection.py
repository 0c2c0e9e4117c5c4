"""`plenostream info` and `plenostream verify`."""

from __future__ import annotations

import json

import click

from plenostream.cli.parameters import Settings, json_option, quiet_option
from plenostream.cli.progress import Progress

__all__ = ["info", "verify"]


@click.command(short_help="Say what a scene or a checkpoint holds.")
@click.argument("path")
@json_option
@quiet_option
def info(path: str, as_json: bool) -> None:
    """Say what the scene or the checkpoint (.npz) at PATH holds: grid, types, counts, bytes.

    Of a scene also its bricks and where it came from. Nothing is read but headers and tables.
    """
    if path.lower().endswith(".npz"):
        from plenostream.importers.svox2.checkpoint import open_checkpoint

        checkpoint = open_checkpoint(path)
        found, lines = checkpoint.to_dict(), checkpoint.lines()
    else:
        from plenostream.format.info import info_lines, scene_info

        found = scene_info(path)
        lines = info_lines(found)
    click.echo(json.dumps(found, indent=1) if as_json else "\n".join(lines))


@click.command(short_help="Check every byte of a scene.")
@click.argument("scene")
@json_option
@quiet_option
@click.pass_context
def verify(context: click.Context, scene: str, as_json: bool) -> None:
    """Read all of a SCENE and check every byte; exit code 1 if a brick is damaged.

    Names what is damaged: bricks, and the chunks they lie in.
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
