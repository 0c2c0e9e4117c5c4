"""Compiles the kernels of the native integrator while the package is built (hatch calls this).

Without a compiler for this platform, or where it fails, the package is built without them and says so:
pictures on a CPU are then drawn by JAX. PLENOSTREAM_TARGET names another platform to compile for.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent))  # hatch loads this file alone

from compile_kernels import TARGETS, Target, compile_library, host_target, library_of


class KernelsHook(BuildHookInterface[Any]):
    """Adds the library to wheels, and to the checkout of an editable installation."""

    PLUGIN_NAME = "custom"
    _work: Path | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, before hatch collects the files of the wheel."""
        named = os.environ.get("PLENOSTREAM_TARGET")
        target = TARGETS[named] if named else host_target()
        if target is None:
            self._say("there are none for this platform")
            return
        self._work = Path(tempfile.mkdtemp())
        try:
            self._add(target, build_data, in_place=version == "editable")
        except (OSError, RuntimeError) as error:
            if named:
                raise
            self._say(f"they could not be compiled: {error}")

    def _add(self, target: Target, build_data: dict[str, Any], *, in_place: bool) -> None:
        assert self._work is not None
        place = library_of(target)
        library = place if in_place else self._work / place.name
        compile_library(target, library, self._work)
        build_data["tag"] = f"py3-none-{target.wheel}"
        build_data["pure_python"] = False
        if not in_place:
            within = place.relative_to(Path(self.root).resolve()).as_posix()
            build_data["force_include"][str(library)] = within

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what the compiler left."""
        if self._work is not None:
            shutil.rmtree(self._work, ignore_errors=True)

    def _say(self, why: str) -> None:
        self.app.display_warning(f"plenostream is built without its kernels for CPUs: {why}")
