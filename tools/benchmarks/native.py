"""The native baseline beside ours: built in a folder of its own, and drawing the same views."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.frames import Rivals
from benchmarks.timing import Contestant, Say
from plenostream.cameras import Camera
from plenostream.options import StreamOptions

__all__ = ["build_native", "native_rivals"]

_VARIANTS = ("exact32", "plain")


def build_native(sources: Path, folder: Path, say: Say) -> ModuleType | None:
    """The baseline's Python driver, its library built in `folder`; None, and said why, if not."""
    if not (sources / "render.c").is_file():
        say(f"the native baseline is left out: it is not at {sources}")
        return None
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("Makefile", "native.py", "render.c"):
        (folder / name).unlink(missing_ok=True)  # it may be read-only
        shutil.copy2(sources / name, folder / name)  # with times, so that make sees what is new
    try:
        subprocess.run(["make", "-C", str(folder)], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        say("the native baseline is left out: there is no `make` here")
        return None
    except subprocess.CalledProcessError as error:
        say(f"the native baseline is left out: it does not build\n{error.stderr.strip()}")
        return None
    spec = importlib.util.spec_from_file_location("native_baseline", folder / "native.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def native_rivals(
    native: ModuleType, checkpoint: Path, camera: Camera, *, n_threads: int, say: Say
) -> Rivals:
    """Each variant that this processor can run, beside the resident line; all of it in memory."""
    found: dict[str, Contestant] = {}
    for variant in _VARIANTS:
        say(f"native {variant}: loading")
        try:
            baseline = native.Native(str(checkpoint), threads=n_threads, variant=variant)
        except RuntimeError as error:  # the variant needs AVX-512
            say(f"native {variant} is left out: {error}")
            continue
        found[f"native {variant}"] = _Drawer(baseline, camera)

    def rivals(line: str, stream: StreamOptions) -> dict[str, Contestant]:
        del stream
        return found if line == "resident" else {}

    return rivals


class _Drawer:
    """Draws one view."""

    def __init__(self, native: Any, camera: Camera) -> None:
        self._native, self._camera = native, camera

    def __call__(self) -> float:
        c = self._camera
        _, seconds = self._native.render(c.c2w, c.fx, c.fy, c.cx, c.cy, c.width, c.height)
        return float(seconds)
