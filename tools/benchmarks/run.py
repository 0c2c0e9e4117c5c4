"""One run of the benchmark: the models one after another, as one table."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import plenostream as ps
from benchmarks.apart import apart
from benchmarks.backends import all_rivals, backend_rivals, variant_rivals
from benchmarks.baseline import VARIANTS, baseline_rivals, build_baseline
from benchmarks.conversion import conversion_rows, measure_conversion
from benchmarks.frames import Rivals, nobody
from benchmarks.loading import loading_rows, measure_loading
from benchmarks.models import (
    TILED,
    Folders,
    Model,
    prepare,
    prepare_tiled,
    present,
    tiled_cameras,
)
from benchmarks.profile import profile_frame, profile_rows
from benchmarks.rays import square_view
from benchmarks.scene import Effort, measure_scene, scene_rows
from benchmarks.table import Row, as_json, table_lines
from benchmarks.timing import Contestant, Say
from plenostream.errors import InvalidInput
from plenostream.options import RenderOptions, StreamOptions

__all__ = ["FULL", "GOALS", "QUICK", "Plan", "run_models"]

_SMALLEST = "still_128"
"""In every checkout."""
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
    orbit_size: tuple[int, int] = (400, 400)
    effort: Effort = Effort(budgets=("64MB",))
    all_of_it: bool = True
    """Also the plain baseline, the backend `xla`, conversions and profiles."""


FULL = Plan()
GOALS = Plan(
    models=["still_128", "still_256", "still_512", "gyroid_512"],
    effort=Effort(
        rounds=5, shares=(Fraction(1, 4), Fraction(1, 8)), parts=("orbit", "rays", "first")
    ),
    all_of_it=False,
)
"""Frames against the fastest baseline, streaming, orbit, first frame, rays and a whole process."""
QUICK = Plan(
    models=[_SMALLEST],
    size=(128, 128),
    orbit=4,
    orbit_size=(128, 128),
    effort=Effort(rounds=1, repeats=1, shares=(Fraction(1, 4),), n_rays=1000),
)
"""Everything once, on the smallest model: proves that it works, measures little."""


_Found = tuple[list[Row], dict[str, Any]]
"""The figures of a model, for people and as JSON values."""


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
    drawer = build_baseline(folders.baseline, folders.made / "baseline", say)
    about = _machine()
    columns: dict[str, list[Row]] = {}
    told: dict[str, Any] = {"machine": about, "models": {}}

    def prefixed(name: str) -> Say:
        return lambda what: say(f"{name}: {what}")

    for name in names:
        if name == TILED:
            found = _run_tiled(folders, plan, prefixed(name))
        else:
            model = prepare(folders, name, prefixed(name))
            found = _run_model(model, drawer, plan, prefixed(name))
        columns[name], told["models"][name] = found
        save(told)
    about["load_after"] = os.getloadavg()
    save(told)
    lines = [_machine_line(about), "Medians, in brackets quartiles; ratios are of medians.", ""]
    return [*lines, *table_lines(columns)]


def _run_model(model: Model, drawer: ModuleType | None, plan: Plan, say: Say) -> _Found:
    camera, path = model.camera(plan.size), str(model.scene)
    options, effort = RenderOptions(), plan.effort
    baseline: Rivals = nobody
    with ps.open_scene(model.scene) as scene:
        orbit = ps.orbit_cameras(scene.grid, plan.orbit, size=plan.orbit_size)
    if drawer is not None:
        n_threads = len(os.sched_getaffinity(0))
        views = {"resident": camera, "rays": square_view(camera, effort.n_rays)}
        baseline = baseline_rivals(
            drawer,
            model.checkpoint,
            views,
            variants=VARIANTS if plan.all_of_it else VARIANTS[:1],
            n_threads=n_threads,
            say=say,
        )
    stream = StreamOptions()
    with ExitStack() as stack:
        others = [stack.enter_context(variant_rivals(path, camera, options=options, stream=stream))]
        if plan.all_of_it:
            xla = backend_rivals(path, camera, options=options, stream=stream, say=say)
            others.append(stack.enter_context(xla))
        figures = measure_scene(
            path,
            camera,
            orbit,
            options=options,
            stream=stream,
            effort=effort,
            rivals=all_rivals(baseline, *others),
            say=say,
        )
    del baseline  # gigabytes, for the large models
    loading = measure_loading(model.checkpoint, model.scene, repeats=effort.repeats, say=say)
    rows = [*scene_rows(figures), *loading_rows(loading, figures.first_frame)]
    told = {**as_json(figures), "loading": as_json(loading)}
    if not plan.all_of_it:
        return rows, told
    conversion = measure_conversion(
        model.checkpoint, model.scene.parent, repeats=effort.repeats, say=say
    )
    rows += conversion_rows(conversion)
    told |= {"conversion": as_json(conversion), "profiles": {}}
    for line in ("resident", "pool 1/4"):
        say(f"profile: {line}")
        allowed_bytes = figures.frames[line].plan.allowed_device_bytes
        stream = StreamOptions(device_memory=allowed_bytes)
        profile = apart({}, profile_frame, path, camera, options=options, stream=stream, n_frames=3)
        rows += profile_rows(line, profile)
        told["profiles"][line] = as_json(profile)
    return rows, told


def _run_tiled(folders: Folders, plan: Plan, say: Say) -> _Found:
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
            draw: dict[str, Contestant] = {
                "the model alone": lambda: renderer.render(alone).stats.seconds
            }
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
    return scene_rows(figures), as_json(figures)


def _machine() -> dict[str, Any]:
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
