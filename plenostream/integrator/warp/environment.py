"""What Warp is told for the whole process: silence, and where it keeps what it compiles."""

from __future__ import annotations

import contextlib
import os
import tempfile

import warp as wp

from plenostream.integrator.xla.environment import cache_folder

__all__ = ["prepare_warp"]


def prepare_warp() -> None:
    """Set Warp up, before it compiles anything; again does nothing.

    It says nothing: what goes wrong arrives as an error. Kernels are kept beside JAX's programs,
    unless WARP_CACHE_PATH says where; where that cannot be written to, for this process alone.
    """
    wp.config.log_level = wp.LOG_ERROR
    if "WARP_CACHE_PATH" not in os.environ and wp.config.kernel_cache_dir is None:
        folder = cache_folder().with_name("warp")
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
        wp.config.kernel_cache_dir = str(folder) if writable else tempfile.mkdtemp()
    wp.init()
