"""One run of the benchmark: the models one after another, then what holds for all of them."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import plenostream as ps
from benchmark.goals import (
    Goal,
    conversion_goals,
    goal_lines,
    scene_goals,
    startup_goals,
    tiled_goals,
)
from benchmark.models import TILED, Folders, Model, convert, prepare, prepare_tiled, present
from benchmark.native import NativeBaseline, build_native
from benchmark.profile import profile_frame, profile_rows
from benchmark.startup import measure_startup, startup_rows
from plenostream.bench.conversion import measure_conversion
from plenostream.bench.scene import BenchSettings, SceneBench, bench_scene
from plenostream.bench.table import Row, conversion_rows, scene_rows, table_lines
from plenostream.bench.timing import Say
from plenostream.errors import InvalidInput
from plenostream.options import RenderOptions, StreamOptions

__all__ = ["Plan", "run"]

_ONE_COPY = "the model alone"
_SMALLEST = "still_128"
"""In every checkout; what starting is measured with."""
_TILED_MEMORY = "1GB"
"""Holds the copy in view, and none of the others: a pool for all of them would take 16 GB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured, and how often."""

    models: list[str] | None = None
    """Names; None: all that are here or can be made."""
    size: tuple[int, int] = (800, 800)
    rounds: int = 7
    repeats: int = 3
    orbit: int = 60
    shares: tuple[Fraction, ...] = (Fraction(1), Fraction(1, 2), Fraction(1, 4), Fraction(1, 8))
    budgets: tuple[str, ...] = ("64MB",)

    @classmethod
    def quick(cls) -> Self:
        """Everything once, on the smallest model: proves that it works, measures little."""
        return cls(
            models=[_SMALLEST],
            size=(128, 128),
            rounds=1,
            repeats=1,
            orbit=4,
            shares=(Fraction(1, 4),),
            budgets=(),
        )

    @property
    def settings(self) -> BenchSettings:
        """For measuring a scene."""
        return BenchSettings(
            rounds=self.rounds,
            repeats=self.repeats,
            shares=self.shares,
            budgets=self.budgets,
        )


@dataclass(slots=True)
class _Results:
    """What has been found, for people and as JSON values."""

    columns: dict[str, list[Row]] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)


def run(
    folders: Folders,
    plan: Plan,
    environment: Mapping[str, str],
    *,
    say: Say,
    save: Callable[[dict[str, Any]], None],
) -> list[str]:
    """Measure; the figures as lines of text.

    `save` gets them as JSON values, after each model those that there are.
    """
    here = present(folders)
    names = here if plan.models is None else plan.models
    if unknown := set(names) - set(here):
        raise InvalidInput(f"{', '.join(sorted(unknown))}: not here; there are {', '.join(here)}")
    n_threads = len(os.sched_getaffinity(0))
    native = build_native(folders.native, folders.made / "native", n_threads=n_threads, say=say)
    found, machine = _Results(), _machine()
    told: dict[str, Any] = {"machine": machine, "models": found.told}
    for name in names:
        prefixed = _prefixed(name, say)
        if name == TILED:
            _run_tiled(found, folders, plan, environment, prefixed)
        else:
            _run_model(found, prepare(folders, name, prefixed), native, plan, environment, prefixed)
        save(told)
    small = prepare(folders, _SMALLEST, say)
    convert(small, say)
    startup = measure_startup(small.scene, rounds=plan.rounds, environment=environment, say=say)
    found.goals += startup_goals(startup)
    machine["load_after"] = os.getloadavg()
    told["startup"] = {name: timing.to_dict() for name, timing in startup.items()}
    told["goals"] = [goal.to_dict() for goal in found.goals]
    save(told)
    lines = [_machine_line(machine), "Medians, in brackets quartiles; ratios are of medians.", ""]
    lines += [*table_lines(found.columns), *table_lines({"": startup_rows(startup)})]
    return [*lines, "", "goals", *goal_lines(found.goals)]


def _prefixed(name: str, say: Say) -> Callable[[str], None]:
    return lambda what: say(f"{name}: {what}")


def _run_model(
    found: _Results,
    model: Model,
    native: NativeBaseline | None,
    plan: Plan,
    environment: Mapping[str, str],
    say: Say,
) -> None:
    name, camera, folder = model.name, model.camera(plan.size), model.scene.parent
    convert(model, say)
    with ps.open_scene(model.scene) as scene:
        orbit = ps.orbit_cameras(scene.grid, plan.orbit, size=plan.size)
    beside = native.contestants(model.checkpoint, camera, say) if native else {}
    bench = bench_scene(
        str(model.scene),
        camera,
        orbit,
        options=RenderOptions(),
        stream=StreamOptions(),
        settings=plan.settings,
        environment=environment,
        beside=beside,
        say=say,
    )
    del beside  # gigabytes, for the large models
    conversion = measure_conversion(
        model.checkpoint, folder, repeats=plan.repeats, environment=environment, say=say
    )
    rows = [*scene_rows(bench), *conversion_rows(conversion)]
    told = {**bench.to_dict(), "conversion": conversion.to_dict(), "profiles": {}}
    for line, stream in _profiled(bench).items():
        say(f"profile: {line}")
        with ps.open_scene(model.scene) as scene:
            profile = profile_frame(scene, camera, stream=stream, n_frames=min(plan.rounds, 3))
        rows += profile_rows(line, profile)
        told["profiles"][line] = profile.to_dict()
    found.columns[name], found.told[name] = rows, told
    found.goals += [*scene_goals(name, bench), *conversion_goals(name, bench, conversion)]


def _profiled(bench: SceneBench) -> dict[str, StreamOptions]:
    """Resident, and streaming through the smaller of the pools that all is measured with."""
    plan = bench.frames.lines["pool 1/4"].plan
    return {
        "resident": StreamOptions(),
        "pool 1/4": StreamOptions(device_memory=plan.allowed_device_bytes),
    }


def _run_tiled(
    found: _Results, folders: Folders, plan: Plan, environment: Mapping[str, str], say: Say
) -> None:
    """A view of one copy among many, taking turns with the same view of the model alone."""
    tiled = prepare_tiled(folders, say)
    alone, copy = tiled.cameras(plan.size)
    stream = StreamOptions(device_memory=_TILED_MEMORY)
    with ps.open_scene(tiled.model.scene) as model, ps.Renderer(model, stream=stream) as renderer:
        bench = bench_scene(
            str(tiled.scene),
            copy,
            [],
            options=RenderOptions(),
            stream=stream,
            settings=BenchSettings(
                rounds=plan.rounds, repeats=plan.repeats, shares=(Fraction(1, 4),), parts=("first",)
            ),
            environment=environment,
            beside={_ONE_COPY: lambda: renderer.render(alone).stats.seconds},
            say=say,
        )
    found.columns[TILED], found.told[TILED] = scene_rows(bench), bench.to_dict()
    found.goals += tiled_goals(TILED, bench, _ONE_COPY)


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


def _machine_line(machine: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    loads = json.dumps([round(machine[key][0], 1) for key in ("load_before", "load_after")])
    return (
        f"{machine['cpu']}, {machine['cores']} cores, load before and after {loads}; "
        f"Python {machine['python']}, {versions}"
    )
