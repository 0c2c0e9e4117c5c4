"""Another checkout of plenostream, drawing the same views in processes of its own, in turns.

What it takes of the other is the public face of the library, so that the other may be older.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from benchmarks.frames import Rivals
from benchmarks.timing import Contestant
from plenostream.cameras import Camera
from plenostream.errors import PlenostreamError
from plenostream.options import RenderOptions, StreamOptions

__all__ = ["other_checkout"]

_PROGRAM = """
import json, sys, time
import plenostream as ps
getattr(ps, "prepare_jax", lambda: None)()
path, camera, options, stream = json.loads(sys.argv[1])
known = ps.StreamOptions.__dataclass_fields__  # it may be from before there was an option
stream = {name: value for name, value in stream.items() if name in known}
options, stream = ps.RenderOptions(**options), ps.StreamOptions(**stream)
with ps.open_scene(path) as scene, ps.Renderer(scene, options, stream) as renderer:
    for _ in sys.stdin:
        began = time.process_time()
        seconds = renderer.render(ps.Camera(**camera)).stats.seconds
        print(seconds, time.process_time() - began, flush=True)
"""


@contextmanager
def other_checkout(
    checkout: Path, scene: str, camera: Camera, options: RenderOptions
) -> Iterator[Rivals]:
    """For the time of the context: each line drawn by the package in the folder `checkout` too."""
    if not (checkout / "plenostream").is_dir():
        raise PlenostreamError(f"{checkout} is no checkout: there is no folder plenostream in it")
    with ExitStack() as stack:

        def rivals(line: str, stream: StreamOptions) -> dict[str, Contestant]:
            asked = [os.path.abspath(scene), _told(camera), _told(options), _told(stream)]
            other = stack.enter_context(_drawing(checkout, json.dumps(asked)))
            return {f"{line}, {checkout.name}": other}

        yield rivals


def _told(record: Any) -> dict[str, Any]:
    """Fields that are not as by default, as JSON values: the other may lack some."""
    given = {field.name: getattr(record, field.name) for field in fields(record)}
    defaults = {field.name: field.default for field in fields(record)}
    given = {name: getattr(value, "tolist", lambda v=value: v)() for name, value in given.items()}
    return {name: value for name, value in given.items() if value != defaults[name]}


@contextmanager
def _drawing(checkout: Path, asked: str) -> Iterator[Contestant]:
    # Its input ends when this process does, or is done with it, and then so does it.
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, asked],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,  # or closing would try to write once more what nobody reads
        cwd=checkout,  # first on its path
        env={**os.environ, "PYTHONPATH": str(checkout)},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        into, out = process.stdin, process.stdout

        def draw() -> tuple[float, float]:
            told = b""
            with suppress(BrokenPipeError):
                into.write(b"\n")
                told = out.readline()
            if not told:
                raise PlenostreamError(f"{checkout} cannot draw this view, see above")
            seconds, cpu_seconds = map(float, told.split())
            return seconds, cpu_seconds

        yield draw
