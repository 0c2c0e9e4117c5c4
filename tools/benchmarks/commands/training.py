"""Derivatives, and scenes that are trained by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchmarks.commands.flags import ORBIT, cameras_asked, json_option, rounds_option, scene_flags
from benchmarks.commands.telling import save, say, tell
from plenostream.cli.parameters import record_options, take_record
from plenostream.integrator.xla.environment import prepare_jax
from plenostream.options import RenderOptions, StreamOptions, TrainOptions

__all__ = ["back", "train"]


@click.command()
@scene_flags
@rounds_option
def back(place: str, rounds: int, target: Path | None, **flags: Any) -> None:
    """Say what derivatives of a loss by the rows of a SCENE cost, beside drawing what it is of.

    The first view as a whole, and tiles of 8x8 pixels of random ones. An orbit of 60 views unless said.
    """
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    prepare_jax()
    from benchmarks.back import back_rows, measure_back

    cameras = cameras_asked(place, flags, orbit=ORBIT)
    found = measure_back(place, cameras, options=options, stream=stream, rounds=rounds, say=say)
    tell(place, found, back_rows(found), target=target)


@click.command()
@click.argument("place", metavar="SCENE")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--refine", is_flag=True, help="Begin with SCENE, its colours taken away.")
@record_options(TrainOptions)
@record_options(StreamOptions)
@json_option
def train(place: str, folder: Path, refine: bool, target: Path | None, **flags: Any) -> None:
    """Train a scene from photographs of a SCENE, which are drawn for it, and say how well.

    FOLDER gets 100 photographs of 400x400 along a spiral and 16 others that are held back, unless they
    are there; then the trained scene, a sheet of held views, and their PSNR over time as a picture.
    """
    options, stream = take_record(TrainOptions, flags), take_record(StreamOptions, flags)
    prepare_jax(stream.device_bytes)
    from benchmarks.table import table_lines
    from benchmarks.training import measure_training, training_rows

    report = measure_training(
        place,
        folder,
        options,
        render=RenderOptions(sigma_thresh=1e-8),
        stream=stream,
        refine=refine,
        say=say,
    )
    save(target, report.to_dict())
    click.echo("\n".join(table_lines({str(folder): list(training_rows("", report))})))
