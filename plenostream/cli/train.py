"""`plenostream train` and `plenostream refine`."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from plenostream.cli.command import Command, Flag, Place
from plenostream.cli.parameters import Settings, quiet_option, record_options, take_record
from plenostream.cli.progress import Progress
from plenostream.cli.viewpoints import FILE_OPTIONS, camera_file_options
from plenostream.integrator.xla.environment import prepare_jax
from plenostream.options import RenderOptions, StreamOptions, TrainOptions

__all__ = ["refine", "train"]

_INTERRUPTED = 130
_OF_PICTURES = ("outputs", "depth_density", "level", "pixel_footprint", "samples", "ndc")
"""Options of pictures that training does not have."""
_OF_NOTHING = ("size", "radius", "center", "basis_dim", "init_sigma", "min_weight")
"""Options of training that a scene whose voxels stay has no use for."""
_REFINING = {"lr_sigma": 1.0, "lr_sigma_final": 0.05, "lr_sigma_delay": 0.0}
"""Rates for densities that are right already."""

_test_option = click.option(
    "--test",
    cls=Flag,
    metavar="PATH",
    help="File or data set of views to hold back, such as transforms_test.json; those of --cameras are "
    "then all learnt from.",
)
_stats_option = click.option(
    "--stats",
    cls=Flag,
    metavar="FILE.json",
    help="Also write how far it was at each reading, as JSON.",
)
_sheet_option = click.option(
    "--sheet",
    cls=Flag,
    metavar="FILE.png",
    help="Also write held views: photograph, rendering and their difference (times 4).",
)


@click.command(
    cls=Command,
    short_help="Train a scene from the photographs of a data set.",
    epilog="""\b
Examples:
  plenostream train transforms_train.json scene.zarr --test transforms_test.json --time 20m
  plenostream train photos/ scene.zarr --size 128 --steps 8000 --device-memory 64MB
  plenostream train transforms_train.json scene.zarr --time 20m --resume
""",
)
@click.argument("cameras", cls=Place)
@click.argument("scene", cls=Place)
@click.option(
    "--start",
    cls=Flag,
    metavar="SCENE",
    help="Scene to begin with, at --size at once; its volume and basis stand in for those of the options.",
)
@_test_option
@_stats_option
@_sheet_option
@camera_file_options
@record_options(TrainOptions)
@record_options(RenderOptions, without=_OF_PICTURES, sigma_thresh=1e-8)
@record_options(StreamOptions)
@quiet_option
@click.pass_context
def train(
    context: click.Context, /, cameras: str, scene: str, start: str | None, **flags: Any
) -> None:
    """Train a SCENE from the photographs of CAMERAS, coarse to fine.

    CAMERAS is a file or data set of views with photographs, of any format that evaluate reads
    (docs/cameras.md). Training begins with some 32 voxels an axis, and doubles them until there are --size;
    a scene is there after each of these stages. Ctrl-C ends with a scene as far as it is trained, and
    --resume goes on. docs/training.md says how it works.
    """
    _run(context, cameras, scene, flags, start=start)


@click.command(
    cls=Command,
    short_help="Train a scene further, with its voxels kept.",
    epilog="""\b
Example:
  plenostream refine scene.zarr transforms_train.json better.zarr --time 5m --colours-only
""",
)
@click.argument("scene", cls=Place)
@click.argument("cameras", cls=Place)
@click.argument("out", cls=Place)
@click.option("--colours-only", is_flag=True, help="Leave densities as they are.")
@_test_option
@_stats_option
@_sheet_option
@camera_file_options
@record_options(TrainOptions, without=_OF_NOTHING, **_REFINING)
@record_options(RenderOptions, without=_OF_PICTURES, sigma_thresh=1e-8)
@record_options(StreamOptions)
@quiet_option
@click.pass_context
def refine(
    context: click.Context,
    /,
    scene: str,
    cameras: str,
    out: str,
    colours_only: bool,
    **flags: Any,
) -> None:
    """Train the rows of a SCENE with the photographs of CAMERAS, and write the scene OUT.

    It has the voxels that SCENE has, without those that no picture depends on any more. What is said of
    train holds for all else.
    """
    _run(context, cameras, out, flags, start=scene, keep_voxels=True, colours_only=colours_only)


def _run(
    context: click.Context, cameras: str, scene: str, flags: dict[str, Any], **how: Any
) -> None:
    settings = context.ensure_object(Settings)
    options, stream = take_record(TrainOptions, flags), take_record(StreamOptions, flags)
    render = take_record(RenderOptions, flags)
    prepare_jax(stream.device_bytes)
    from plenostream.files.atomic import atomic_file, checked_output, writing
    from plenostream.process.stopping import stoppable
    from plenostream.train.trainer import Trainer

    test, stats, sheet = (flags.pop(name) for name in ("test", "stats", "sheet"))
    camera_format = flags.pop("camera_format")
    asked = {name: flags.pop(name) for name in FILE_OPTIONS if name in flags}
    replace = options.overwrite or options.resume
    for path, what in ((stats, "file of --stats"), (sheet, "picture")):
        if path is not None:
            checked_output(path, overwrite=replace, what=what)
    with ExitStack() as stack:
        progress = stack.enter_context(Progress(quiet=settings.quiet))
        trainer = Trainer(
            _views(cameras, asked, camera_format),
            scene,
            options,
            held=None if test is None else _views(test, asked | {"views": None}, camera_format),
            render=render,
            stream=stream,
            sheet=None if sheet is None else Path(sheet),
            told=lambda reading: progress.line(reading.line()),
            progress=progress.update,
            **how,
        )
        stopped = stack.enter_context(stoppable())
        report = trainer.run(stopped)
        if stats is not None:
            with atomic_file(stats, overwrite=True, what="file of --stats") as file, writing(stats):
                file.write((json.dumps(report.to_dict(), indent=1) + "\n").encode())
    if not settings.quiet:
        click.echo("\n".join(report.lines()))
    if not report.finished:
        context.exit(_INTERRUPTED)


def _views(path: str, asked: dict[str, Any], camera_format: str | None) -> Any:
    """The views of a data set; refuses those that are trained in device coordinates."""
    from plenostream.cameras import Asked, read_cameras, require_pictures
    from plenostream.errors import InvalidInput

    said = {name: value for name, value in asked.items() if value is not None}
    read = read_cameras(path, Asked(**said), camera_format)
    require_pictures(read.views, path)
    if read.ndc is not None:
        raise InvalidInput(
            f"{path} is a forward-facing data set, which svox2 trains in normalised device coordinates; "
            "scenes in these are not trained yet. --poses as-written trains it in the world"
        )
    return read.views
