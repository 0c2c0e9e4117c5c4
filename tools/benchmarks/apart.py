"""Measurements in a process of their own: cold caches, first imports, peak memory."""

from __future__ import annotations

import multiprocessing
import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar
from unittest import mock

__all__ = ["apart", "peak_resident_bytes", "resident_bytes"]

_P = ParamSpec("_P")
_Found = TypeVar("_Found")


def apart(
    environment: Mapping[str, str],
    function: Callable[_P, _Found],
    *args: _P.args,
    **kwargs: _P.kwargs,
) -> _Found:
    """What `function` returns in a new interpreter, started with `environment` added to ours.

    Function, arguments and result are pickled. What the function raises is raised here.
    """
    with (
        mock.patch.dict(os.environ, environment),
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
    ):
        return pool.submit(function, *args, **kwargs).result()


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
