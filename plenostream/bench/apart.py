"""Measurements in a process of their own: cold caches, first imports, peak memory.

A module that measures there ends with ``if __name__ == "__main__": answer(measure)`` and is asked
through `ask`. Request and answer are JSON objects.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from plenostream.errors import PlenostreamError
from plenostream.process.leftovers import child_process, temporary_folder

__all__ = ["answer", "ask", "peak_resident_bytes", "resident_bytes"]

_LAST_LINES = 5


def ask(
    module: str, request: Mapping[str, Any], *, environment: Mapping[str, str]
) -> dict[str, Any]:
    """What ``python -m module`` answers to a request.

    Raises
    ------
    PlenostreamError : it failed; with the last lines of what it said.
    """
    with (
        tempfile.TemporaryDirectory(prefix="plenostream-bench-") as folder,
        temporary_folder(folder),
    ):
        out = Path(folder) / "answer.json"
        with subprocess.Popen(
            [sys.executable, "-m", module, str(out)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=dict(environment),
        ) as process:
            try:
                with child_process(process):
                    told, _ = process.communicate(json.dumps(request))
            except BaseException:
                process.kill()
                raise
        if process.returncode or not out.exists():
            said = " | ".join(told.strip().splitlines()[-_LAST_LINES:])
            raise PlenostreamError(
                f"the measurement {module} failed ({process.returncode}): {said}"
            )
        found: dict[str, Any] = json.loads(out.read_text())
        return found


def answer(measure: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer the request on standard input; for the end of a module that `ask` runs."""
    found = measure(json.load(sys.stdin))
    Path(sys.argv[1]).write_text(json.dumps(found))


def peak_resident_bytes() -> int:
    """The largest size that this process had in memory; Linux.

    Not `resource.getrusage`: that counts what the parent had before it started this program.
    """
    return _status("VmHWM")


def resident_bytes() -> int:
    """The size of this process in memory; Linux."""
    return _status("VmRSS")


def _status(name: str) -> int:
    match = re.search(rf"{name}:\s+([0-9]+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1]) * 1024
