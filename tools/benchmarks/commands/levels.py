"""What coarser levels of a scene change, and save."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchmarks.commands.flags import cameras_asked, rounds_option, scene_flags
from benchmarks.commands.telling import say, tell
from plenostream.cli.parameters import take_record
from plenostream.integrator.xla.environment import prepare_jax
from plenostream.options import RenderOptions, StreamOptions

__all__ = ["levels", "seams"]


@click.command()
@scene_flags
@rounds_option
def levels(place: str, rounds: int, target: Path | None, **flags: Any) -> None:
    """Say what --level auto changes in a view of a SCENE with levels, and what it saves.

    The view is drawn from 1, 2, 4 and 8 times its distance from the middle of the grid, exactly and with
    level auto, in turns. An orbit's first view unless said.
    """
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    prepare_jax()
    from benchmarks.levels import level_rows, measure_levels

    camera = cameras_asked(place, flags, orbit=1)[0]
    found = measure_levels(place, camera, options=options, stream=stream, rounds=rounds, say=say)
    tell(place, found, level_rows(found), target=target)


@click.command()
@scene_flags
def seams(place: str, target: Path | None, **flags: Any) -> None:
    """Say what --level auto does where levels of a SCENE meet, and when bricks change their level.

    In rays that cross faces between levels, pictures with the finer voxels on the face and with the
    coarser level's values there are compared with the exact one, in plain NumPy: minutes for 200x200
    pixels. Then the camera comes nearer, 1 % a picture. An orbit's first view unless said.
    """
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    prepare_jax()
    from benchmarks.seams import measure_seams, seam_rows

    camera = cameras_asked(place, flags, orbit=1)[0]
    found = measure_seams(place, camera, options=options, stream=stream, say=say)
    tell(place, found, seam_rows(found), target=target)
