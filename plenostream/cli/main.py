"""The command line: how each way to end turns into a message and an exit code.

Exit codes: 0 done; 1 data or input that cannot be used; 2 usage; 3 a budget too small; 70 a bug
of ours; 130 Ctrl-C.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence

import click

from plenostream.cli.streams import open_streams, output_failure
from plenostream.errors import InternalError, PlenostreamError, printable

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on `arguments` (the process's own by default); the exit code."""
    open_streams()
    code = _run(arguments)
    lost = output_failure()
    if lost is None:
        return code
    # Quiet where the reader has gone, who wants no more.
    if isinstance(lost, BrokenPipeError):
        return code or 1
    return _fail(f"standard output cannot be written: {lost.strerror}", code or 1)


def _run(arguments: Sequence[str] | None) -> int:
    logging.basicConfig(level=logging.WARNING, format="plenostream: %(levelname)s: %(message)s")
    try:
        # Late, so that Ctrl-C while modules are being loaded ends like any other.
        from plenostream.cli.group import commands

        code = commands.main(arguments, prog_name="plenostream", standalone_mode=False)
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
    except SystemExit as error:
        # How click ends where the reader of a pipe has gone.
        return error.code if isinstance(error.code, int) else 1
    except Exception as error:
        if isinstance(error, OSError) and output_failure() is not None:
            return 1
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
    click.echo(f"plenostream: error: {printable(message)}", err=True)
    return code
