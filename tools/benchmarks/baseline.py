"""The baseline in C beside ours: built in a folder of its own, and drawing the same views."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.frames import LIMIT, Rivals
from benchmarks.timing import Contestant, Say
from plenostream.cameras import Camera
from plenostream.options import StreamOptions

__all__ = ["VARIANTS", "baseline_rivals", "build_baseline"]

VARIANTS = ("exact32", "plain")
"""The fastest, which is what a processor can do, and straightforward code."""
_PREFIX = LIMIT.removesuffix(f" {VARIANTS[0]}")


def build_baseline(sources: Path, folder: Path, say: Say) -> ModuleType | None:
    """The baseline's Python driver, its library built in `folder`; None, and said why, if not."""
    if not (sources / "render.c").is_file():
        say(f"the baseline is left out: it is not at {sources}")
        return None
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("Makefile", "native.py", "render.c"):
        (folder / name).unlink(missing_ok=True)  # it may be read-only
        shutil.copy2(sources / name, folder / name)  # with times, so that make sees what is new
    try:
        subprocess.run(["make", "-C", str(folder)], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        say("the baseline is left out: there is no `make` here")
        return None
    except subprocess.CalledProcessError as error:
        say(f"the baseline is left out: it does not build\n{error.stderr.strip()}")
        return None
    spec = importlib.util.spec_from_file_location("baseline_in_c", folder / "native.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def baseline_rivals(
    drawer: ModuleType,
    checkpoint: Path,
    views: Mapping[str, Camera],
    *,
    variants: Sequence[str] = VARIANTS,
    n_threads: int,
    say: Say,
) -> Rivals:
    """Each variant that this processor can run, with the view of each line of `views`."""
    found: dict[str, Any] = {}
    for variant in variants:
        say(f"{_PREFIX} {variant}: loading")
        try:
            baseline = drawer.Native(str(checkpoint), threads=n_threads, variant=variant)
        except RuntimeError as error:  # the variant needs AVX-512
            say(f"{_PREFIX} {variant} is left out: {error}")
            continue
        found[f"{_PREFIX} {variant}"] = baseline

    def rivals(line: str, stream: StreamOptions) -> dict[str, Contestant]:
        del stream
        if line not in views:
            return {}
        return {name: _Drawer(baseline, views[line]) for name, baseline in found.items()}

    return rivals


class _Drawer:
    """Draws one view."""

    def __init__(self, held: Any, camera: Camera) -> None:
        self._held, self._camera = held, camera

    def __call__(self) -> float:
        c = self._camera
        _, seconds = self._held.render(c.c2w, c.fx, c.fy, c.cx, c.cy, c.width, c.height)
        return float(seconds)
