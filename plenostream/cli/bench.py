"""`plenostream bench`."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from plenostream.cli.parameters import (
    Settings,
    json_option,
    quiet_option,
    record_options,
    rule_option,
    take_record,
)
from plenostream.cli.viewpoints import camera_options, choose_cameras
from plenostream.integrator.xla.environment import prepare_jax
from plenostream.options import PARTS, ROUNDS, RenderOptions, StreamOptions

__all__ = ["bench"]

_ORBIT = 60
"""Views around the scene, unless others are asked for."""


@click.command(
    short_help="Measure how fast a scene is on this machine.",
    epilog="""\b
Examples:
  plenostream bench model.zarr
  plenostream bench model.zarr --cameras transforms_test.json --frames 0-9 --size 400x400
  plenostream bench model.zarr --parts frames,orbit --rounds 3 --json > model.json
""",
)
@click.argument("scene")
@camera_options
@rule_option("--parts", rule=PARTS)
@rule_option("--rounds", rule=ROUNDS, default=7)
@record_options(RenderOptions)
@record_options(StreamOptions)
@json_option
@quiet_option
@click.pass_obj
def bench(
    settings: Settings,
    /,
    scene: str,
    parts: tuple[str, ...] | None,
    rounds: int,
    as_json: bool,
    **flags: Any,
) -> None:
    """Measure rendering views of a SCENE: resident and streamed, the first frame, an orbit, reads.

    The first view is drawn again and again, with all it shows on the device and with pools of 1,
    1/2, 1/4 and 1/8 of that; the views together are the orbit. An orbit of 60 views unless said.
    Figures are medians and, in brackets, quartiles. Takes some minutes; close other programs.
    """
    options, stream = take_record(RenderOptions, flags), take_record(StreamOptions, flags)
    prepare_jax()
    from plenostream.bench.scene import BenchSettings, bench_scene
    from plenostream.bench.table import scene_rows, table_lines
    from plenostream.scene import open_scene

    repeats = max(1, min(rounds, BenchSettings().repeats))
    asked = BenchSettings(rounds=rounds, repeats=repeats, parts=parts or PARTS.choices)
    with open_scene(scene) as opened:
        if not any(flags[way] is not None for way in ("cameras", "orbit", "look_from")):
            flags["orbit"] = _ORBIT
        cameras = [camera for _, camera in choose_cameras(opened.grid, **flags)]
    found = bench_scene(
        scene,
        cameras[0],
        cameras,
        options=options,
        stream=stream,
        settings=asked,
        environment=os.environ,
        say=lambda what: None if settings.quiet else click.echo(what, err=True),
    )
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=1))
    else:
        click.echo("\n".join(table_lines({os.path.basename(scene): scene_rows(found)})))
