"""The command line: the group of commands, and how each error ends a program.

Exit codes: 0 done; 1 data or input that cannot be used; 2 usage; 3 a budget too small; 70 a bug
of ours; 130 Ctrl-C.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence

import click

from plenostream.commands.convert import convert
from plenostream.commands.inspection import info, verify
from plenostream.commands.parameters import Settings, quiet_option
from plenostream.commands.plan import plan
from plenostream.commands.points import points
from plenostream.commands.render import render
from plenostream.errors import InternalError, PlenostreamError
from plenostream.version import __version__

__all__ = ["main"]


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Start with:
  plenostream convert model.npz model.zarr
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
def _commands(context: click.Context) -> None:
    """Exact full-resolution pictures of Plenoxels models, within a memory budget.

    A svox2 checkpoint is converted once to a scene of bricks on disk; pictures are then rendered
    by streaming the bricks in view through the device, within the bytes it is allowed.
    """
    context.ensure_object(Settings)


for _command in (convert, render, plan, info, verify, points):
    _commands.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on `arguments` (the process's own by default); the exit code."""
    logging.basicConfig(level=logging.WARNING, format="plenostream: %(levelname)s: %(message)s")
    try:
        code = _commands.main(arguments, prog_name="plenostream", standalone_mode=False)
    except click.UsageError as error:
        return _fail(_usage(error), error.exit_code)
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("plenostream: interrupted", err=True)
        return 130
    except PlenostreamError as error:
        return _fail(str(error), error.exit_code)
    except MemoryError as error:
        return _fail(f"the machine has no more memory ({error or 'it did not say for what'})", 1)
    except Exception as error:
        traceback.print_exc()
        return _fail(
            f"a bug of plenostream, please report it with the lines above: {error!r}",
            InternalError.exit_code,
        )
    return code if isinstance(code, int) else 0


def _usage(error: click.UsageError) -> str:
    command = error.ctx.command_path if error.ctx is not None else "plenostream"
    message = error.format_message().rstrip(".")
    return f"{message} (see '{command} --help')"


def _fail(message: str, code: int) -> int:
    click.echo(f"plenostream: error: {message}", err=True)
    return code
