"""`plenostream plan`."""

from __future__ import annotations

import json
from typing import Any

import click

from plenostream.cli.command import Command, Place
from plenostream.cli.opening import Drawing, opened_renderer
from plenostream.cli.parameters import (
    Settings,
    cache_options,
    json_option,
    quiet_option,
    record_options,
)
from plenostream.cli.progress import Progress
from plenostream.cli.summary import choice_lines
from plenostream.cli.viewpoints import Viewpoints, camera_options
from plenostream.options import ClusterOptions, RenderOptions, StreamOptions

__all__ = ["plan"]

_BOUNDS = (
    "planned_device_bytes",
    "smallest_budget_bytes",
    "working_set_bytes",
    "planned_host_bytes",
    "smallest_host_bytes",
)
"""Of several views, the most that any of them takes is told."""


@click.command(
    cls=Command,
    short_help="Say what memory a render would take.",
    epilog="""\b
Examples:
  plenostream plan model.zarr --orbit 60 --device-memory 256MB
  plenostream plan model.zarr --cameras transforms_test.json --views 0 --json
""",
)
@click.argument("scene", cls=Place)
@camera_options
@record_options(RenderOptions)
@record_options(StreamOptions)
@record_options(ClusterOptions)
@cache_options
@json_option
@quiet_option
@click.pass_obj
def plan(settings: Settings, /, scene: str, as_json: bool, **flags: Any) -> None:
    """Say what rendering views of a SCENE would take; nothing is allocated.

    Of several views the items of the one that takes most device memory are listed. Of a cluster
    (--workers, --scheduler), a worker plans the largest picture, and what each draws and sends is told.
    """
    plans = []
    with (
        opened_renderer(scene, flags) as (drawing, viewpoints, _),
        Progress(quiet=settings.quiet or len(viewpoints.cameras) == 1, unit="views") as progress,
    ):
        renderer = drawing.here
        if renderer is None:
            _tell_cluster(drawing, viewpoints, as_json)
            return
        for number, camera in viewpoints.cameras:
            plans.append((number, renderer.plan(camera)))
            progress.update("planning", len(plans), len(viewpoints.cameras))
    number, largest = max(plans, key=lambda item: item[1].planned_device_bytes)
    if as_json:
        told = largest.to_dict()
        for name in _BOUNDS:
            told[name] = max(each.to_dict()[name] for _, each in plans)
        told["backend"], told["precision"] = renderer.backend.name, renderer.precision.name
        told["frames"] = [{"frame": frame, **each.to_dict()} for frame, each in plans]
        if viewpoints.about_ndc:
            click.echo(f"ndc: {viewpoints.about_ndc}", err=True)
        click.echo(json.dumps(told, indent=1))
        return
    if len(plans) > 1:
        click.echo(f"of {len(plans)} views, number {number} takes most:")
    lines = [*largest.lines(), *viewpoints.lines()]
    click.echo("\n".join(lines + choice_lines(renderer.backend, renderer.precision)))


def _tell_cluster(drawing: Drawing, viewpoints: Viewpoints, as_json: bool) -> None:
    """Print what the pictures take of each worker of a cluster."""
    assert drawing.cluster is not None
    planned = drawing.cluster.plan([camera for _, camera in viewpoints.cameras])
    backend, precision = drawing.cluster.backend, drawing.cluster.precision
    if as_json:
        chosen = {"backend": backend.name, "precision": precision.name}
        click.echo(json.dumps(planned.to_dict() | chosen, indent=1))
        return
    lines = [*planned.lines(), *planned.worker_lines(), *viewpoints.lines()]
    click.echo("\n".join(lines + choice_lines(backend, precision)))
