"""What JAX is told for the whole process: its memory on a GPU, its threads, what it keeps on disk.

What holds for our programs alone is a compile option instead, see `device`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
import warnings
from pathlib import Path

from plenostream.rules.bytesize import parse_bytes

__all__ = [
    "BLOCK_LOST",
    "USED_SHARE",
    "cache_folder",
    "finish_preparing",
    "gpus_here",
    "hands_out_blocks",
    "prepare_jax",
]


def cache_folder() -> Path:
    """Where compiled kernels are kept between runs, in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification asks for relative paths to be ignored.
    root = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return root / "plenostream" / "jax"


CACHE_BYTES = 1_000_000_000
"""Bound on that folder: JAX drops what was not used for longest."""
USED_SHARE = 0.9
"""Of what JAX grants of a device, what may be used: the rest is for fragmentation."""
BLOCK_LOST = 128 << 20
"""Bytes that a block of XLA's allocator has more than the array in it, at most: what is less is not
cut off. Where so much is always left, each array gets its own bytes and no more."""
_BOUNDS = (
    "XLA_CLIENT_MEM_FRACTION",
    "XLA_PYTHON_CLIENT_MEM_FRACTION",  # its older name
    "XLA_PYTHON_CLIENT_PREALLOCATE",
    "XLA_PYTHON_CLIENT_ALLOCATOR",
)
"""Where somebody has said how JAX takes memory, that stays."""
_SWITCH_SECONDS = 0.0005
_TIME_BYTES = 8
_WRITTEN_SECONDS = 30
"""After which an entry without its time of use is not being written any more."""
_LEAST_FREE = 50_000_000
"""Bytes that must be free on the disk, or kernels are compiled each time."""
_CACHE_WARNING = "Error (reading|writing) persistent compilation cache entry"


_runs_inline = False
"""Whether programs are to run in the thread that calls them, see `_prepare_cpu`."""


def prepare_jax(device_memory: int | str | None = None) -> None:
    """Set JAX up for this process as the command line does, before JAX computes anything.

    JAX itself is not loaded.

    Parameters
    ----------
    device_memory : bytes, or text such as "8GB", that renderers of this process will use of an NVIDIA
        GPU; None: up to all of it

    Nobody has to: pictures and budgets are the same without it. These hold for all that a process
    does with JAX, so no renderer sets them by itself:

    - Compiled kernels are kept on disk, in `cache_folder`: the first picture of the next process
      takes seconds less.
    - With `device_memory` said, JAX takes so much of a GPU at once, a ninth and 128 MiB beyond it, and
      never more (XLA_PYTHON_CLIENT_PREALLOCATE, XLA_CLIENT_MEM_FRACTION, read when it first looks
      for devices); else it takes memory as it is needed. By itself, JAX takes 75 % of the GPU.
    - Beside an NVIDIA GPU, Python's threads take turns ten times as often: those that gather bricks
      wait for each other less (`sys.setswitchinterval`).
    - On a CPU, JAX keeps no threads beside the renderer's (NPROC, read at the same moment).

    What is set in the environment wins. Once JAX has looked for devices, only the first is changed.
    """
    _prepare_gpu(device_memory)
    # Otherwise JAX takes 75 % of a GPU at once, whatever the budget.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    # A disk that fills up, or a damaged file, is nothing to the picture: JAX warns, and compiles.
    warnings.filterwarnings("ignore", message=_CACHE_WARNING)
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        _keep_compiled()
    _prepare_cpu()


def hands_out_blocks() -> bool:
    """Whether an array on a GPU may take a block of nearly twice its size.

    XLA's own allocator cuts a block only where half of it, or 128 MiB, would be left; blocks are
    that large where one was made for everything at once, and not where they are made as needed.
    """
    preallocates = os.environ.get("XLA_PYTHON_CLIENT_PREALLOCATE", "true")
    allocator = os.environ.get("XLA_PYTHON_CLIENT_ALLOCATOR", "default").lower()
    return preallocates in ("false", "False", "0") and allocator in ("default", "bfc")


def _prepare_gpu(device_memory: int | str | None) -> None:
    gpu_bytes = _nvidia_bytes()
    if gpu_bytes is None:
        return
    sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_SECONDS))
    if device_memory is None or any(name in os.environ for name in _BOUNDS):
        return
    n_bytes = parse_bytes(device_memory, name="device_memory") / USED_SHARE + BLOCK_LOST
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "true"
    os.environ["XLA_CLIENT_MEM_FRACTION"] = f"{min(1.0, n_bytes / gpu_bytes):.6f}"


def gpus_here() -> list[str]:
    """The NVIDIA GPUs that this process may draw with, as CUDA_VISIBLE_DEVICES names each."""
    if os.environ.get("JAX_PLATFORMS", "") == "cpu":
        return []
    n = len(_nvidia_sizes())
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if n == 0 or named is None:
        return [str(number) for number in range(n)]
    return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]


def _nvidia_bytes() -> int | None:
    """Bytes of the smallest NVIDIA GPU here; None where there is none, or nothing to ask with."""
    return min(_nvidia_sizes(), default=None)


def _nvidia_sizes() -> list[int]:
    """Bytes of each NVIDIA GPU here; none where there is nothing to ask with."""
    try:
        import pynvml
    except ModuleNotFoundError:
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver
        return []
    try:
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return [int(pynvml.nvmlDeviceGetMemoryInfo(handle).total) for handle in handles]
    finally:
        pynvml.nvmlShutdown()


def _keep_compiled() -> None:
    # A home that cannot be written to, or none at all, is no reason to fail: compile each time.
    with contextlib.suppress(OSError, RuntimeError):
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < _LEAST_FREE or not os.access(folder, os.W_OK | os.X_OK):
            return
        _drop_unfinished(folder)
        _set("jax_compilation_cache_dir", str(folder))
        # Our kernels are few; JAX would leave out those that compile in less than a second.
        _set("jax_persistent_cache_min_compile_time_secs", 0.1)
        _set("jax_compilation_cache_max_size", CACHE_BYTES)


def _set(name: str, value: str | float) -> None:
    """Set what JAX reads from the environment when it is imported, whether it is yet or not."""
    variable = name.upper()
    if variable not in os.environ:
        os.environ[variable] = str(value)
        if "jax" in sys.modules:
            sys.modules["jax"].config.update(name, value)


def _drop_unfinished(folder: Path) -> None:
    """Remove entries that a full disk or a kill cut off: JAX would neither read nor replace them.

    It writes an entry and then its time of use, all under a lock; without the latter it would also
    fail to make room in the folder, for good.
    """
    for entry in folder.glob("*-cache"):
        used = entry.with_name(f"{entry.name.removesuffix('-cache')}-atime")
        if not used.is_file() or used.stat().st_size != _TIME_BYTES:
            lately = time.time() - entry.stat().st_mtime < _WRITTEN_SECONDS
            if not lately:
                entry.unlink(missing_ok=True)


def _prepare_cpu() -> None:
    """Leave the cores of a CPU to the renderer's own threads.

    JAX makes a pool of a thread a core for what its programs do at the same time. The pool's size
    is only read from NPROC, when the first device is asked for; with a pool of one, programs have
    to run in the thread that calls them, or they would queue up for it.
    """
    global _runs_inline
    _runs_inline = os.environ.setdefault("NPROC", "1") == "1"
    if "jax" in sys.modules:
        finish_preparing()


def finish_preparing() -> None:
    """Set what JAX reads from no environment variable; called once JAX is imported."""
    if _runs_inline:
        sys.modules["jax"].config.update("jax_cpu_enable_async_dispatch", False)
