"""The command behind `tools/bench`."""

from __future__ import annotations

import sys

import click

from benchmarks.commands.clusters import cluster, simulate, subvolumes
from benchmarks.commands.frames import huge, scene, trace, view
from benchmarks.commands.levels import levels, seams
from benchmarks.commands.models import models, parity
from benchmarks.commands.remote import remote, shards
from benchmarks.commands.training import back, train
from plenostream.errors import PlenostreamError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def bench() -> None:
    """Measure plenostream.

    Figures are medians and, in brackets, quartiles; what is compared takes turns. Close other
    programs.
    """


for command in (
    back,
    cluster,
    huge,
    levels,
    models,
    parity,
    remote,
    scene,
    seams,
    shards,
    simulate,
    subvolumes,
    trace,
    train,
    view,
):
    bench.add_command(command)


if __name__ == "__main__":
    try:
        bench.main(prog_name="tools/bench")
    except PlenostreamError as error:
        sys.exit(f"bench: {error}")
