"""Where the time of the integrator goes: by stage, from a profile of the operations that XLA runs.

The optimised program says of each operation which functions of ours it came from; the profile
says how long each ran. A stage is the outermost function of `kernels` that is no loop around
others, and its part the function that it called. CPUs only: a GPU's profile has kernels, not
operations of a program.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import jax
from hlo import Instruction, Program, read_program
from jax.profiler import ProfileData

from plenostream.cameras import Camera
from plenostream.renderer import Renderer

__all__ = ["compiled_programs", "measure_stages", "stages_of"]

_LOOPS = {"integrate", "_march_listing"}
"""Functions that only loop over stages."""
_SMALL = "lanes.py"
"""Holds what all stages are made of."""
_DEPTH = 2
"""Functions that are told: a stage and its part."""


@contextmanager
def compiled_programs() -> Iterator[dict[str, Program]]:
    """The optimised programs that are compiled inside the context, by their names."""
    programs: dict[str, Program] = {}
    compile_it = jax.stages.Lowered.compile

    def noting(self: jax.stages.Lowered, *args: Any, **kwargs: Any) -> jax.stages.Compiled:
        compiled = compile_it(self, *args, **kwargs)
        program = read_program(compiled.as_text() or "")
        programs[program.name] = program
        return compiled

    with mock.patch.object(jax.stages.Lowered, "compile", noting):
        yield programs


def measure_stages(
    renderer: Renderer, camera: Camera, programs: Mapping[str, Program]
) -> dict[str, float]:
    """Seconds of one warm frame by stage, all threads together, the longest first.

    `programs` are the renderer's; what ran of others counts for the program. Taking the profile
    makes a frame slower: the shares say more than the sum.
    """
    stages = {name: stages_of(program) for name, program in programs.items()}
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    with tempfile.TemporaryDirectory(prefix="plenostream-trace-") as folder:
        with jax.profiler.trace(folder, profiler_options=options):
            renderer.render(camera)
        (path,) = Path(folder).rglob("*.xplane.pb")
        profile = ProfileData.from_file(str(path))
    found: defaultdict[str, float] = defaultdict(float)
    for name, operation, seconds in _own_times(profile):
        found[stages.get(name, {}).get(operation, name)] += seconds
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


def stages_of(program: Program) -> dict[str, str]:
    """The stage of each operation of a program; its name where none is known."""
    stages = {}
    for computation in program.computations.values():
        for instruction in computation:
            own = _stage(program, instruction)
            if own is None and instruction.code == "fusion":
                # What XLA made of several operations may have no place of its own: that of most.
                parts = [p for called in instruction.called for p in program.inside(called)]
                known = Counter(filter(None, (_stage(program, part) for part in parts)))
                own = next((stage for stage, _ in known.most_common(1)), None)
            stages[instruction.name] = own or program.name
    return stages


def _stage(program: Program, instruction: Instruction) -> str | None:
    """The outermost functions of the kernels, loops left out, that an operation came from."""
    frames = program.source(instruction)
    if not frames:
        return None
    functions = [
        function.partition(".")[0]
        for file, function in frames
        if file.parent.name == "kernels" and file.name != _SMALL
    ]
    stages = [function for function in functions if function not in _LOOPS]
    return " > ".join(list(dict.fromkeys(stages))[:_DEPTH]) or f"{program.name} (loops)"
