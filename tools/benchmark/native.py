"""The native baseline beside ours: built in a folder of its own, and drawing the same views."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from plenostream.bench.timing import Contestant
from plenostream.cameras import Camera

__all__ = ["NativeBaseline", "build_native"]

_VARIANTS = ("exact32", "plain")


class NativeBaseline:
    """The baseline's Python driver, ready to load checkpoints."""

    def __init__(self, module: ModuleType, n_threads: int) -> None:
        self._module = module
        self._n_threads = n_threads

    def contestants(
        self, checkpoint: Path, camera: Camera, say: Callable[[str], None]
    ) -> dict[str, Contestant]:
        """Each variant that this processor can run, by name; everything resident in memory."""
        found: dict[str, Contestant] = {}
        for variant in _VARIANTS:
            say(f"native {variant}: loading")
            try:
                native = self._module.Native(
                    str(checkpoint), threads=self._n_threads, variant=variant
                )
            except RuntimeError as error:  # the variant needs AVX-512
                say(f"native {variant} is left out: {error}")
                continue
            found[f"native {variant}"] = _Drawer(native, camera)
        return found


class _Drawer:
    """Draws one view."""

    def __init__(self, native: Any, camera: Camera) -> None:
        self._native, self._camera = native, camera

    def __call__(self) -> float:
        c = self._camera
        _, seconds = self._native.render(c.c2w, c.fx, c.fy, c.cx, c.cy, c.width, c.height)
        return float(seconds)


def build_native(
    sources: Path, folder: Path, *, n_threads: int, say: Callable[[str], None]
) -> NativeBaseline | None:
    """Copy the sources to `folder` and build them; None, and said why, where that cannot be."""
    if not (sources / "render.c").is_file():
        say(f"the native baseline is left out: it is not at {sources}")
        return None
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("Makefile", "native.py", "render.c"):
        (folder / name).unlink(missing_ok=True)  # it may be read-only
        shutil.copy2(sources / name, folder / name)  # with times, so that make sees what is new
    try:
        done = subprocess.run(
            ["make", "-C", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except FileNotFoundError:
        say("the native baseline is left out: there is no `make` here")
        return None
    if done.returncode:
        say(f"the native baseline is left out: it does not build\n{done.stdout.strip()}")
        return None
    spec = importlib.util.spec_from_file_location("native_baseline", folder / "native.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return NativeBaseline(module, n_threads)
