"""What Warp is told for the whole process: silence, and where it keeps what it compiles."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import jax
import warp as wp

from plenostream.field.aovs import NO_AOVS, Aovs
from plenostream.integrator.interface import Light
from plenostream.integrator.warp.kernels.walk import BLOCK_THREADS, walk_kernel
from plenostream.integrator.xla.environment import cache_folder
from plenostream.integrator.xla.named_device import named_device

__all__ = ["prepare_warp", "why_not"]

_LEAST_FREE = 50_000_000
"""Bytes that must be free on the disk for kernels to be kept."""


@cache
def prepare_warp() -> None:
    """Set Warp up, before it compiles anything.

    It says nothing: what goes wrong arrives as an error. Kernels are kept beside JAX's programs,
    unless WARP_CACHE_PATH says where; where that cannot be written to, for this process alone.
    """
    wp.config.log_level = wp.LOG_ERROR
    if "WARP_CACHE_PATH" not in os.environ and wp.config.kernel_cache_dir is None:
        wp.config.kernel_cache_dir = str(_kernel_folder())
    with _silence():
        wp.init()


def why_not(
    device: str | None, basis_dim: int, precision: str, light: Light, aovs: Aovs = NO_AOVS
) -> str:
    """Why the walk cannot run on a CUDA device of JAX; empty where it can.

    Tried as it is used: the driver may be too old for Warp, or the GPU for the compiler.
    """
    prepare_warp()
    if not wp.is_cuda_available():
        return f"Warp {wp.__version__} takes no CUDA driver that is here"
    place = wp.device_from_jax(named_device(device) or jax.devices()[0])
    # Not here: Ctrl-C would be lost in the compiler's callbacks.
    with ThreadPoolExecutor(1) as thread:
        loading = thread.submit(
            walk_kernel(basis_dim, precision, light, aovs).module.load, place, BLOCK_THREADS
        )
        error = loading.exception()
    said = str(error).partition("\n")[0] if error else ""
    loaded = error is None and loading.result() is not None
    return "" if loaded else f"Warp cannot load its kernel on {place}{said and f' ({said})'}"


def _kernel_folder() -> Path:
    with suppress(OSError, RuntimeError):  # no home, or none that can be written to
        folder = cache_folder().with_name("warp")
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free >= _LEAST_FREE and os.access(folder, os.W_OK | os.X_OK):
            return folder
    return Path(_passing_folder().name)


@cache
def _passing_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that goes when the process ends; remembered, or it would go at once."""
    return tempfile.TemporaryDirectory(prefix="plenostream-warp-")


@contextmanager
def _silence() -> Iterator[None]:
    """Without standard error: Warp's library writes there itself that a machine has no GPU."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
