"""`plenostream render`."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from plenostream.cli.command import Command, Flag, Place
from plenostream.cli.opening import opened_renderer
from plenostream.cli.parameters import (
    Settings,
    cache_options,
    quiet_option,
    record_options,
    take_record,
)
from plenostream.cli.progress import Progress
from plenostream.cli.summary import choice_lines, stats_json, summary_lines
from plenostream.cli.viewpoints import camera_options
from plenostream.errors import InvalidInput, printable
from plenostream.files.paths import apart_from
from plenostream.options import (
    OUTPUTS,
    ClusterOptions,
    FileOptions,
    RenderOptions,
    StreamOptions,
)

if TYPE_CHECKING:
    from plenostream.export.targets import Target, Writer
    from plenostream.files.atomic import AsideFile

__all__ = ["render"]

_STATS = "file of --stats"


@click.command(
    cls=Command,
    short_help="Render pictures or a film of a scene.",
    epilog="""\b
Examples:
  plenostream render model.zarr view.png --look-from 2,2,1
  plenostream render model.zarr turn.mp4 --orbit 120 --size 640x480
  plenostream render model.zarr tests/ --cameras transforms_test.json --views 0,3,8-12
  plenostream render model.zarr fly.mp4 --cameras data/ --path interpolate --frames 300
  plenostream render model.zarr film.mp4 --path camera_path.json
  plenostream render model.zarr view.exr --outputs rgb,alpha,depth --orbit 1 --device-memory 512MB
  plenostream render model.zarr cut-out.png --background none --png-bits 16 --look-from 2,2,1
  plenostream render model.zarr comp/ --format exr --linear --background none --orbit 120
  plenostream render model.zarr overlay.webm --background none --orbit 120
  plenostream render s3://models/city.zarr film.mp4 --orbit 300 --scheduler tcp://10.0.0.5:8786

\b
Exit codes: 0 done, 1 data or input that cannot be used, 2 usage, 3 budget too
small (the message says which would do), 130 Ctrl-C.
""",
)
@click.argument("scene", cls=Place)
@click.argument("out", cls=Place)
@camera_options
@record_options(FileOptions)
@record_options(RenderOptions, outputs=("rgb",))
@record_options(StreamOptions)
@record_options(ClusterOptions)
@cache_options
@click.option(
    "--stats", cls=Flag, metavar="FILE.json", help="Also write what each frame cost, as JSON."
)
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@click.option(
    "--resume",
    is_flag=True,
    help="Draw only the frames that are missing in the folder OUT. A film keeps its frames in "
    "OUT.frames until it is whole, if it was begun with --resume too.",
)
@quiet_option
@click.pass_obj
def render(
    settings: Settings,
    /,
    scene: str,
    out: str,
    outputs: tuple[str, ...],
    stats: str | None,
    overwrite: bool,
    resume: bool,
    **flags: Any,
) -> None:
    """Render views of a SCENE to OUT.

    OUT is a picture for one view: .png, .jpg or .webp to look at; .exr, .npz or .npy with the values
    as they are (float32, above 1 too), of which .exr and .npz hold all outputs; a film for a path of
    views: .mp4 (H.264, HEVC), .mov (ProRes 4444) or .webm (VP9); or a folder, which gets
    frame_0000.png and so on, numbered as in the camera file. Outputs that have no place in OUT come
    beside it, as view_depth.png and view_depth.npy. docs/usage.md has units and conventions.
    """
    from plenostream.export.targets import check_sizes, choose_target, target_files
    from plenostream.export.unfinished import missing_frames
    from plenostream.files.atomic import made_folders, try_place, writing

    written = take_record(FileOptions, flags)
    if flags["background"] == "none" and "rgb" in outputs:
        outputs = OUTPUTS.check("--outputs", {*outputs, "alpha"})
    # What can be known of the places is found out before the scene is opened.
    choose_target(out, outputs=outputs, n_frames=1, options=written)
    try_place(out, what="picture or film")
    if stats is not None:
        try_place(stats, what=_STATS)
    inputs = {"scene": scene, "camera file": flags["cameras"]}
    with opened_renderer(scene, flags | {"outputs": outputs}) as (drawing, viewpoints, options):
        cameras = viewpoints.cameras
        written = replace(written, fps=written.fps or viewpoints.fps)
        target = choose_target(out, outputs=outputs, n_frames=len(cameras), options=written)
        sizes = {number: (camera.width, camera.height) for number, camera in cameras}
        check_sizes(target, sizes.values())
        if resume:
            if overwrite and not target.film:
                raise InvalidInput(
                    "--resume leaves frames that are there, and --overwrite does not"
                )
            wanted = set(missing_frames(target, sizes))
            cameras = [(number, camera) for number, camera in cameras if number in wanted]
        numbers = [number for number, _ in cameras]
        apart_from(target_files(target, numbers), inputs | {_STATS: stats})
        apart_from([] if stats is None else [stats], inputs)
        frames: list[dict[str, Any]] = []
        several = len(cameras) != 1
        if drawing.cluster is not None and cameras:
            planned = drawing.cluster.plan([camera for _, camera in cameras])
            if not settings.quiet:
                click.echo("\n".join(planned.lines()), err=True)
        # The record lies around the pictures: if it cannot be finished, they are there.
        with made_folders(target.place), _opened_stats(stats, overwrite=overwrite) as record:
            began = time.perf_counter()
            with (
                _opened_output(
                    target,
                    sizes,
                    background=options.background,
                    overwrite=overwrite,
                    missing=numbers if resume else None,
                ) as writer,
                Progress(quiet=settings.quiet, unit="frames" if several else "") as progress,
            ):
                if several:
                    progress.update("rendering", 0, len(cameras))
                drawn = drawing.pictures(
                    [camera for _, camera in cameras], None if several else progress.update
                )
                for number in numbers:
                    result = next(drawn)
                    writer.write(number, result)
                    frames.append(result.stats.to_dict())
                    del result  # before the next picture takes as much again
                    if several:
                        progress.update("rendering", len(frames), len(cameras))
            if stats is not None and record is not None:
                with writing(stats):
                    record.write(stats_json(numbers, frames).encode())
    seconds = time.perf_counter() - began
    if not settings.quiet:
        lines = [f"{len(sizes) - len(numbers)} of {len(sizes)} frames were there"] * resume
        if not frames:
            lines += [f"{printable(str(path))}: made of them" for path in writer.written]
        else:
            size = sizes[numbers[0]]
            lines += summary_lines(writer.written, frames, size=size, seconds=seconds)
        lines += viewpoints.lines()
        if frames:
            lines += choice_lines(drawing.renderer.backend, drawing.renderer.precision)
        click.echo("\n".join(lines + writer.notes()))


def _opened_output(
    target: Target,
    sizes: dict[int, tuple[int, int]],
    *,
    background: float | tuple[float, float, float] | str,
    overwrite: bool,
    missing: list[int] | None,
) -> AbstractContextManager[Writer]:
    """The writer of frames of these sizes, of which only the `missing` ones come, if that is said."""
    from plenostream.export.film import film_output
    from plenostream.export.stills import still_output
    from plenostream.export.unfinished import resumed_film

    of_render: dict[str, Any] = {"background": background, "overwrite": overwrite}
    if target.film and missing is not None:
        return resumed_film(target, sizes=sizes, missing=missing, **of_render)
    if target.film:
        return film_output(target, sizes=list(sizes.values()), **of_render)
    numbers = list(sizes) if missing is None else missing
    return still_output(target, numbers=numbers, **of_render)


def _opened_stats(path: str | None, *, overwrite: bool) -> AbstractContextManager[AsideFile | None]:
    from plenostream.files.atomic import atomic_file

    if path is None:
        return nullcontext()
    return atomic_file(path, overwrite=overwrite, what=_STATS)
