"""What frames of a scene cost, and where their time goes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from benchmarks.commands.flags import (
    ORBIT,
    ROOT,
    cameras_asked,
    json_option,
    rounds_option,
    scene_flags,
)
from benchmarks.commands.telling import say, tell
from plenostream.cli.parameters import record_options, rule_option, take_record
from plenostream.cli.viewpoints import camera_options
from plenostream.integrator.xla.environment import prepare_jax
from plenostream.options import SIZE, RenderOptions, StreamOptions

__all__ = ["huge", "scene", "trace", "view"]


@click.command()
@click.argument("place", metavar="SCENE")
@camera_options
@click.option("--parts", metavar="NAMES", help="Such as orbit,reads; all unless said.")
@rounds_option
@click.option(
    "--against",
    type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
    metavar="CHECKOUT",
    help="Another checkout of plenostream, whose warm frames take turns with ours.",
)
@record_options(RenderOptions)
@record_options(StreamOptions)
@json_option
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

    asked = PARTS if parts is None else tuple(filter(None, parts.split(",")))
    if unknown := set(asked) - set(PARTS):
        raise click.UsageError(
            f"no parts {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}"
        )
    cameras = cameras_asked(place, flags, orbit=ORBIT)
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
            say=say,
        )
    tell(place, found, scene_rows(found), target=target)


@click.command()
@scene_flags
@click.option("--drawn", type=click.IntRange(1), default=3, show_default=True, help="Frames.")
def trace(place: str, drawn: int, target: Path | None, **flags: Any) -> None:
    """Say where the time of a view of a SCENE goes: functions of each thread, integrator stages.

    Profiles slow a frame down: shares say more than sums. A smaller --device-memory shows
    streaming. An orbit's first view unless said.
    """
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    prepare_jax()
    from benchmarks.profile import profile_frame, profile_rows

    camera = cameras_asked(place, flags, orbit=1)[0]
    found = profile_frame(place, camera, options=options, stream=stream, n_frames=drawn)
    tell(place, found, profile_rows("", found), target=target)


@click.command()
@click.argument("place", metavar="SCENE")
@rule_option("--size", rule=SIZE, default=(512, 512), shown="512x512")
@click.option(
    "--seconds", type=click.FloatRange(1, 3600), default=10.0, show_default=True, help="Of moving."
)
@rounds_option
@record_options(RenderOptions)
@record_options(StreamOptions)
@json_option
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
    from benchmarks.viewing import measure_viewing, viewing_rows

    found = measure_viewing(
        place, size=size, seconds=seconds, rounds=rounds, options=options, stream=stream, say=say
    )
    tell(place, found, viewing_rows(found, size), target=target)


@click.command()
@click.argument("place", metavar="SCENE")
@rule_option("--size", rule=SIZE, default=(800, 800), shown="800x800")
@click.option(
    "--copies", type=click.IntRange(2, 16), default=8, show_default=True, help="Along each axis."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    default=ROOT / ".bench" / "huge",
    help="Where the copies are made, and removed afterwards (default: .bench/huge).",
)
@rounds_option
@record_options(RenderOptions)
@record_options(StreamOptions)
@json_option
def huge(
    place: str,
    size: tuple[int, int],
    copies: int,
    folder: Path,
    rounds: int,
    target: Path | None,
    **flags: Any,
) -> None:
    """Measure a scene of many copies of a SCENE beside one of the bricks alone that a view of it shows.

    Chunks of rows are shared between copies: 512 of still_512, which are 10^9 voxels, take 1.4 GB and
    two minutes to make. With levels in the SCENE, all copies are drawn from far away, too.
    """
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    prepare_jax(stream.device_bytes)
    from benchmarks.huge import huge_rows, measure_huge

    if folder.exists():
        raise click.UsageError(f"{folder} exists; it would be removed")
    found = measure_huge(
        place,
        folder,
        copies=copies,
        size=size,
        options=options,
        stream=stream,
        rounds=rounds,
        say=say,
    )
    tell(place, found, huge_rows(found), target=target)
