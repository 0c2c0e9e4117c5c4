"""What is measured on the models of ../shared."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click

from benchmarks.commands.flags import ROOT, json_option
from benchmarks.commands.telling import save, say
from plenostream.integrator.xla.environment import prepare_jax

__all__ = ["models", "parity"]


@click.command()
@click.option("--quick", is_flag=True, help="still_128, small pictures, everything once: a minute.")
@click.option(
    "--goals",
    is_flag=True,
    help="What goals were set for on a CPU, against the fastest baseline: ten minutes.",
)
@click.option("--models", metavar="NAMES", help="Such as still_128,still_512; all unless said.")
@click.option(
    "--rounds", type=click.IntRange(1, 1000), help="Turns of each contestant (7; 5 for --goals)."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    default=ROOT / ".bench",
    help="Where models, scenes and compiled programs are made, and used again (default: .bench).",
)
@json_option
def models(
    quick: bool,
    goals: bool,
    models: str | None,
    rounds: int | None,
    folder: Path,
    target: Path | None,
) -> None:
    """Measure everything on the models that are here, beside the baseline in C of ../shared.

    Frames, streaming, first frames, orbits, reads, decoding, conversion, profiles, as one table.
    Takes a quarter of an hour, some minutes more and 20 GB of disk the first time.
    """
    # Compiled programs are kept apart from the user's, so that a run depends on earlier runs only.
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder / "compiled")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    prepare_jax()
    from benchmarks.models import Folders
    from benchmarks.run import FULL, GOALS, QUICK, run_models

    plan = QUICK if quick else GOALS if goals else FULL
    if models and not quick:
        plan = replace(plan, models=models.split(","))
    if rounds and not quick:
        plan = replace(plan, effort=replace(plan.effort, rounds=rounds))
    lines = run_models(Folders(ROOT, folder), plan, say=say, save=lambda told: save(target, told))
    click.echo("\n".join(lines))


@click.command()
@click.argument("cases", nargs=-1, metavar="[CASE]...")
def parity(cases: tuple[str, ...]) -> None:
    """Say how far pictures are from the recorded outputs of svox2, in ../shared."""
    prepare_jax()
    from benchmarks.models import Folders
    from benchmarks.parity import parity_lines

    shared = Folders(ROOT, ROOT).shared
    if not shared.is_dir():
        raise click.ClickException(
            f"there is no {shared}: the recorded cases are not in the repository"
        )
    for line in parity_lines(shared, cases):
        click.echo(line)
