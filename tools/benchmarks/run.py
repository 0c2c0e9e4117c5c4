"""One run of the benchmark: the models one after another, then what holds for all of them."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import plenostream as ps
from benchmarks.apart import apart
from benchmarks.conversion import conversion_rows, measure_conversion
from benchmarks.frames import nobody
from benchmarks.models import (
    TILED,
    Folders,
    Model,
    prepare,
    prepare_tiled,
    present,
    tiled_cameras,
)
from benchmarks.native import build_native, native_rivals
from benchmarks.profile import profile_frame, profile_rows
from benchmarks.scene import Effort, measure_scene, scene_rows
from benchmarks.startup import measure_startup, startup_rows
from benchmarks.table import Row, as_json, ratio, table_lines
from benchmarks.timing import Contestant, Say
from plenostream.errors import InvalidInput
from plenostream.options import RenderOptions, StreamOptions

__all__ = ["FULL", "QUICK", "Plan", "machine", "run_models"]

_SMALLEST = "still_128"
"""In every checkout; what starting is measured with."""
_TILED_OF = "still_512"
_TILED_MEMORY = "1GB"
"""Holds the copy in view, and none of the others: a pool for all of them would take 16 GB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured."""

    models: Sequence[str] | None = None
    """Names; None: all that are here or can be made."""
    size: tuple[int, int] = (800, 800)
    orbit: int = 60
    effort: Effort = Effort(budgets=("64MB",))


FULL = Plan()
QUICK = Plan(
    models=[_SMALLEST],
    size=(128, 128),
    orbit=4,
    effort=Effort(rounds=1, repeats=1, shares=(Fraction(1, 4),)),
)
"""Everything once, on the smallest model: proves that it works, measures little."""


@dataclass(slots=True)
class _Results:
    """What has been found, for people and as JSON values."""

    columns: dict[str, list[Row]] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)


def run_models(
    folders: Folders, plan: Plan, *, say: Say, save: Callable[[dict[str, Any]], None]
) -> list[str]:
    """Measure; the figures as lines of text.

    `save` gets them as JSON values, after each model those that there are.
    """
    here = present(folders)
    names = here if plan.models is None else plan.models
    if unknown := set(names) - set(here):
        raise InvalidInput(f"{', '.join(sorted(unknown))}: not here; there are {', '.join(here)}")
    folders.made.mkdir(parents=True, exist_ok=True)
    native = build_native(folders.native, folders.made / "native", say)
    found, about = _Results(), machine()
    told: dict[str, Any] = {"machine": about, "models": found.told}

    def prefixed(name: str) -> Say:
        return lambda what: say(f"{name}: {what}")

    for name in names:
        if name == TILED:
            _run_tiled(found, folders, plan, prefixed(name))
        else:
            model = prepare(folders, name, prefixed(name))
            _run_model(found, model, native, plan, prefixed(name))
        save(told)
    small = prepare(folders, _SMALLEST, say)
    startup = measure_startup(small.scene, rounds=plan.effort.rounds, say=say)
    about["load_after"] = os.getloadavg()
    told["startup"] = as_json(startup)
    save(told)
    lines = [_machine_line(about), "Medians, in brackets quartiles; ratios are of medians.", ""]
    return [*lines, *table_lines(found.columns), *table_lines({"": startup_rows(startup)})]


def _run_model(
    found: _Results, model: Model, native: ModuleType | None, plan: Plan, say: Say
) -> None:
    camera, path, rivals = model.camera(plan.size), str(model.scene), nobody
    with ps.open_scene(model.scene) as scene:
        orbit = ps.orbit_cameras(scene.grid, plan.orbit, size=plan.size)
    if native is not None:
        n_threads = len(os.sched_getaffinity(0))
        rivals = native_rivals(native, model.checkpoint, camera, n_threads=n_threads, say=say)
    options, effort = RenderOptions(), plan.effort
    figures = measure_scene(
        path,
        camera,
        orbit,
        options=options,
        stream=StreamOptions(),
        effort=effort,
        rivals=rivals,
        say=say,
    )
    del rivals  # gigabytes, for the large models
    conversion = measure_conversion(
        model.checkpoint, model.scene.parent, repeats=effort.repeats, say=say
    )
    first, second = figures.first_frame["warm"].whole, figures.first_frame["warm"].second
    allowed = conversion.loading.median + 2 * second.median
    rows = [*scene_rows(figures), *conversion_rows(conversion)]
    rows += [
        Row("conversion", "first frame / (numpy.load + 2 frames)", ratio(first.median, allowed))
    ]
    told = {**as_json(figures), "conversion": as_json(conversion), "profiles": {}}
    for line in ("resident", "pool 1/4"):
        say(f"profile: {line}")
        allowed_bytes = figures.frames[line].plan.allowed_device_bytes
        stream = StreamOptions(device_memory=allowed_bytes)
        profile = apart({}, profile_frame, path, camera, options=options, stream=stream, n_frames=3)
        rows += profile_rows(line, profile)
        told["profiles"][line] = as_json(profile)
    found.columns[model.name], found.told[model.name] = rows, told


def _run_tiled(found: _Results, folders: Folders, plan: Plan, say: Say) -> None:
    """A view of one copy among many, taking turns with the same view of the model alone."""
    model = prepare(folders, _TILED_OF, say)
    many = prepare_tiled(folders, model, say)
    alone, copy = tiled_cameras(model, plan.size)
    stream = StreamOptions(device_memory=_TILED_MEMORY)
    effort = Effort(
        rounds=plan.effort.rounds,
        repeats=plan.effort.repeats,
        shares=(Fraction(1, 4),),
        parts=("first",),
    )
    with ps.open_scene(model.scene) as scene, ps.Renderer(scene, stream=stream) as renderer:

        def rivals(line: str, stream: StreamOptions) -> dict[str, Contestant]:
            del stream
            draw = {"the model alone": lambda: renderer.render(alone).stats.seconds}
            return draw if line == "resident" else {}

        figures = measure_scene(
            str(many),
            copy,
            [],
            options=RenderOptions(),
            stream=stream,
            effort=effort,
            rivals=rivals,
            say=say,
        )
    found.columns[TILED], found.told[TILED] = scene_rows(figures), as_json(figures)


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    names = ("jax", "jaxlib", "numpy", "zarr", "numcodecs")
    return {
        "cpu": cpu[1] if cpu else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": {"plenostream": ps.__version__, **{name: version(name) for name in names}},
        "load_before": os.getloadavg(),
    }


def _machine_line(about: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    loads = json.dumps([round(about[key][0], 1) for key in ("load_before", "load_after")])
    return (
        f"{about['cpu']}, {about['cores']} cores, load before and after {loads}; "
        f"Python {about['python']}, {versions}"
    )
