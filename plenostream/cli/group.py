"""All commands under one name."""

from __future__ import annotations

from typing import Any

import click

from plenostream import __version__
from plenostream.cli.compare import compare
from plenostream.cli.convert import convert
from plenostream.cli.edits import crop, levels, merge, prune, resample, transform
from plenostream.cli.evaluate import evaluate
from plenostream.cli.export import export
from plenostream.cli.inspection import info, verify
from plenostream.cli.parameters import Settings, quiet_option
from plenostream.cli.plan import plan
from plenostream.cli.points import points
from plenostream.cli.render import render
from plenostream.cli.sketch import inspect
from plenostream.cli.train import refine, train
from plenostream.cli.view import view

__all__ = ["commands"]


_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(
    invoke_without_command=True,
    context_settings=_SETTINGS,
    epilog="""\b
Start with:
  plenostream convert model.npz model.zarr
  plenostream view model.zarr --open
  plenostream render model.zarr view.png --look-from 2,2,1
  plenostream render model.zarr turn.mp4 --orbit 120

\b
Exit codes: 0 done, 1 data or input that cannot be used, 2 usage, 3 a budget
too small, 70 a bug of plenostream, 130 Ctrl-C.
""",
)
@click.version_option(__version__, prog_name="plenostream", message="%(prog)s %(version)s")
@quiet_option
@click.pass_context
def commands(context: click.Context) -> None:
    """Exact full-resolution pictures of Plenoxels models, within a memory budget.

    A svox2 checkpoint is converted once to a scene of bricks on disk; pictures are then rendered
    by streaming the bricks in view through the device, within the bytes it is allowed.
    """
    context.ensure_object(Settings)
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(2)


_READING = (convert, view, render, plan, evaluate, compare, info, inspect, verify, export, points)
_EDITING = (crop, levels, merge, prune, resample, transform)
_TRAINING = (train, refine)
for command in (*_READING, *_EDITING, *_TRAINING):
    command.context_settings.update(_SETTINGS)  # for those who look at it outside of the group, too
    commands.add_command(command)
