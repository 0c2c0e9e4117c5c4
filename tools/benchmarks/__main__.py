"""The command behind `tools/bench`."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from plenostream.cli.parameters import record_options, rule_option, take_record
from plenostream.cli.viewpoints import camera_options, choose_cameras
from plenostream.errors import PlenostreamError
from plenostream.integrator.xla.environment import prepare_jax
from plenostream.options import SIZE, RenderOptions, StreamOptions

# What measures is imported by the commands: JAX reads the environment when it is imported.

_ROOT = Path(__file__).resolve().parents[2]
_ORBIT = 60
"""Views around the scene, unless others are asked for."""

_json_option = click.option(
    "--json",
    "target",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write the figures as JSON.",
)
_rounds_option = click.option(
    "--rounds",
    type=click.IntRange(1, 1000),
    default=7,
    show_default=True,
    help="Turns of each contestant.",
)


def _say(what: str) -> None:
    click.echo(what, err=True)


def _save(target: Path | None, told: Any) -> None:
    if target is not None:
        target.write_text(json.dumps(told, indent=1) + "\n")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def bench() -> None:
    """Measure plenostream.

    Figures are medians and, in brackets, quartiles; what is compared takes turns. Close other
    programs.
    """


@bench.command()
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
    default=_ROOT / ".bench",
    help="Where models, scenes and compiled programs are made, and used again (default: .bench).",
)
@_json_option
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
    lines = run_models(
        Folders(_ROOT, folder), plan, say=_say, save=lambda told: _save(target, told)
    )
    click.echo("\n".join(lines))


@bench.command()
@click.argument("place", metavar="SCENE")
@camera_options
@click.option("--parts", metavar="NAMES", help="Such as orbit,reads; all unless said.")
@_rounds_option
@click.option(
    "--against",
    type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
    metavar="CHECKOUT",
    help="Another checkout of plenostream, whose warm frames take turns with ours.",
)
@record_options(RenderOptions)
@record_options(StreamOptions)
@_json_option
def scene(
    place: str,
    parts: str | None,
    rounds: int,
    against: Path | None,
    target: Path | None,
    **flags: Any,
) -> None:
    """Measure views of a SCENE: resident and streamed, the first frame, an orbit, reads, decoding.

    The first view is drawn again and again, with all it shows on the device and with pools of 1,
    1/2, 1/4 and 1/8 of that; the views together are the orbit. An orbit of 60 views unless said.
    """
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    prepare_jax()
    from benchmarks.checkout import other_checkout
    from benchmarks.frames import Rivals, nobody
    from benchmarks.scene import PARTS, Effort, measure_scene, scene_rows
    from benchmarks.table import as_json, table_lines

    asked = PARTS if parts is None else tuple(filter(None, parts.split(",")))
    if unknown := set(asked) - set(PARTS):
        raise click.UsageError(
            f"no parts {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}"
        )
    cameras = _cameras(place, flags, orbit=_ORBIT)
    with ExitStack() as stack:
        rivals: Rivals = nobody
        if against is not None:
            rivals = stack.enter_context(other_checkout(against, place, cameras[0], options))
        effort = Effort(rounds=rounds, repeats=min(rounds, Effort().repeats), parts=asked)
        found = measure_scene(
            place,
            cameras[0],
            cameras,
            options=options,
            stream=stream,
            effort=effort,
            rivals=rivals,
            say=_say,
        )
    _save(target, as_json(found))
    click.echo("\n".join(table_lines({os.path.basename(place): scene_rows(found)})))


@bench.command()
@click.argument("place", metavar="SCENE")
@camera_options
@click.option("--workers", metavar="NUMBERS", default="1,2", show_default=True)
@_rounds_option
@record_options(RenderOptions)
@record_options(StreamOptions)
@_json_option
def cluster(place: str, workers: str, rounds: int, target: Path | None, **flags: Any) -> None:
    """Say how much faster workers of one core draw a film of a SCENE than the first number of them.

    Films by each of the numbers of --workers take turns. An orbit of 60 views unless said.
    """
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    prepare_jax()
    from benchmarks.cluster import cluster_rows, measure_cluster
    from benchmarks.table import as_json, table_lines

    found = measure_cluster(
        place,
        _cameras(place, flags, orbit=_ORBIT),
        workers=[int(number) for number in workers.split(",")],
        options=options,
        stream=stream,
        rounds=rounds,
        say=_say,
    )
    _save(target, as_json(found))
    click.echo("\n".join(table_lines({os.path.basename(place): list(cluster_rows(found))})))


@bench.command()
@click.argument("place", metavar="SCENE")
@camera_options
@click.option("--drawn", type=click.IntRange(1), default=3, show_default=True, help="Frames.")
@record_options(RenderOptions)
@record_options(StreamOptions)
@_json_option
def trace(place: str, drawn: int, target: Path | None, **flags: Any) -> None:
    """Say where the time of a view of a SCENE goes: functions of each thread, integrator stages.

    Profiles slow a frame down: shares say more than sums. A smaller --device-memory shows
    streaming. An orbit's first view unless said.
    """
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    prepare_jax()
    from benchmarks.profile import profile_frame, profile_rows
    from benchmarks.table import as_json, table_lines

    camera = _cameras(place, flags, orbit=1)[0]
    found = profile_frame(place, camera, options=options, stream=stream, n_frames=drawn)
    _save(target, as_json(found))
    click.echo("\n".join(table_lines({os.path.basename(place): list(profile_rows("", found))})))


@bench.command()
@click.argument("place", metavar="SCENE")
@camera_options
@_rounds_option
@record_options(RenderOptions)
@record_options(StreamOptions)
@_json_option
def levels(place: str, rounds: int, target: Path | None, **flags: Any) -> None:
    """Say what --level auto changes in a view of a SCENE with levels, and what it saves.

    The view is drawn from 1, 2, 4 and 8 times its distance from the middle of the grid, exactly and with
    level auto, in turns. An orbit's first view unless said.
    """
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    prepare_jax()
    from benchmarks.levels import level_rows, measure_levels
    from benchmarks.table import as_json, table_lines

    camera = _cameras(place, flags, orbit=1)[0]
    found = measure_levels(place, camera, options=options, stream=stream, rounds=rounds, say=_say)
    _save(target, as_json(found))
    click.echo("\n".join(table_lines({os.path.basename(place): list(level_rows(found))})))


def _line_options(command: Any) -> Any:
    """Decorator that gives a command --latency and --rate of a line that is simulated."""
    latency = click.option(
        "--latency",
        type=click.FloatRange(0, 10_000),
        multiple=True,
        default=(1.0, 20.0, 100.0),
        show_default=True,
        help="Milliseconds until an answer begins; may be repeated.",
    )
    rate = click.option(
        "--rate",
        type=click.FloatRange(0, min_open=True),
        default=100.0,
        show_default=True,
        help="Megabytes a second that all answers together come with.",
    )
    return latency(rate(command))


@bench.command()
@click.argument("place", metavar="SCENE")
@camera_options
@_line_options
@_rounds_option
@record_options(RenderOptions)
@record_options(StreamOptions)
@_json_option
def remote(
    place: str,
    latency: tuple[float, ...],
    rate: float,
    rounds: int,
    target: Path | None,
    **flags: Any,
) -> None:
    """Measure a SCENE (a folder) that lies on a web server far away, beside the same on this disk.

    First frame and orbit from nothing, through a line that a server on this machine simulates, and again
    with what --cache kept of the first frame. An orbit of 60 views unless said.
    """
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    prepare_jax(stream.device_bytes)
    from benchmarks.remote import measure_remote, remote_rows
    from benchmarks.table import as_json, table_lines

    cameras = _cameras(place, flags, orbit=_ORBIT)
    found = measure_remote(
        place,
        cameras,
        latencies_ms=latency,
        rate=rate * 1e6,
        options=options,
        stream=stream,
        rounds=rounds,
        say=_say,
    )
    _save(target, as_json(found))
    rows = list(remote_rows(found, len(cameras)))
    click.echo("\n".join(table_lines({os.path.basename(place): rows})))


@bench.command()
@click.argument("place", metavar="SCENE")
@_line_options
@_rounds_option
@_json_option
def shards(
    place: str, latency: tuple[float, ...], rate: float, rounds: int, target: Path | None
) -> None:
    """Say whether shards would bring all rows of a SCENE (a folder) from afar sooner than a file a chunk."""
    from benchmarks.shards import measure_shards, shard_rows
    from benchmarks.table import as_json, table_lines

    found = measure_shards(place, latencies_ms=latency, rate=rate * 1e6, rounds=rounds, say=_say)
    _save(target, as_json(found))
    click.echo("\n".join(table_lines({os.path.basename(place): list(shard_rows(found))})))


@bench.command()
@click.argument("place", metavar="SCENE")
@camera_options
@_rounds_option
@record_options(RenderOptions)
@record_options(StreamOptions)
@_json_option
def back(place: str, rounds: int, target: Path | None, **flags: Any) -> None:
    """Say what derivatives of a loss by the rows of a SCENE cost, beside drawing what it is of.

    The first view as a whole, and tiles of 8x8 pixels of random ones. An orbit of 60 views unless said.
    """
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    prepare_jax()
    from benchmarks.back import back_rows, measure_back
    from benchmarks.table import as_json, table_lines

    cameras = _cameras(place, flags, orbit=_ORBIT)
    found = measure_back(place, cameras, options=options, stream=stream, rounds=rounds, say=_say)
    _save(target, as_json(found))
    click.echo("\n".join(table_lines({os.path.basename(place): list(back_rows(found))})))


@bench.command()
@click.argument("place", metavar="SCENE")
@camera_options
@record_options(RenderOptions)
@record_options(StreamOptions)
@_json_option
def seams(place: str, target: Path | None, **flags: Any) -> None:
    """Say what --level auto does where levels of a SCENE meet, and when bricks change their level.

    In rays that cross faces between levels, pictures with the finer voxels on the face and with the
    coarser level's values there are compared with the exact one, in plain NumPy: minutes for 200x200
    pixels. Then the camera comes nearer, 1 % a picture. An orbit's first view unless said.
    """
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    prepare_jax()
    from benchmarks.seams import measure_seams, seam_rows
    from benchmarks.table import as_json, table_lines

    camera = _cameras(place, flags, orbit=1)[0]
    found = measure_seams(place, camera, options=options, stream=stream, say=_say)
    _save(target, as_json(found))
    click.echo("\n".join(table_lines({os.path.basename(place): list(seam_rows(found))})))


@bench.command()
@click.argument("place", metavar="SCENE")
@camera_options
@click.option("--workers", metavar="NUMBERS", default="1,2", show_default=True)
@_rounds_option
@record_options(RenderOptions)
@record_options(StreamOptions)
@_json_option
def subvolumes(place: str, workers: str, rounds: int, target: Path | None, **flags: Any) -> None:
    """Say what a SCENE costs that workers of one core keep together, each a set of its bricks.

    Films by each of the numbers of --workers take turns; what is compared with is the first. Eight views
    around the scene unless said.
    """
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    prepare_jax()
    from benchmarks.subvolumes import measure_subvolumes, subvolume_rows
    from benchmarks.table import as_json, table_lines

    found = measure_subvolumes(
        place,
        _cameras(place, flags, orbit=8),
        workers=[int(number) for number in workers.split(",")],
        options=options,
        stream=stream,
        rounds=rounds,
        say=_say,
    )
    _save(target, as_json(found))
    click.echo("\n".join(table_lines({os.path.basename(place): list(subvolume_rows(found))})))


@bench.command()
@click.argument("place", metavar="SCENE")
@click.option("--workers", metavar="NUMBERS", default="1,10,100", show_default=True)
@click.option("--copies", type=click.IntRange(1, 64), default=8, show_default=True)
@click.option("--pictures", type=click.IntRange(1, 10_000), default=20, show_default=True)
@rule_option("--size", rule=SIZE, default=(1920, 1080), shown="1920x1080")
@_json_option
def simulate(
    place: str,
    workers: str,
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
        workers=[int(number) for number in workers.split(",")],
        copies=copies,
        pictures=pictures,
        size=size,
        say=_say,
    )
    _save(target, [each.to_dict() for each in found])
    click.echo("\n".join(simulation_lines(found)))


@bench.command()
@click.argument("place", metavar="SCENE")
@rule_option("--size", rule=SIZE, default=(512, 512), shown="512x512")
@click.option(
    "--seconds", type=click.FloatRange(1, 3600), default=10.0, show_default=True, help="Of moving."
)
@_rounds_option
@record_options(RenderOptions)
@record_options(StreamOptions)
@_json_option
def view(
    place: str,
    size: tuple[int, int],
    seconds: float,
    rounds: int,
    target: Path | None,
    **flags: Any,
) -> None:
    """Measure the viewer: pictures a second of a camera that moves around a SCENE, and how soon they
    come.

    A visitor without a browser says 60 views a second, and takes the pictures in.
    """
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    prepare_jax(stream.device_bytes)
    from benchmarks.table import as_json, table_lines
    from benchmarks.viewing import measure_viewing, viewing_rows

    found = measure_viewing(
        place, size=size, seconds=seconds, rounds=rounds, options=options, stream=stream, say=_say
    )
    _save(target, as_json(found))
    click.echo("\n".join(table_lines({os.path.basename(place): list(viewing_rows(found, size))})))


def _cameras(place: str, flags: dict[str, Any], *, orbit: int) -> list[Any]:
    """The cameras that the flags ask for, an orbit of so many views unless said."""
    from plenostream.scene import open_scene

    if not any(flags[way] is not None for way in ("cameras", "orbit", "look_from")):
        flags["orbit"] = orbit
    with open_scene(place) as opened:
        in_ndc = opened.meta.ndc is not None
        return [camera for _, camera in choose_cameras(opened.grid, in_ndc=in_ndc, **flags).cameras]


@bench.command()
@click.argument("cases", nargs=-1, metavar="[CASE]...")
def parity(cases: tuple[str, ...]) -> None:
    """Say how far pictures are from the recorded outputs of svox2, in ../shared."""
    prepare_jax()
    from benchmarks.models import Folders
    from benchmarks.parity import parity_lines

    shared = Folders(_ROOT, _ROOT).shared
    if not shared.is_dir():
        raise click.ClickException(
            f"there is no {shared}: the recorded cases are not in the repository"
        )
    for line in parity_lines(shared, cases):
        click.echo(line)


if __name__ == "__main__":
    try:
        bench.main(prog_name="tools/bench")
    except PlenostreamError as error:
        sys.exit(f"bench: {error}")
