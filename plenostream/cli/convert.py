"""`plenostream convert`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from plenostream.cli.approximation import approximation_line
from plenostream.cli.command import Command, Place
from plenostream.cli.parameters import (
    Settings,
    quiet_option,
    record_options,
    rule_option,
    spelled_flag,
    take_record,
)
from plenostream.cli.progress import Progress
from plenostream.options import (
    PACKING_SCHEDULER,
    ClusterOptions,
    ConvertOptions,
    ResampleOptions,
    VolumeOptions,
)

__all__ = ["convert"]


@click.command(
    cls=Command,
    short_help="Convert a svox2 checkpoint (.npz) or a volume to a scene of bricks.",
    epilog="""\b
Examples:
  plenostream convert model.npz model.zarr
  plenostream convert big.npz big.zarr --host-memory 500MB --overwrite
  plenostream convert big.npz s3://bucket/big.zarr --resume
  plenostream convert ct.npy ct.zarr --axes zyx --opacity 150:0,300:0.02,700:0.5 --colormap hot
""",
)
@click.argument("source", cls=Place)
@click.argument("scene", cls=Place)
@record_options(ConvertOptions)
@record_options(VolumeOptions)
@record_options(ResampleOptions)
@rule_option("--scheduler", rule=PACKING_SCHEDULER)
@quiet_option
@click.pass_obj
def convert(
    settings: Settings, /, source: str, scene: str, scheduler: str | None, **flags: Any
) -> None:
    """Convert SOURCE to a SCENE of bricks: a folder, or a URL of one (s3://bucket/model.zarr).

    SOURCE is a svox2 checkpoint (.npz), whose values the scene keeps exactly unless --dtype float16
    is asked for; or a volume of scalars, such as CT or simulations make: a NumPy file (.npy) or a
    Zarr array, of which --opacity and --colormap say what its values look like.

    A PlenOctree (.npz of svox 1) and Plenoxels in JAX (a folder of .npy) have pictures that no scene
    has exactly; --approximate resamples them and says how far off the picture is.

    The scene is there only once it is whole.
    """
    # Refuse what cannot be before anything heavy is imported.
    asked, volume = take_record(ConvertOptions, flags), take_record(VolumeOptions, flags)
    resample = take_record(ResampleOptions, flags)
    from plenostream.importers.arrays.recognise import is_volume

    with Progress(quiet=settings.quiet) as progress, _cluster(scheduler):
        if is_volume(source):
            from plenostream.importers.arrays.volume import convert_volume

            lines = convert_volume(source, scene, volume, asked, progress=progress.update).lines()
        else:
            _refuse_volume_flags(source, volume)
            lines = _convert_model(source, scene, resample, asked, progress)
    if not settings.quiet:
        click.echo("\n".join(lines))


@contextmanager
def _cluster(scheduler: str | None) -> Iterator[None]:
    """Have the workers of a cluster pack, where one is named."""
    if scheduler is None:
        yield
        return
    from plenostream.cluster.opening import check_versions, open_client

    with open_client(ClusterOptions(scheduler=scheduler)) as client:
        check_versions(client)
        yield


def _convert_model(
    source: str,
    scene: str,
    resample: ResampleOptions,
    options: ConvertOptions,
    progress: Progress,
) -> list[str]:
    """Convert a checkpoint or a model of another program; the report."""
    from plenostream.importers.resampled.convert import convert_foreign, open_foreign

    if open_foreign(source, radius=resample.radius) is None:
        if resample.radius is not None:
            raise click.UsageError(f"--radius belongs to Plenoxels in JAX, and {source} is none")
        from plenostream.importers.svox2.convert import convert as convert_checkpoint

        return convert_checkpoint(source, scene, options, progress=progress.update).lines()
    report, model = convert_foreign(source, scene, resample, options, progress=progress.update)
    return [*report.lines(), approximation_line(scene, model, options)]


def _refuse_volume_flags(source: str, volume: VolumeOptions) -> None:
    for name in VolumeOptions.__dataclass_fields__:
        if getattr(volume, name) != getattr(VolumeOptions(), name):
            raise click.UsageError(
                f"{spelled_flag(name)} belongs to volumes (.npy, or a Zarr array), and {source} is none"
            )
