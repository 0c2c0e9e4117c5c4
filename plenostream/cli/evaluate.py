"""`plenostream evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from plenostream.cli.command import Command, Flag, Place
from plenostream.cli.opening import opened_scene
from plenostream.cli.parameters import (
    Settings,
    cache_options,
    json_option,
    quiet_option,
    record_options,
    rule_option,
)
from plenostream.cli.progress import Progress
from plenostream.cli.scores import tell_scores
from plenostream.cli.viewpoints import CAMERAS, FILE_OPTIONS, camera_file_options
from plenostream.options import LPIPS, ClusterOptions, RenderOptions, StreamOptions

if TYPE_CHECKING:
    from plenostream.cameras import Camera, PicturedCamera

__all__ = ["evaluate"]


@click.command(
    cls=Command,
    short_help="Compare renderings with the photographs of a data set.",
    epilog="""\b
Examples:
  plenostream evaluate model.zarr --cameras transforms_test.json
  plenostream evaluate model.zarr --cameras transforms_test.json --views 0,2,4 --save out/ --json

Needs scikit-image: pip install 'plenostream[evaluate]'; LPIPS needs 'plenostream[lpips]'.
""",
)
@click.argument("scene", cls=Place)
@click.option(
    "--cameras",
    cls=Flag,
    heading=CAMERAS,
    metavar="PATH",
    required=True,
    help="File or data set of views with photographs (formats: docs/cameras.md).",
)
@camera_file_options
@record_options(RenderOptions, without=("outputs", "depth_density"))
@record_options(StreamOptions)
@record_options(ClusterOptions)
@cache_options
@click.option(
    "--save",
    cls=Flag,
    metavar="FOLDER",
    help="Also write photograph, rendering and their difference (times 4) side by side, as PNG.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@rule_option("--lpips", rule=LPIPS)
@json_option
@quiet_option
@click.pass_obj
def evaluate(
    settings: Settings,
    /,
    scene: str,
    cameras: str,
    save: str | None,
    overwrite: bool,
    lpips: str | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Render the views of a data set and say how alike they are to its photographs.

    Each view is rendered at its photograph's size. A photograph with alpha is laid over
    --background. PSNR and SSIM are those of pixels cut off at 0 and 1; the mean is that of the
    views.
    """
    from plenostream.cameras import Asked, read_cameras, require_pictures
    from plenostream.export.perceptual import choose_perceptual
    from plenostream.export.photographs import read_picture, side_by_side
    from plenostream.export.picture_files import write_png
    from plenostream.export.scores import require_scores, score
    from plenostream.export.targets import choose_target, target_files
    from plenostream.files.atomic import checked_output, made_folders, try_place

    require_scores()
    perceptual, network = choose_perceptual(lpips)
    camera_format = flags.pop("camera_format")
    asked = {name: flags.pop(name) for name in FILE_OPTIONS if name in flags}
    said = {name: value for name, value in asked.items() if value is not None}
    read = read_cameras(cameras, Asked(**said), camera_format)
    views = read.views
    require_pictures(views, cameras)
    files: list[Path] = []
    if save is not None:
        target = choose_target(f"{save}/", outputs=("rgb",), n_frames=len(views))
        files = target_files(target, [view.number for view in views])
        for path in files:
            checked_output(path, overwrite=overwrite, what="picture")
    rows = []
    with (
        opened_scene(scene, flags | {"outputs": ("rgb",)}, read.ndc) as (
            drawing,
            options,
            about_ndc,
        ),
        Progress(quiet=settings.quiet or as_json, unit="views") as progress,
    ):
        drawn = drawing.pictures([_at_size_of_photograph(view) for view in views])
        for view in views:
            assert view.picture is not None
            photograph = read_picture(view.picture, background=options.background_rgb)
            picture = next(drawn).rgb
            rows.append(
                (f"{view.number} {view.picture.name}", score(photograph, picture, perceptual))
            )
            if files:
                with made_folders(files[0].parent):
                    try_place(files[0], what="picture")
                    pixels = side_by_side(photograph, picture)
                    write_png(files[len(rows) - 1], pixels, overwrite=overwrite)
            progress.update("evaluating", len(rows), len(views))
    tell_scores(rows, network=network, as_json=as_json)
    if not (as_json or settings.quiet):
        click.echo(f"cameras: {read.found}")
    if about_ndc and not settings.quiet:
        click.echo(f"ndc: {about_ndc}", err=as_json)


def _at_size_of_photograph(view: PicturedCamera) -> Camera:
    """The camera at the size of its photograph."""
    from plenostream.cameras.image_size import read_image_size
    from plenostream.export.photographs import read_picture

    assert view.picture is not None
    size = read_image_size(view.picture)
    if size is None:  # of a kind without a header that tells
        height, width = read_picture(view.picture, background=0.0).shape[:2]
        size = width, height
    return view.at_size(*size)
