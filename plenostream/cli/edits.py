"""`plenostream crop`, `levels`, `merge`, `prune`, `resample` and `transform`."""

from __future__ import annotations

from typing import Any

import click

from plenostream.cli.command import Command, Place
from plenostream.cli.opening import cameras_of
from plenostream.cli.parameters import (
    Settings,
    keeps_read,
    quiet_option,
    record_options,
    rule_option,
    take_record,
)
from plenostream.cli.progress import Progress
from plenostream.cli.viewpoints import camera_options
from plenostream.options import (
    BOX,
    BOX_UNITS,
    FACTOR,
    FRAME_CENTER,
    FRAME_RADIUS,
    LEVELS,
    NEW_GRID,
    OVERLAP,
    PRUNE_DENSITY,
    PRUNE_WEIGHT,
    SHIFT,
    EditOptions,
    RenderOptions,
)

__all__ = ["crop", "levels", "merge", "prune", "resample", "transform"]


def _run(settings: Settings, edit: str, options: EditOptions, *places: Any, **said: Any) -> None:
    """Run a function of `plenostream.edits`, and say what it made."""
    import plenostream.edits as edits

    with Progress(quiet=settings.quiet) as progress:
        report = getattr(edits, edit)(*places, options=options, progress=progress.update, **said)
    if not settings.quiet:
        click.echo("\n".join(report.lines()))


@click.command(
    cls=Command,
    short_help="Keep a box of a scene.",
    epilog="""\b
Examples:
  plenostream crop model.zarr part.zarr --box -0.5,-0.5,-0.5,0.5,0.5,0.5
  plenostream crop model.zarr half.zarr --box 0,0,0,256,512,512 --units voxels
""",
)
@click.argument("scene", cls=Place)
@click.argument("out", cls=Place)
@rule_option("--box", rule=BOX, required=True)
@rule_option("--units", rule=BOX_UNITS, default="world")
@click.option(
    "--keep-grid",
    is_flag=True,
    help="Keep the whole grid, empty outside the box: samples along rays are then where they were.",
)
@record_options(EditOptions)
@keeps_read
@quiet_option
@click.pass_obj
def crop(
    settings: Settings,
    /,
    scene: str,
    out: str,
    box: tuple[float, ...],
    units: Any,
    keep_grid: bool,
    **flags: Any,
) -> None:
    """Write the voxels of a SCENE that lie in a box as the scene OUT; their values stay."""
    _run(
        settings,
        "crop",
        take_record(EditOptions, flags),
        scene,
        out,
        box,
        units=units,
        keep_grid=keep_grid,
    )


@click.command(
    cls=Command,
    short_help="Store coarser levels beside a scene.",
    epilog="""\b
Example:
  plenostream levels model.zarr far.zarr
""",
)
@click.argument("scene", cls=Place)
@click.argument("out", cls=Place)
@rule_option("--levels", rule=LEVELS, default="auto")
@record_options(EditOptions)
@keeps_read
@quiet_option
@click.pass_obj
def levels(settings: Settings, /, scene: str, out: str, levels: Any, **flags: Any) -> None:
    """Write a SCENE as it is, with coarser levels beside it, as the scene OUT.

    That is what convert --levels makes, of any scene; render --level draws them.
    """
    _run(settings, "add_levels", take_record(EditOptions, flags), scene, out, levels=levels)


@click.command(
    cls=Command,
    short_help="Make one scene of several.",
    epilog="""\b
Examples:
  plenostream merge left.zarr right.zarr both.zarr
  plenostream merge room.zarr chair.zarr chair.zarr two.zarr --shift 40,0,0 --shift 90,12,0
""",
)
@click.argument("scenes", cls=Place, nargs=-1, required=True)
@click.argument("out", cls=Place)
@rule_option("--shift", rule=SHIFT, multiple=True)
@rule_option("--overlap", rule=OVERLAP, default="denser")
@record_options(EditOptions)
@keeps_read
@quiet_option
@click.pass_obj
def merge(
    settings: Settings,
    /,
    scenes: tuple[str, ...],
    out: str,
    shift: tuple[Any, ...],
    overlap: Any,
    **flags: Any,
) -> None:
    """Write several SCENES, whose voxels are of one size, as the scene OUT.

    OUT has the smallest grid that holds all of them.
    """
    _run(
        settings,
        "merge",
        take_record(EditOptions, flags),
        scenes,
        out,
        shifts=shift or None,
        overlap=overlap,
    )


@click.command(
    cls=Command,
    short_help="Leave out voxels that are thin, or that no view sees.",
    epilog="""\b
Examples:
  plenostream prune model.zarr small.zarr --min-density 1
  plenostream prune model.zarr small.zarr --min-weight 0.01 --cameras transforms_train.json
""",
)
@click.argument("scene", cls=Place)
@click.argument("out", cls=Place)
@rule_option("--min-density", rule=PRUNE_DENSITY)
@rule_option("--min-weight", rule=PRUNE_WEIGHT)
@camera_options
@record_options(RenderOptions, without=("outputs", "depth_density"))
@record_options(EditOptions)
@keeps_read
@quiet_option
@click.pass_obj
def prune(
    settings: Settings,
    /,
    scene: str,
    out: str,
    min_density: float | None,
    min_weight: float | None,
    **flags: Any,
) -> None:
    """Write a SCENE without its thin voxels as the scene OUT.

    With --min-density 0 the picture stays the same: only voxels go that nothing is drawn with. With
    --min-weight those stay that the views of --cameras (or --orbit, or --look-from) see. Of any
    pruning with views, the summary says how far their pictures are from those before.
    """
    options = take_record(EditOptions, flags)
    render = take_record(RenderOptions, flags)
    said: dict[str, Any] = {"min_density": min_density, "min_weight": min_weight}
    if any(value is not None for value in flags.values()):
        viewpoints = cameras_of(scene, render, flags)
        said |= {"cameras": [camera for _, camera in viewpoints.cameras], "render": render}
    elif render != RenderOptions():
        said["render"] = render
    _run(settings, "prune", options, scene, out, **said)


@click.command(
    cls=Command,
    short_help="Give a scene more or fewer voxels.",
    epilog="""\b
Examples:
  plenostream resample model.zarr half.zarr --factor 0.5
  plenostream resample model.zarr cubes.zarr --grid 384,384,128
""",
)
@click.argument("scene", cls=Place)
@click.argument("out", cls=Place)
@rule_option("--factor", rule=FACTOR)
@rule_option("--grid", rule=NEW_GRID)
@record_options(EditOptions)
@keeps_read
@quiet_option
@click.pass_obj
def resample(
    settings: Settings, /, scene: str, out: str, factor: float | None, grid: Any, **flags: Any
) -> None:
    """Write a SCENE with more or fewer voxels in the same place as the scene OUT."""
    _run(settings, "resample", take_record(EditOptions, flags), scene, out, factor, grid=grid)


@click.command(
    cls=Command,
    short_help="Put a scene elsewhere in the world.",
    epilog="""\b
Example:
  plenostream transform model.zarr moved.zarr --center 10,0,0
""",
)
@click.argument("scene", cls=Place)
@click.argument("out", cls=Place)
@rule_option("--radius", rule=FRAME_RADIUS)
@rule_option("--center", rule=FRAME_CENTER)
@record_options(EditOptions)
@keeps_read
@quiet_option
@click.pass_obj
def transform(
    settings: Settings, /, scene: str, out: str, radius: Any, center: Any, **flags: Any
) -> None:
    """Write a SCENE with another radius or center of its volume as the scene OUT.

    Densities stay what they are per world unit: a scene twice as large lets less light through.
    """
    _run(
        settings,
        "transform",
        take_record(EditOptions, flags),
        scene,
        out,
        radius=radius,
        center=center,
    )
