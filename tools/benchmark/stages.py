"""Where the time of the integrator goes: by stage, from a profile of the operations that XLA runs.

The optimised program says of each operation which functions of ours it came from; the profile
says how long each ran. A stage is the outermost function of `kernels` that is no loop around
others, and its part the function that it called. CPUs only: a GPU's profile has kernels, not
operations of a program.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import jax
from jax.profiler import ProfileData

from plenostream.bench.table import Row
from plenostream.cameras import Camera
from plenostream.integrator.xla.programs import Program
from plenostream.renderer import Renderer

__all__ = ["compiled_texts", "measure_stages", "stage_rows", "stages_of"]

_LOOPS = {"integrate", "_march_listing"}
"""Functions that only loop over stages."""
_LOOPS_STAGE = "(loops)"
_NOWHERE = "(not known)"
_SMALL = "lanes.py"
"""Holds what all stages are made of."""
_DEPTH = 2
"""Functions that are told: a stage and its part."""

_TABLES = ("FileNames", "FunctionNames", "FileLocations", "StackFrames")
_ENTRY = re.compile(r"(\d+) (.+)")
_FIELD = re.compile(r"(\w+)=(\d+)")
_COMPUTATION = re.compile(r"(?:ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
_OPERATION = re.compile(r"\s+(?:ROOT )?%?([\w.\-]+) = ")
_FRAME = re.compile(r"metadata=\{[^}]*stack_frame_id=(\d+)")
_CALLS = re.compile(r"\bcalls=%?([\w.\-]+)")


@contextmanager
def compiled_texts() -> Iterator[dict[str, str]]:
    """Texts of the optimised programs that renderers get inside the context, by their names."""
    texts: dict[str, str] = {}
    make = Program.__init__

    def noting(self: Program, name: str, compiled: jax.stages.Compiled, *rest: Any) -> None:
        make(self, name, compiled, *rest)
        texts[name] = compiled.as_text() or ""

    with mock.patch.object(Program, "__init__", noting):
        yield texts


def measure_stages(
    renderer: Renderer, camera: Camera, texts: Mapping[str, str]
) -> dict[str, float]:
    """Seconds of one warm frame by stage, all threads together, other programs by their names.

    `texts` are those of the renderer's programs. Taking the profile makes a frame slower: the
    shares say more than the sum.
    """
    renderer.render(camera)
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    with tempfile.TemporaryDirectory(prefix="plenostream-trace-") as folder:
        with jax.profiler.trace(folder, profiler_options=options):
            renderer.render(camera)
        (path,) = Path(folder).rglob("*.xplane.pb")
        profile = ProfileData.from_file(str(path))
    return _by_stage(profile, texts)


def stage_rows(section: str, seconds: Mapping[str, float]) -> list[Row]:
    """A row a stage, with its share."""
    whole = sum(seconds.values()) or 1.0
    return [
        Row(section, f"  {stage}", f"{s * 1e3:.1f} ms, {s / whole:.0%}")
        for stage, s in seconds.items()
    ]


def _by_stage(profile: ProfileData, texts: Mapping[str, str]) -> dict[str, float]:
    stages: dict[str, dict[str, str]] = {}
    names: dict[str, str] = {}
    for name, text in texts.items():
        module = text.split(maxsplit=2)[1].rstrip(",")
        names[module] = name
        stages[module] = stages_of(text) if name == "integrate" else {}
    found: defaultdict[str, float] = defaultdict(float)
    for module, operation, seconds in _own_times(profile):
        name = names.get(module, module)
        found[stages.get(module, {}).get(operation, name)] += seconds
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _own_times(profile: ProfileData) -> Iterator[tuple[str, str, float]]:
    """Program, operation and seconds of all that ran, what ran inside an operation taken off."""
    for plane in profile.planes:
        for line in plane.lines:
            events = []
            for event in line.events:
                about = dict(event.stats)
                if "hlo_op" in about:
                    key = (about["hlo_module"], about["hlo_op"])
                    events.append((event.start_ns, -event.duration_ns, key))
            events.sort(key=lambda event: event[:2])
            running: list[tuple[float, tuple[str, str], list[float]]] = []
            for start, minus_duration, key in events:
                while running and running[-1][0] <= start:
                    _, (module, operation), (own,) = running.pop()
                    yield module, operation, own * 1e-9
                if running:
                    running[-1][2][0] += minus_duration
                running.append((start - minus_duration, key, [-minus_duration]))
            for _, (module, operation), (own,) in running:
                yield module, operation, own * 1e-9


def stages_of(text: str) -> dict[str, str]:
    """The stage of each operation of a program, from its optimised text."""
    tables = _tables(text)
    own: dict[str, str | None] = {}
    calls: dict[str, str] = {}
    inside: dict[str, list[str]] = {}
    computation = ""
    for line in text.splitlines():
        if head := _COMPUTATION.match(line):
            computation = head[1]
        elif operation := _OPERATION.match(line):
            name = operation[1]
            frame, called = _FRAME.search(line), _CALLS.search(line)
            own[name] = _stage(tables, int(frame[1])) if frame else None
            inside.setdefault(computation, []).append(name)
            if called:
                calls[name] = called[1]
    stages = {}
    for name, stage in own.items():
        # What XLA made of several operations may have no place of its own: that of most of them.
        parts = Counter(own[part] for part in inside.get(calls.get(name, ""), []) if own[part])
        stages[name] = stage or next((part for part, _ in parts.most_common(1)), None) or _NOWHERE
    return stages


def _tables(text: str) -> dict[str, dict[int, str]]:
    """The tables at the head of a program's text: what is behind each number."""
    found: dict[str, dict[int, str]] = {name: {} for name in _TABLES}
    current: dict[int, str] | None = None
    for line in text.splitlines():
        if line in _TABLES:
            current = found[line]
        elif current is not None and (entry := _ENTRY.fullmatch(line)):
            current[int(entry[1])] = entry[2]
        else:
            current = None
    return found


def _stage(tables: dict[str, dict[int, str]], frame: int) -> str:
    """The outermost functions of the kernels, loops left out, among those that a frame is in."""

    def fields(table: str, number: int) -> dict[str, int]:
        return {name: int(value) for name, value in _FIELD.findall(tables[table][number])}

    # The first frame has no caller; how that is written differs between versions of XLA.
    none = fields("StackFrames", 1)["parent_frame_id"]
    stages: list[str] = []
    while frame > 0:
        about = fields("StackFrames", frame)
        place = fields("FileLocations", about["file_location_id"])
        function = tables["FunctionNames"][place["function_name_id"]].strip('"').split(".")[0]
        file = Path(tables["FileNames"][place["file_name_id"]].strip('"'))
        if file.parent.name == "kernels" and file.name != _SMALL and function not in _LOOPS:
            stages.append(function)
        frame = about["parent_frame_id"] - none
    return " > ".join(list(dict.fromkeys(stages[::-1]))[:_DEPTH]) or _LOOPS_STAGE
