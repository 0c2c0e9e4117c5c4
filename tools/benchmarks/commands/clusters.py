"""Scenes that several workers draw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from benchmarks.commands.flags import (
    ORBIT,
    cameras_asked,
    json_option,
    rounds_option,
    scene_flags,
    workers_option,
)
from benchmarks.commands.telling import save, say, tell
from plenostream.cli.parameters import rule_option, take_record
from plenostream.integrator.xla.environment import prepare_jax
from plenostream.options import SIZE, RenderOptions, StreamOptions

__all__ = ["cluster", "simulate", "subvolumes"]

Found = TypeVar("Found")


@click.command()
@scene_flags
@workers_option("1,2")
@rounds_option
def cluster(place: str, workers: list[int], rounds: int, target: Path | None, **flags: Any) -> None:
    """Say how much faster workers of one core draw a film of a SCENE than the first number of them.

    Films by each of the numbers of --workers take turns. An orbit of 60 views unless said.
    """
    prepare_jax()
    from benchmarks.cluster import cluster_rows, measure_cluster

    found = _film(measure_cluster, place, flags, orbit=ORBIT, workers=workers, rounds=rounds)
    tell(place, found, cluster_rows(found), target=target)


@click.command()
@scene_flags
@workers_option("1,2")
@rounds_option
def subvolumes(
    place: str, workers: list[int], rounds: int, target: Path | None, **flags: Any
) -> None:
    """Say what a SCENE costs that workers of one core keep together, each a set of its bricks.

    Films by each of the numbers of --workers take turns; what is compared with is the first. Eight views
    around the scene unless said.
    """
    prepare_jax()
    from benchmarks.subvolumes import measure_subvolumes, subvolume_rows

    found = _film(measure_subvolumes, place, flags, orbit=8, workers=workers, rounds=rounds)
    tell(place, found, subvolume_rows(found), target=target)


def _film(
    measure: Callable[..., Found], place: str, flags: dict[str, Any], *, orbit: int, **how: Any
) -> Found:
    """What `measure` finds of the film that the flags ask for, an orbit of so many views unless said."""
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    cameras = cameras_asked(place, flags, orbit=orbit)
    return measure(place, cameras, options=options, stream=stream, say=say, **how)


@click.command()
@click.argument("place", metavar="SCENE")
@workers_option("1,10,100")
@click.option("--copies", type=click.IntRange(1, 64), default=8, show_default=True)
@click.option("--pictures", type=click.IntRange(1, 10_000), default=20, show_default=True)
@rule_option("--size", rule=SIZE, default=(1920, 1080), shown="1920x1080")
@json_option
def simulate(
    place: str,
    workers: list[int],
    copies: int,
    pictures: int,
    size: tuple[int, int],
    target: Path | None,
) -> None:
    """Plan a SCENE, --copies times as long along each axis, for clusters of these numbers of workers.

    Bricks are split, and pictures planned, as they would be; a scheduler of Dask hands out the tasks of
    --pictures to workers that do nothing but send what they would.
    """
    prepare_jax()
    from benchmarks.simulation import simulate_split, simulation_lines

    found = simulate_split(
        place,
        workers=workers,
        copies=copies,
        pictures=pictures,
        size=size,
        say=say,
    )
    save(target, [each.to_dict() for each in found])
    click.echo("\n".join(simulation_lines(found)))
